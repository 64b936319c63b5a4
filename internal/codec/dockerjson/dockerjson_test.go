package dockerjson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/dockerjson"
)

const nginxLine = `{"log":"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a/rather/long/path/to/some/thing?with=a\u0026query=string\u0026of=some\u0026length=1 HTTP/1.1\" 200 5120 \"https://www.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\" \"-\" rt=0.005 uct=\"0.000\" uht=\"0.004\" urt=\"0.004\" upstream=10.0.0.2:80 rid=0123456789abcdef0123456789abcdef cache=-\n","stream":"stdout","time":"2026-11-20T18:15:38.160676363Z"}`

func TestParse(t *testing.T) {
	at := func(text string) int64 {
		tm, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return tm.UnixNano()
	}
	good := func(in string, want dockerjson.Entry) {
		t.Helper()
		e, err := dockerjson.Parse([]byte(in))
		if err != nil || string(e.Log) != string(want.Log) || e.Escaped != want.Escaped || e.Partial != want.Partial || e.Stderr != want.Stderr || e.Time != want.Time {
			t.Errorf("Parse(%s) = %+v, %v\nwant %+v", in, e, err, want)
		}
	}
	const tail = `","stream":"stdout","time":"2026-11-20T18:07:46.11701285Z"}`
	now := at("2026-11-20T18:07:46.11701285Z")
	log := func(s string) []byte { return []byte(s) }
	good(`{"log":"hello\n`+tail, dockerjson.Entry{Log: log(`hello`), Time: now})
	good(`{"log":"\n`+tail, dockerjson.Entry{Log: log(``), Time: now})
	good(`{"log":"`+tail, dockerjson.Entry{Log: log(``), Partial: true, Time: now})
	good(`{"log":"piece`+tail, dockerjson.Entry{Log: log(`piece`), Partial: true, Time: now})
	good(`{"log":"a backslash and n: \\n`+tail, dockerjson.Entry{Log: log(`a backslash and n: \\n`), Escaped: true, Partial: true, Time: now})
	good(`{"log":"a backslash: \\\n`+tail, dockerjson.Entry{Log: log(`a backslash: \\`), Escaped: true, Time: now})
	good(`{"log":"\"q\" \\\"\n`+tail, dockerjson.Entry{Log: log(`\"q\" \\\"`), Escaped: true, Time: now})
	good(`{"log":"\",\"stream\":\"stderr\",\"time\":\"\n`+tail, dockerjson.Entry{Log: log(`\",\"stream\":\"stderr\",\"time\":\"`), Escaped: true, Time: now})
	good(`{"log":"ends with a backslash \\\\`+tail, dockerjson.Entry{Log: log(`ends with a backslash \\\\`), Escaped: true, Partial: true, Time: now})
	good(`{"log":"of a terminal\r\n`+tail, dockerjson.Entry{Log: log(`of a terminal`), Time: now})
	good(`{"log":"two\r\r\n`+tail, dockerjson.Entry{Log: log(`two\r`), Escaped: true, Time: now})
	good(`{"log":"a backslash and r \\r\n`+tail, dockerjson.Entry{Log: log(`a backslash and r \\r`), Escaped: true, Time: now})
	good(`{"log":"progress\r`+tail, dockerjson.Entry{Log: log(`progress\r`), Escaped: true, Partial: true, Time: now})
	good(`{"log":"é\n","stream":"stderr","time":"2026-11-20T18:07:46Z"}`, dockerjson.Entry{Log: log("é"), Stderr: true, Time: at("2026-11-20T18:07:46Z")})
	good(`{"log":"x\n","stream":"stdout","attrs":{"tag":"a\"b","n":{"m":[1,"]",{}]}},"time":"2024-02-29T23:59:59.5Z"}`, dockerjson.Entry{Log: log("x"), Time: at("2024-02-29T23:59:59.5Z")})
	good(`{"log":"x \"y\"\n","stream":"stderr","attrs":{},"time":"2024-02-29T23:59:59.5Z"}`, dockerjson.Entry{Log: log(`x \"y\"`), Escaped: true, Stderr: true, Time: at("2024-02-29T23:59:59.5Z")})
	good(`{"log":"x\n","stream":"stdout","attrs":null,"time":"2024-02-29T23:59:59.5Z"}`, dockerjson.Entry{Log: log("x"), Time: at("2024-02-29T23:59:59.5Z")})
	good(` { "time" : "1999-12-31T23:59:59.123456789+01:00" , "log" : "x\n" }`+"\r\n", dockerjson.Entry{Log: log("x"), Time: at("1999-12-31T23:59:59.123456789+01:00")})
	good(`{"log":"first\n","log":"last","stream":"stderr","stream":"stdout","time":"2026-11-20T18:07:46Z"}`, dockerjson.Entry{Log: log("last"), Partial: true, Time: at("2026-11-20T18:07:46Z")})
	good(`{"log":"x\n","extra":"y","stream":"stdout","time":"2026-11-20T18:07:46-00:30"}`, dockerjson.Entry{Log: log("x"), Time: at("2026-11-20T18:07:46-00:30")})
	good(`{"log":"x\n","stream":"stdout","time":"0001-01-01T00:00:00Z"}`, dockerjson.Entry{Log: log("x")})
	for _, in := range []string{
		`{"log":"x\n"}`,
		`{"log":"x\n","stream":"stdout","time":"2026-02-29T18:07:46Z"}`,
		`{"log":"x\n","stream":"stdout","time":"2026-11-20T18:07:46.Z"}`,
		`{"log":"x\n","stream":"stdout","time":"2026-11-20T24:07:46Z"}`,
		`{"log":"x\n","stream":"stdout","time":"2026-11-20T18:07:46+1:00"}`,
		`{"log":"x\n","stream":"stdout","time":""}`,
		`{"log":"x\n","stream":"stdout","time":null}`,
		`{"log":"x\n","time":7}`,
		`{"log":"x\n","time":{"a":[]}}`,
		`{"log":"x\n","time":"2026-11-20T18:07:46Z","time":"?"}`,
	} {
		good(in, dockerjson.Entry{Log: log("x")})
	}

	bad := func(in string) {
		t.Helper()
		if e, err := dockerjson.Parse([]byte(in)); err != dockerjson.ErrSyntax {
			t.Errorf("Parse(%s) = %+v, %v", in, e, err)
		}
	}
	bad(``)
	bad(`hello`)
	bad(`{`)
	bad(`{}`)
	bad(`{"time":"2026-11-20T18:07:46Z","msg":"not Docker's"}`)
	bad(`{"log":"torn{"log":"x\n` + tail)
	bad(`{"log":"x\n` + tail + `,`)
	bad(`{"log":"x\` + tail)
	bad(`{"log":"x\n","stream":"stdout","time":"2026-11-20T18:07:46Z"`)
	bad(`{"log":7,"stream":"stdout","time":"2026-11-20T18:07:46Z"}`)
	bad(`{"log":"x\n","a":` + strings.Repeat("[", 1e5) + `,"stream":"stdout","time":"2026-11-20T18:07:46Z"}`)
	bad(`{"log":"x\n","stream":"stdout","attrs":{"a":"b","time":"2024-02-29T23:59:59.5Z"}`)
	bad(`{"log":"x\n","stream":"stdout","attrs":,"time":"2024-02-29T23:59:59.5Z"}`)
	bad(`{"log":"x\n","a":,"stream":"stdout","time":"2026-11-20T18:07:46Z"}`)
}

// reference parses a line with encoding/json. It says whether the line is one of Docker's.
func reference(line []byte) (log string, stderr bool, ns int64, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	if !json.Valid(line) {
		return
	}
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return
	}
	var haveLog bool
	for d.More() {
		key, _ := d.Token()
		var value any
		if d.Decode(&value) != nil {
			return
		}
		text, isText := value.(string)
		switch key {
		case "log", "stream":
			if !isText {
				return
			}
		}
		switch key {
		case "log":
			log, haveLog = text, true
		case "stream":
			stderr = text == "stderr"
		case "time":
			at, err := time.Parse(time.RFC3339Nano, text)
			ns = at.UnixNano()
			if y := at.Year(); err != nil || y < 1678 || y > 2261 {
				ns = 0
			}
		}
	}
	return log, stderr, ns, haveLog
}

func FuzzParse(f *testing.F) {
	const tail = `","stream":"stdout","time":"2026-11-20T18:07:46.11701285Z"}`
	f.Add([]byte(nginxLine))
	for _, s := range []string{
		`{"log":"a \"b\" \\\\\n` + tail, `{"log":"\\n` + tail, `{"log":"x\u000a` + tail, `{"log":"x{"log":"y` + tail,
		`{"log":"x","b":"c` + tail, `{"log":"x\n","stream":"stdout","attrs":{"a":"b"},"time":"2026-11-20T18:07:46Z"}`,
		`{ "time":"2026-11-20T18:07:46+01:00","log":"\ud83d\ude00","n":[1,-2e3,true,null,{"a":[]}]}`, `{"log":"","time":"2024-02-29T00:00:00Z","log":"b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		log, stderr, ns, ok := reference(line)
		e, err := dockerjson.Parse(line)
		if !ok {
			return // whether we take it is the table's business; that we did not panic is not
		}
		if err != nil {
			if bytes.Contains(line, []byte(`\u`)) || bytes.Count(line, []byte("[")) > 50 || bytes.Count(line, []byte("{")) > 50 || bytes.Contains(line, []byte("-")) {
				return // an escape in a key, or depth
			}
			t.Fatalf("Parse(%s): %v", line, err)
		}
		if bytes.Contains(line, []byte(`\u00`)) || !utf8.Valid(line) {
			return // an escaped newline, or a key or name with escapes
		}
		want, ended := cutLineEnd(log)
		if got := dockerjson.Unescape(nil, e.Log); string(got) != want || e.Partial == ended || e.Stderr != stderr || e.Time != ns && e.Time != 0 {
			t.Errorf("Parse(%s) = %+v\nwant %q, %v, %v, %d", line, e, want, !ended, stderr, ns)
		}
		if e.Escaped != bytes.Contains(e.Log, []byte(`\`)) {
			t.Errorf("Parse(%s): escaped is %v", line, e.Escaped)
		}
	})
}

func cutLineEnd(log string) (text string, ended bool) {
	if text, ended = strings.CutSuffix(log, "\n"); ended {
		text = strings.TrimSuffix(text, "\r")
	}
	return text, ended
}

// FuzzRoundTrip writes messages as Docker does and reads them.
func FuzzRoundTrip(f *testing.F) {
	f.Add("hello\n", true, int64(1), int64(5))
	f.Add("a\\n", false, int64(1795198066), int64(117012850))
	f.Add("\\\n\",\"stream\":\"stderr\"", false, int64(-5), int64(0))
	f.Fuzz(func(t *testing.T, log string, stderr bool, sec, nano int64) {
		at := time.Unix(sec%9e9, nano%1e9).UTC()
		name := "stdout"
		if stderr {
			name = "stderr"
		}
		line := fmt.Sprintf(`{"log":"%s","stream":"%s","time":"%s"}`, dockerjson.Escape(nil, []byte(log)), name, at.Format(time.RFC3339Nano))
		e, err := dockerjson.Parse([]byte(line))
		if err != nil {
			t.Fatalf("Parse(%s): %v", line, err)
		}
		want, ended := cutLineEnd(log)
		want = string(bytes.ToValidUTF8([]byte(want), []byte("\uFFFD")))
		ns := at.UnixNano()
		if at.Year() < 1678 || at.Year() > 2261 {
			ns = 0
		}
		got := dockerjson.Unescape(nil, e.Log)
		if utf8.ValidString(log) && string(got) != want || e.Partial == ended || e.Stderr != stderr || e.Time != ns {
			t.Errorf("Parse(%s) = %+v, %q; want %q", line, e, got, want)
		}
	})
}

func TestParseDoesNotAllocate(t *testing.T) {
	lines := [][]byte{
		[]byte(nginxLine), []byte("x"),
		[]byte(`{"log":"x\n","stream":"stdout","attrs":{"tag":"a","b":[{}]},"time":"2026-11-20T18:07:46Z"}`),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, line := range lines {
			_, _ = dockerjson.Parse(line)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	line := []byte(nginxLine)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := dockerjson.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAttrs(b *testing.B) {
	line := bytes.Replace([]byte(nginxLine), []byte(`"time"`), []byte(`"attrs":{"tag":"nginx"},"time"`), 1)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := dockerjson.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
