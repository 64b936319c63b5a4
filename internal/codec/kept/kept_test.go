package kept_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

const moment = 1795323967123456789 // 2026-11-22T05:06:07.123456789Z

func TestAppend(t *testing.T) {
	var a kept.Appender
	good := func(r kept.Record, want string) {
		t.Helper()
		r.Time = moment
		want = `{"time":"` + time.Unix(0, moment).UTC().Format("2006-01-02T15:04:05.000000000Z") + `","level":` + want + "\n"
		if got := a.Append([]byte("x"), &r); string(got) != "x"+want {
			t.Errorf("got  %swant  %s", got, want)
		}
	}
	body := func(s string) kept.Record { return kept.Record{Body: []byte(s)} }
	escaped := func(s string) kept.Record { return kept.Record{Body: []byte(s), Flags: record.Escaped} }
	good(kept.Record{}, `"unknown","body":""}`)
	good(kept.Record{Level: record.LevelInfo, Body: []byte("text")}, `"info","body":"text"}`)
	good(kept.Record{Level: 200, Body: []byte("text")}, `"unknown","body":"text"}`)
	good(body("a\"b\\c/d\n\r\t\b\f\x00\x1f\x7f<&>\u2028\u00e9\U0001F600"),
		`"unknown","body":"a\"b\\c/d\n\r\t\b\f\u0000\u001f\u007f<&>`+"\u2028\u00e9\U0001F600"+`"}`)
	good(escaped(`a\"b\\c\/d\n\r\t\b\f\u0000\u001F\u007f\u003c\u0026\u003e\u2028\u00e9\ud83d\ude00`),
		`"unknown","body":"a\"b\\c/d\n\r\t\b\f\u0000\u001f\u007f<&>`+"\u2028\u00e9\U0001F600"+`"}`)
	good(escaped(`\u0009\u0022\u005c\u000a\u0008`), `"unknown","body":"\t\"\\\n\b"}`)
	// What no encoder writes.
	good(escaped(`\q\u12\u00g0 \ud83d \ude00\ud83d \`), `"unknown","body":"\\q\\u12\\u00g0 `+"\uFFFD \uFFFD\uFFFD"+` \\"}`)
	good(escaped("a\"b\nc\x7f"), `"unknown","body":"a\"b\nc\u007f"}`)
	good(body("a\xffb\xc3"), `"unknown","body":"a`+"\uFFFDb\uFFFD"+`","raw":"`+base64.StdEncoding.EncodeToString([]byte("a\xffb\xc3"))+`"}`)
	good(escaped("a\xff\\n"), `"unknown","body":"a`+"\uFFFD"+`\n","raw":"`+base64.StdEncoding.EncodeToString([]byte("a\xff\n"))+`"}`)
	good(body("\uFFFD"), `"unknown","body":"`+"\uFFFD"+`"}`)

	good(kept.Record{Body: []byte("x"), Flags: record.Stderr | record.Cut | record.Partial | record.Dropped, Weight: 1},
		`"unknown","body":"x","stream":"stderr","cut":true}`)
	good(kept.Record{Body: []byte("lost"), Weight: math.MaxUint32, Gap: "rotated \"away\"", GapBytes: 4312},
		`"unknown","body":"lost","weight":4294967295,"gap":"rotated \"away\"","gap_bytes":4312}`)
	good(kept.Record{Gap: "truncated", GapBytes: -7}, `"unknown","body":"","gap":"truncated","gap_bytes":-1}`)
	good(kept.Record{GapBytes: 5}, `"unknown","body":""}`)
	fields := []kept.Field{{Name: []byte("absent")}, {[]byte("status"), []byte("200")}, {[]byte(`a\"b`), []byte("x\n\xff")}, {Name: []byte("absent")}}
	good(kept.Record{Body: []byte("\xff"), Fields: fields},
		`"unknown","body":"`+"\uFFFD"+`","fields":{"status":"200","a\"b":"x\n`+"\uFFFD"+`"},"raw":"/w=="}`)
	good(kept.Record{Fields: []kept.Field{{[]byte("path"), []byte(`\/a\u003c\n`)}}, Flags: record.Escaped},
		`"unknown","body":"","fields":{"path":"/a<\n"}}`)
	good(kept.Record{Fields: fields[:1]}, `"unknown","body":""}`)
}

func TestTimes(t *testing.T) {
	var a kept.Appender
	var clock kept.Clock
	check := func(ns int64, want time.Time) {
		t.Helper()
		line := a.Append(nil, &kept.Record{Time: ns})
		l, err := kept.Parse(line)
		text := want.UTC().Format("2006-01-02T15:04:05.000000000Z")
		for range 2 { // the second time it knows the second
			if got := clock.TimeOf(line); got != l.Time {
				t.Errorf("%s is %d to the clock", line, got)
			}
		}
		if err != nil || l.Time != want.UnixNano() || string(line[9:39]) != text || kept.TimeOf(line) != l.Time {
			t.Errorf("%d became %s, %d, %v; want %s", ns, line[9:39], l.Time, err, text)
		}
	}
	for _, ns := range []int64{0, 1, -1, 999_999_999, 1e9, -1e9, moment, 951827696e9, -9214560000e9} {
		check(ns, time.Unix(0, ns))
		check(ns, time.Unix(0, ns)) // from what it remembers
	}
	check(math.MinInt64, time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC))
	check(math.MaxInt64, time.Date(2261, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
	check(math.MaxInt64, time.Date(2261, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
	for at := time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2262; at = at.Add(24*time.Hour + 1234567891) {
		check(at.UnixNano(), at)
	}
}

func TestParse(t *testing.T) {
	const start = `{"time":"2026-11-21T05:06:07.123456789Z","level":"warn","body":"`
	good := func(in string) {
		t.Helper()
		l, err := kept.Parse([]byte(in))
		if err != nil || l.Level != record.LevelWarn || !bytes.Equal(l.Body, kept.BodyOf([]byte(in))) {
			t.Errorf("Parse(%s) = %+v, %v; body %q", in, l, err, kept.BodyOf([]byte(in)))
		}
	}
	bad := func(in string) {
		t.Helper()
		if l, err := kept.Parse([]byte(in)); err != kept.ErrSyntax {
			t.Errorf("Parse(%s) = %+v, %v", in, l, err)
		}
	}
	for _, body := range []string{``, `text`, `\\`, `\"`, `a\\\"`, `\\\\`, `raw:`, `,\"raw\":\"/w==`, `,\"stream\":\"stderr`, "é", `}`, `abc`} {
		good(start + body + `"}`)
		good(start + body + `"}` + "\n")
		good(start + body + `","stream":"stderr"}`)
		good(start + body + `","raw":"/w=="}`)
		good(start + body + `","stream":"stderr","cut":true,"weight":2,"gap":"lost","gap_bytes":-1,"fields":{"a":"b","c":"\n"},"raw":"abcd"}`)
	}
	good(start + `","gap":"lost","gap_bytes":0}`)
	good(start + `","gap":"lost","gap_bytes":9223372036854775807}`)
	for n := range len(start) {
		bad(start[:n])
	}
	bad(start)
	bad(start + `"`)
	bad(start + `"}}`)
	bad(start + `"} `)
	bad(start + `"}` + "\n\n")
	bad(start + `\"}`)
	bad(start + "\x1f\"}")
	bad(start + "\x7f\"}")
	bad(start + "\xff\"}")
	for _, escape := range []string{`\/`, `\q`, `\u003c`, `\u000a`, `\u001F`, `\u12`, `\u00e9`, `\ud83d\ude00`} {
		bad(start + escape + `"}`)
	}
	bad(start + `",}`)
	bad(start + `","cut":true,"stream":"stderr"}`)
	bad(start + `","stream":"stdout"}`)
	bad(start + `","cut":false}`)
	for _, weight := range []string{"", "0", "1", "02", "-2", "4294967296", "99999999999999999999999", "2.0"} {
		bad(start + `","weight":` + weight + `}`)
	}
	for _, bytes := range []string{"", "-2", "-0", "00", "9223372036854775808"} {
		bad(start + `","gap":"lost","gap_bytes":` + bytes + `}`)
	}
	bad(start + `","gap":"","gap_bytes":1}`)
	bad(start + `","gap":"lost"}`)
	bad(start + `","gap_bytes":1}`)
	for _, fields := range []string{``, `"a"`, `"a":""`, `"a":"b",`, `"a":1`, `"a":"b" `, `,"a":"b"`, `"a":"\u0041"`} {
		bad(start + `","fields":{` + fields + `}}`)
	}
	for _, raw := range []string{"", "abc", "a===", "====", "ab=d", "ab-d", "abcd\\"} {
		bad(start + `","raw":"` + raw + `"}`)
	}
	bad(strings.Replace(start, "2026", "1677", 1) + `"}`)
	bad(strings.Replace(start, "2026", "2262", 1) + `"}`)
	bad(strings.Replace(start, "9Z", "99", 1) + `"}`)
	bad(strings.Replace(start, "9Z", "Z0", 1) + `"}`)
	bad(strings.Replace(start, ".1", "Z1", 1) + `"}`)
	bad(strings.Replace(start, "warn", "wart", 1) + `"}`)
	bad(strings.Replace(start, "time", "tide", 1) + `"}`)
}

func TestLine(t *testing.T) {
	var a kept.Appender
	line := a.Append(nil, &kept.Record{
		Time: moment, Level: record.LevelError, Flags: record.Stderr | record.Cut, Body: []byte("a\n\xff"), Weight: 10,
		Gap: "truncated", GapBytes: 7, Fields: []kept.Field{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte("2\n")}},
	})
	l, err := kept.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	if l.Time != moment || l.Level != record.LevelError || l.Flags != record.Stderr|record.Cut|record.Escaped || l.Weight != 10 {
		t.Errorf("%+v", l)
	}
	if string(l.Gap) != "truncated" || l.GapBytes != 7 || string(l.AppendText([]byte("x"))) != "xa\n\xff" {
		t.Errorf("%+v", l)
	}
	var got []string
	for name, value := range l.Fields() {
		got = append(got, string(name), string(value))
	}
	if fmt.Sprint(got) != `[a 1 b 2\n]` || string(l.Field("b")) != `2\n` || l.Field("c") != nil {
		t.Errorf("fields %q", got)
	}
	if kept.TimeOf(line) != moment || kept.LevelOf(line) != record.LevelError || string(kept.BodyOf(line)) != "a\\n\uFFFD" {
		t.Errorf("%d, %v, %q", kept.TimeOf(line), kept.LevelOf(line), kept.BodyOf(line))
	}
}

func TestLines(t *testing.T) {
	for _, block := range []string{"", "a\nbc\n", "a\nbc", "\n\na\n"} {
		var got []string
		for line := range kept.Lines([]byte(block)) {
			got = append(got, string(line))
		}
		want := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
		if block == "" {
			want = nil
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q: %q", block, got)
		}
	}
}

func TestNeedle(t *testing.T) {
	check := func(text, needle string, want bool) {
		t.Helper()
		if got := kept.NewNeedle([]byte(needle)).In(kept.Escape(nil, []byte(text))); got != want || got != strings.Contains(text, needle) {
			t.Errorf("%q in %q: %v", needle, text, got)
		}
	}
	check("a\nfo", "nfo", false)
	check("a\nfo nfo", "nfo", true)
	check("a\\nfo", "nfo", true)
	check("a\\nfo", "\nfo", false)
	check("a\\", "\\", true)
	check("a\\\\b", "\\b", true)
	check("a\\b", "\\\\b", false)
	check("a\x01b", "u0001", false)
	check("a\x01b", "001", false)
	check("a\x01b", "1b", false)
	check("a\x01b", "b", true)
	check("a\\u0001b", "u0001", true)
	check("a\\\x1fb", "1f", false)
	check("a\x1f1fb", "1f", true)
	check("a\x7f", "7f", false)
	check("\"", "\"", true)
	check("\\", "\"", false)
	check("text", "", true)
	check("", "", true)
	check("größe", "öß", true)
	check("\U0001F600\n", "\U0001F600\n", true)
	check("nnnn\nn", "nn\nn", true)
	check("ab\x01\x02", "b\x01\x02", true)
	check("\t001", "001", true)
}

func TestNextLine(t *testing.T) {
	var a kept.Appender
	var block []byte
	for _, body := range []string{"warn", "first needle", "level", "se\ncond needle", "", "third needle needle", "\needle"} {
		block = a.Append(block, &kept.Record{Time: moment, Body: []byte(body), Fields: []kept.Field{{[]byte("needle"), []byte("needle")}}})
	}
	for needle, want := range map[string]int{"needle": 3, "time": 0, "level": 1, "eedle": 4, "\needle": 1, "": 7, "body": 0, "absent": 0} {
		n := 0
		for line, next := kept.NewNeedle([]byte(needle)).NextLine(block, 0); line != nil; line, next = kept.NewNeedle([]byte(needle)).NextLine(block, next) {
			if l, err := kept.Parse(line); err != nil || !bytes.Contains(l.AppendText(nil), []byte(needle)) {
				t.Errorf("%q: %s, %v", needle, line, err)
			}
			n++
		}
		if n != want {
			t.Errorf("%q is in %d lines; want %d", needle, n, want)
		}
	}
}

// FuzzAppend makes lines of anything: they are JSON, mean what was put in, and parse.
func FuzzAppend(f *testing.F) {
	f.Add(int64(moment), []byte(`a\"b\u003c\ud83d\ude00`), true, uint32(0), []byte("value"), "", int64(0))
	f.Add(int64(-1), []byte(`\ud83d \q\u12 \u001F\/\`), true, uint32(3), []byte("\xff\\"), "gap", int64(-1))
	f.Add(int64(0), []byte("12345\\\"8\x01\x02345678\t12345\\u\\\\u78"), false, uint32(0), []byte("123456\\"), "", int64(0))
	f.Add(int64(0), []byte("a\xff\x00\x7f\"\\é\u2028"), false, uint32(2), []byte(""), "\x00\xff", int64(1<<62))
	var a kept.Appender
	f.Fuzz(func(t *testing.T, ns int64, body []byte, escaped bool, weight uint32, value []byte, gap string, lost int64) {
		r := kept.Record{Time: ns, Level: record.Level(weight % 9), Body: body, Weight: weight / 9, Gap: gap, GapBytes: lost, Flags: record.Flags(weight >> 8)}
		r.Flags &^= record.Escaped
		text, plainValue := body, value
		if escaped {
			r.Flags |= record.Escaped
			text, plainValue = jsontext.Unescape(nil, body), jsontext.Unescape(nil, value)
		}
		r.Fields = []kept.Field{{kept.Escape(nil, []byte(gap)), value}}
		line := a.Append(nil, &r)
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("not one line: %q", line)
		}
		l, err := kept.Parse(line)
		if err != nil {
			t.Fatalf("%s%v", line, err)
		}
		sameAsJSON(t, line, &l)
		if got := l.AppendText(nil); !bytes.Equal(got, text) {
			t.Errorf("%q came back as %q", text, got)
		}
		if (l.Raw != nil) == utf8.Valid(text) {
			t.Errorf("%q has raw %q", text, l.Raw)
		}
		if want := kept.Escape(nil, text); !bytes.Equal(want, l.Body) || !bytes.Equal(kept.BodyOf(line), l.Body) {
			t.Errorf("%q is kept as %q; want %q; BodyOf is %q", text, l.Body, want, kept.BodyOf(line))
		}
		if got, want := kept.TextLen(l.Body), textLen(l.Body); got != want {
			t.Errorf("%q has %d bytes of text, not %d", l.Body, want, got)
		}
		name := string(kept.Escape(nil, []byte(gap)))
		if got := l.Field(name); !bytes.Equal(got, kept.Escape(nil, plainValue)) {
			t.Errorf("field %q came back as %q", value, got)
		}
	})
}

// textLen counts a byte for each escape and for each other byte of a body.
func textLen(body []byte) (n int) {
	for i := 0; i < len(body); n++ {
		switch {
		case body[i] != '\\':
			i++
		case body[i+1] == 'u':
			i += 6
		default:
			i += 2
		}
	}
	return n
}

// sameAsJSON compares a line with what encoding/json reads in it.
func sameAsJSON(t *testing.T, line []byte, l *kept.Line) {
	t.Helper()
	var doc struct {
		Time     time.Time
		Level    string
		Body     string
		Stream   string
		Cut      bool
		Weight   uint32
		Gap      string
		GapBytes int64 `json:"gap_bytes"`
		Fields   map[string]string
		Raw      []byte
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%s%v", line, err)
	}
	plain := func(b []byte) string { return string(kept.Unescape(nil, b)) }
	same := doc.Time.UnixNano() == l.Time && doc.Level == l.Level.String() && doc.Body == plain(l.Body) &&
		(doc.Stream == "stderr") == (l.Flags&record.Stderr != 0) && doc.Cut == (l.Flags&record.Cut != 0) &&
		max(doc.Weight, 1) == l.Weight && doc.Gap == plain(l.Gap) && doc.GapBytes == l.GapBytes
	if len(doc.Raw) > 0 {
		same = same && bytes.Equal(doc.Raw, l.AppendText(nil))
	}
	for name, value := range l.Fields() {
		same = same && doc.Fields[plain(name)] == plain(value)
		delete(doc.Fields, plain(name))
	}
	if !same || len(doc.Fields) > 0 {
		t.Errorf("%sis %+v, read as %+v", line, doc, l)
	}
}

// FuzzParse takes lines from anywhere: what is accepted is what Append writes.
// TestCanonical makes bodies of pieces that look alike eight bytes at once, and compares with
// what their plain text is escaped to.
func TestCanonical(t *testing.T) {
	pieces := []string{`\"`, `\"`, `a`, `abcdefg`, `#`, `]`, `\/`, `\]`, `\#`, `"`, `"#`, `\\`, `\\]`, `\u0026`, `\u0009`, `\n`, "\x7f", "é"}
	random := rand.New(rand.NewPCG(1, 2))
	var a kept.Appender
	for range 20_000 {
		var body []byte
		only := 2 + random.IntN(len(pieces)-1)
		for range random.IntN(40) {
			body = append(body, pieces[random.IntN(only)]...)
		}
		line := a.Append(nil, &kept.Record{Flags: record.Escaped, Body: body})
		if got, want := kept.BodyOf(line[:len(line)-1]), kept.Escape(nil, jsontext.Unescape(nil, body)); !bytes.Equal(got, want) {
			t.Fatalf("%q became %q; want %q", body, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	const start = `{"time":"2026-11-21T05:06:07.123456789Z","level":"info","body":"`
	f.Add([]byte(start + `text \"\u0000"}`))
	f.Add([]byte(start + `","stream":"stderr","cut":true,"weight":10,"gap":"lost","gap_bytes":-1,"fields":{"a":"b"},"raw":"/w=="}`))
	f.Add([]byte(start + `\q\`))
	f.Add(append(make([]byte, 29), `123456789Z","level":"info","body":""}`...))
	var a kept.Appender
	var clock kept.Clock
	f.Fuzz(func(t *testing.T, in []byte) {
		body := kept.BodyOf(in)
		for range 2 { // the second time it knows the second
			if got := clock.TimeOf(in); got != kept.TimeOf(in) {
				t.Errorf("%q: %d to the clock; want %d", in, got, kept.TimeOf(in))
			}
		}
		_ = kept.NewNeedle([]byte("nfo")).In(body)
		_, _ = kept.TimeOf(in), kept.LevelOf(in)
		l, err := kept.Parse(in)
		if err != nil {
			return
		}
		if !bytes.Equal(body, l.Body) || kept.TimeOf(in) != l.Time || kept.LevelOf(in) != l.Level {
			t.Errorf("%q: BodyOf %q, TimeOf %d, LevelOf %v", in, body, kept.TimeOf(in), kept.LevelOf(in))
		}
		sameAsJSON(t, in, &l)
		r := kept.Record{Time: l.Time, Level: l.Level, Flags: l.Flags | record.Escaped, Body: l.Body, Weight: l.Weight, GapBytes: l.GapBytes}
		r.Gap = string(kept.Unescape(nil, l.Gap))
		for name, value := range l.Fields() {
			r.Fields = append(r.Fields, kept.Field{Name: name, Value: value})
		}
		again := bytes.TrimSuffix(a.Append(nil, &r), []byte("}\n"))
		if l.Raw != nil {
			again = fmt.Appendf(again, `,"raw":"%s"`, l.Raw)
		}
		if again = append(again, '}'); !bytes.Equal(again, bytes.TrimSuffix(in, []byte("\n"))) {
			t.Errorf("%q is written as %q", in, again)
		}
	})
}

// FuzzNeedle compares with a search in the plain text.
func FuzzNeedle(f *testing.F) {
	f.Add("a\nfo\\nfo\x01\x7f", "nfo")
	f.Add("\\\\\\\"", "\\\"")
	f.Add("\x01\x01001", "001")
	f.Add("é\xff", "\xa9")
	f.Fuzz(func(t *testing.T, text, needle string) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		body := kept.Escape(nil, []byte(text))
		n := kept.NewNeedle([]byte(needle))
		if got := n.In(body); got != strings.Contains(text, needle) {
			t.Errorf("%q in %q: %v", needle, text, got)
		}
		i, want := n.Index(body, 0), strings.Index(text, needle)
		if i < 0 != (want < 0) || i >= 0 && string(kept.Unescape(nil, body[:i])) != text[:want] {
			t.Errorf("%q in %q at %d; want %d", needle, text, i, want)
		}
		var a kept.Appender
		line := a.Append(nil, &kept.Record{Body: []byte(text)})
		if got, next := n.NextLine(line, 0); (got != nil) != (want >= 0) || next != len(line) {
			t.Errorf("%q in %q: line %q, %d", needle, text, got, next)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	var a kept.Appender
	line := make([]byte, 0, 2048)
	text := make([]byte, 0, 2048)
	r := kept.Record{
		Time: moment, Level: record.LevelInfo, Flags: record.Escaped | record.Stderr, Body: []byte(`\"GET /\u003c\" 200` + "\xff"),
		Gap: "lost", Fields: []kept.Field{{[]byte("a"), []byte(`\u003c`)}},
	}
	needle := kept.NewNeedle([]byte(`"GET`))
	if n := testing.AllocsPerRun(100, func() {
		line = a.Append(line[:0], &r)
		l, err := kept.Parse(line)
		if err != nil || !needle.In(l.Body) {
			t.Fatal(err)
		}
		text = l.AppendText(text[:0])
		for name := range l.Fields() {
			text = append(text, name...)
		}
		for line := range kept.Lines(line) {
			text = append(text, kept.BodyOf(line)...)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
