package crawl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// found is what a decoder finds.
type found struct{ records []string }

func (f *found) take(raw []byte, values []value) error {
	text := string(raw)
	var scratch []byte
	for i, v := range values {
		if v.raw != nil {
			text += fmt.Sprintf(" %d=%s", i, v.plain(&scratch))
		}
	}
	f.records = append(f.records, text)
	return nil
}
func (f *found) pause() error                { return nil }
func (f *found) bad(reason string, _ []byte) { f.records = append(f.records, "bad: "+reason) }

// decode reads a response of records at a path, with what else is wanted.
func decode(src io.Reader, records, note string, format Format, wanted ...string) (*found, *decoder, error) {
	frame, rec := new(node), new(node)
	steps, _ := parsePath(records)
	frame.add(steps).records = true
	if note != "" {
		_ = frame.want(note, 0)
	}
	for i, path := range wanted {
		_ = rec.want(path, i)
	}
	f := &found{}
	d := newDecoder(frame, rec, 1, len(wanted))
	d.to = f
	return f, d, d.decode(src, format)
}

func TestDecode(t *testing.T) {
	good := func(body, records, note, wantNote string, want ...string) {
		t.Helper()
		for _, src := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body)), iotest.DataErrReader(strings.NewReader(body))} {
			f, d, err := decode(src, records, note, "json", "id", "by.name", "tags[1]")
			if err != nil || !slices.Equal(f.records, want) || d.plain(0) != wantNote {
				t.Errorf("%s: %q, note %q, %v", body, f.records, d.plain(0), err)
			}
		}
	}
	good(`[{"id":1},{"id":"x"}]`, "", "", "", `{"id":1} 0=1`, `{"id":"x"} 0=x`)
	good(` { "a" : { "b" : [ 1 , "two" , null ] } , "next" : "n\"1" } `, "a.b", "next", `n"1`, "1", `"two"`, "null")
	good(`{"next":"first","data":[{"by":{"name":"leo","x":[{}]},"tags":["a","b\u00e9"]}]}`, "data", "next", "first", `{"by":{"name":"leo","x":[{}]},"tags":["a","b\u00e9"]} 1=leo 2=bé`)
	good(`{"data":[{"events":[1,2]},{"x":[9]},{"events":[3]},{"events":[]}],"m":{"n":[0,{"k":7}]}}`, "data[*].events", "m.n[1].k", "7", "1", "2", "3")
	good(`{"data":[[0],[1,2]]}`, "data[1]", "", "", "1", "2")
	good(`{"data":{"id":5}}`, "data", "", "", `{"id":5} 0=5`)
	good(`{"data":null,"next":null}`, "data", "next", "")
	good(`{"skip":[{"a":"]}\\\""},-1.5e+3,true],"d\u0061ta":[1]}`, "data", "", "", "1")
	good(`{"a b":{"c.d":[1]}}`, `["a b"]["c.d"]`, "", "", "1")
	good(``, "data", "", "")
	bad := func(body string, want ...string) {
		t.Helper()
		f, _, err := decode(iotest.HalfReader(strings.NewReader(body)), "data", "next", "json")
		if err == nil || !slices.Equal(f.records, want) {
			t.Errorf("%s: %q, %v", body, f.records, err)
		}
	}
	bad(`{"data":[1,2`, "1") // 2 may be 20
	bad(`{"data":[1,2,}`, "1", "2")
	bad(`{"data":[1 2]}`, "1")
	bad(`{"data":[1]`, "1")
	bad(`{"data":[1]}}`, "1")
	bad(`{"data":[1]} x`, "1")
	bad(`{"data" [1]}`)
	bad(`{data:[1]}`)
	bad(`{"skip":[1}],"data":[1]}`)
	bad(`<html>`)
	bad(`{"data":[`+strings.Repeat(`[`, 1000)+strings.Repeat(`]`, 1000), "bad: too deep")
	good(`{"data":[1,`+strings.Repeat(`[{"a":`, 1000)+strings.Repeat(`}]`, 1000)+`,2]}`, "data", "", "", "1", "bad: too deep", "2")
	good(`{"data":[`+strings.Repeat(`[`, maxDepth-1)+strings.Repeat(`]`, maxDepth-1)+`]}`, "data", "", "", strings.Repeat(`[`, maxDepth-1)+strings.Repeat(`]`, maxDepth-1))
}

// TestDecodeChunks has records at every place of the border between two chunks.
func TestDecodeChunks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		var want []string
		var b bytes.Buffer
		b.WriteString(`{"x":"` + strings.Repeat("y", random.IntN(100)) + `","data":[`)
		for b.Len() < 3*chunkBytes {
			r := fmt.Sprintf(`{"id":%d,"t":"%s\n\u00e9"}`, random.IntN(1e9), strings.Repeat("z", random.IntN(3000)))
			if len(want) > 0 {
				b.WriteByte(',')
			}
			b.WriteString(r)
			want = append(want, r)
		}
		b.WriteString(`],"next":"n"}`)
		f, d, err := decode(bytes.NewReader(b.Bytes()), "data", "next", "json")
		if err != nil || !slices.Equal(f.records, want) || d.plain(0) != "n" {
			t.Fatalf("%d of %d records: %v", len(f.records), len(want), err)
		}
	}
}

func TestDecodeLong(t *testing.T) {
	long := strings.Repeat("x", maxRecordBytes+2*chunkBytes)
	f, d, err := decode(strings.NewReader(`{"skip":"`+long+`","data":[1,{"a":"`+long+`"},2],"next":"n"}`), "data", "next", "json")
	if err != nil || !slices.Equal(f.records, []string{"1", "bad: too long", "2"}) || d.plain(0) != "n" {
		t.Errorf("%d records: %v", len(f.records), err)
	}
	if n := cap(d.buf); n > 3*maxRecordBytes {
		t.Errorf("%d bytes of memory", n)
	}
	if _, _, err := decode(strings.NewReader(`{"data":[1],"next":"`+long+`"}`), "data", "next", "json"); !errors.Is(err, errLong) {
		t.Error(err)
	}
}

func TestDecodeLines(t *testing.T) {
	f, _, err := decode(iotest.OneByteReader(strings.NewReader("{\"id\":1}\r\n\n{\"id\":\n{\"id\":2}\nno\n  [3] \n{\"id\":4}")), "", "", "ndjson", "id")
	if want := []string{`{"id":1} 0=1`, "bad: no JSON", `{"id":2} 0=2`, "bad: no JSON", "[3]", `{"id":4} 0=4`}; err != nil || !slices.Equal(f.records, want) {
		t.Errorf("%q, %v", f.records, err)
	}
}

// FuzzDecode compares the decoder with encoding/json.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"data":[1,{"a":[{}]},"x"],"next":"n"}`, `{"next":{"a":1},"data":null}`, `[]`, `{"data":[1,]}`, `{"data":[1],"data":[2]}`, "{\"data\":[\"\\ud800\"]}", ` {"data" : { } } `,
		`{"x":[[["\\\""]]],"data":[-0.1e5]}`, `{"data":[01]}`, `{"data":tru}`, `{"d\u0061ta":[0]}`,
	} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, body string, step uint8) {
		got, d, err := decode(&stepReader{body, int(step) + 1}, "data", "next", "json")
		var all any
		if json.Unmarshal([]byte(body), &all) != nil {
			return // what is skipped is not looked at closely
		}
		if deep(all, 0) {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		m, ok := all.(map[string]any)
		if !ok || strings.Count(body, `"data"`)+strings.Count(body, `\u`) != 1 {
			return
		}
		var want struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		if m["data"] == nil {
			list = nil
		} else if json.Unmarshal(want.Data, &list) != nil {
			list = []json.RawMessage{want.Data}
		}
		if _, has := m["data"]; has && !slices.EqualFunc(got.records, list, func(a string, b json.RawMessage) bool { return a == string(b) }) {
			t.Errorf("%q: %q", body, got.records)
		}
		_ = d
	})
}

// deep tells whether JSON has more levels than the decoder takes.
func deep(v any, level int) bool {
	if level > maxDepth-3 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if deep(e, level+1) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return deep(e, level+1) })
	}
	return false
}

type stepReader struct {
	rest string
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if r.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(len(r.rest), r.step)])
	r.rest = r.rest[n:]
	return n, nil
}

func TestPath(t *testing.T) {
	good := func(text string, want ...step) {
		t.Helper()
		if got, err := parsePath(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	key := func(k string) step { return step{key: k, index: -1} }
	good("")
	good("$")
	good("a", key("a"))
	good("$.a.b-c", key("a"), key("b-c"))
	good("a[0][*].b", key("a"), step{index: 0}, step{index: -1, all: true}, key("b"))
	good("[12].x", step{index: 12}, key("x"))
	good(`["a.b\"]"].c`, key(`a.b"]`), key("c"))
	for _, text := range []string{".", "a.", "a..b", ".a", "a[", "a[x]", "a[-1]", "a[0]b", `["a"`, `["a]`, "$a"} {
		if got, err := parsePath(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a.b[0]", `["x"]`, "$[*]", "[", "[\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if steps, err := parsePath(text); err == nil {
			new(node).add(steps)
		}
	})
}

func TestClock(t *testing.T) {
	check := func(format, zone, text, want string) {
		t.Helper()
		c, err := newClock(format, zone)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if ns, ok := c.parse([]byte(text)); ok {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s in %s %s: %q, want %q", text, format, zone, got, want)
		}
	}
	const want = "2026-11-21T10:00:00.123456789Z"
	for _, text := range []string{"2026-11-21T10:00:00.123456789Z", "2026-11-21T11:00:00.123456789+01:00", "2026-11-21 10:00:00.123456789Z", "2026-11-21 10:00:00.123456789", "2026-11-21T12:30:00.123456789+0230", "2026-11-21t10:00:00.123456789z", "1795255200.123456789", "1795255200123456789"} {
		check("auto", "", text, want)
	}
	check("auto", "", "2026-11-21T05:00:00-0500", "2026-11-21T10:00:00Z")
	check("auto", "", "2026-11-21 05:00:00-0500", "2026-11-21T10:00:00Z")
	check("auto", "", "2026-11-21T10:00:00+0000", "2026-11-21T10:00:00Z")
	check("auto", "", "1795255200", "2026-11-21T10:00:00Z")
	check("auto", "", "1795255200123", "2026-11-21T10:00:00.123Z")
	check("auto", "", "1795255200123.5", "2026-11-21T10:00:00.1235Z")
	check("auto", "", "1795255200123456", "2026-11-21T10:00:00.123456Z")
	check("auto", "", "1.7952552e9", "2026-11-21T10:00:00Z")
	check("auto", "Europe/Berlin", "2026-11-21 11:00:00", "2026-11-21T10:00:00Z")
	check("auto", "Europe/Berlin", "2026-07-21T12:00:00", "2026-07-21T10:00:00Z")
	check("unix", "", "1795255200.5", "2026-11-21T10:00:00.5Z")
	check("unix_ms", "", "1795255200500", "2026-11-21T10:00:00.5Z")
	check("unix_us", "", "1795255200500000", "2026-11-21T10:00:00.5Z")
	check("unix_ns", "", "1795255200500000000", "2026-11-21T10:00:00.5Z")
	check("unix", "", "-1", "1969-12-31T23:59:59Z")
	check("02/Jan/2006:15:04:05 -0700", "", "21/Nov/2026:11:00:00 +0100", "2026-11-21T10:00:00Z")
	check("2006-01-02 15:04:05", "America/New_York", "2026-11-21 05:00:00", "2026-11-21T10:00:00Z")
	for _, text := range []string{"", "x", "soon", "2026-11-21", "2026-13-21T10:00:00Z", "-", "1e99", "99999999999999999999999", "2026-11-21T10:00:00+1:00", "0"} {
		check("auto", "", text, "")
	}
}

func FuzzClock(f *testing.F) {
	for _, s := range []string{"2026-11-21T10:00:00Z", "1795255200.123", "2026-11-21 10:00:00+0100", "-1.5e3", "9223372036854775807"} {
		f.Add(s)
	}
	auto, _ := newClock("auto", "Europe/Berlin")
	unix, _ := newClock("unix", "")
	f.Fuzz(func(t *testing.T, s string) {
		auto.parse([]byte(s))
		if ns, ok := unix.parse([]byte(s)); ok && !strings.ContainsAny(s, ".eE") && fmt.Sprint(ns/1e9) != strings.TrimLeft(strings.Replace(s, "-0", "-", 1), "0") && !strings.Contains(s, "0") {
			t.Errorf("%s is %d", s, ns)
		}
	})
}

func TestPosition(t *testing.T) {
	p := position{kind: timeKind, count: 7, since: 1000, high: 2000, cursor: []byte("x")}
	for i := range 100 {
		p.seen.add(int64(i%7)*100, hashID([]byte{byte(i)}))
	}
	p.seen.prune(400)
	if p.seen.len() != 42 {
		t.Errorf("%d ids", p.seen.len())
	}
	if p.seen.has1(hashID([]byte{3})) || !p.seen.has1(hashID([]byte{4})) {
		t.Errorf("%d ids", p.seen.len())
	}
	text := p.appendTo(nil)
	q, err := decodePosition(text, none)
	if err != nil || q.count != 7 || q.since != 1000 || q.high != 2000 || string(q.cursor) != "x" || !slices.Equal(q.seen.list, p.seen.list) || !bytes.Equal(q.appendTo(nil), text) {
		t.Errorf("%+v: %v", q, err)
	}
	for i := range text {
		if _, err := decodePosition(text[:i], none); err == nil {
			t.Errorf("%d bytes of it are a position", i)
		}
	}
	if _, err := decodePosition(append([]byte{2}, text[1:]...), none); err != errNewer {
		t.Error(err)
	}
	p.seen.newest(10)
	if p.seen.len() != 10 || p.seen.list[9].id != hashID([]byte{97}) {
		t.Errorf("%d ids", p.seen.len())
	}
	p.seen.clear()
	if p.seen.len() != 0 || p.seen.has1(hashID([]byte{97})) {
		t.Error("there are ids left")
	}
}

// none has no chunk.
func none(string) []byte { return nil }

func (s *seen) has1(id idHash) bool { _, ok := s.has(id); return ok }

func FuzzPosition(f *testing.F) {
	p := position{kind: idKind, count: 1, cursor: []byte("x")}
	f.Add(p.appendTo(nil))
	p.seen.add(5, hashID(nil))
	f.Add(p.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePosition(b, none); err == nil {
			q, err := decodePosition(p.appendTo(nil), none)
			if err != nil || q.count != p.count || !slices.Equal(p.seen.list, q.seen.list) {
				t.Errorf("%+v became %+v, %v", p, q, err)
			}
		}
	})
}

// TestNewer leaves a cursor alone that a newer weir wrote.
func TestNewer(t *testing.T) {
	a := &api{events: at(1)}
	w := newWorld(t)
	w.api = a.serve
	w.once(standard(nil))
	was := w.positions["acme/events"]
	was.Source[0] = positionVersion + 1
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		w.once(standard(nil))
	}()
	<-ran
	if len(a.asked) != 1 || !strings.Contains(w.problem(), "written by a newer weir") || !bytes.Equal(w.positions["acme/events"].Source, was.Source) {
		t.Errorf("asked %d times; %s", len(a.asked), w.problem())
	}
}

func TestTemplate(t *testing.T) {
	v := variables{Cursor: `a"b`, Since: moment{time.Date(2026, 11, 21, 10, 0, 0, 500e6, time.UTC)}, Token: "t", Page: 2, Offset: 30}
	for in, want := range map[string]string{
		"plain": "plain", "{{.Cursor}} {{.Token}} {{.Page}} {{.Offset}}": `a"b t 2 30`, "{{.Cursor | json}}": `"a\"b"`,
		"{{.Since}}": "2026-11-21T10:00:00.5Z", "{{.Since | rfc3339}}": "2026-11-21T10:00:00Z", "{{unix .Since}}": "1795255200", "{{.Since | unix_ms}}": "1795255200500",
		`{{.Since | date "2006-01-02"}}`: "2026-11-21", `{{.Since | ago "1h" | rfc3339}}`: "2026-11-21T09:00:00Z", "{{.Until}}{{unix .Until}}{{.Now | rfc3339}}": "",
		`{{if .Cursor}}after{{else}}first{{end}}`: "after",
	} {
		made, err := parseText(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, err := made.with(&v); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"{{.Cusor}}": "can't evaluate field Cusor", "{{.Since | ago \"x\"}}": `"x" is no duration`, "{{": "unclosed action", "{{foo}}": `function "foo" not defined`} {
		if _, err := parseText(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
}
