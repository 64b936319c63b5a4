package nginx

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/record"
)

// long is the format that the captured lines were written with.
const long = Combined + ` "$http_x_forwarded_for" rt=$request_time ` +
	`uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time" ` +
	`upstream=$upstream_addr rid=$request_id cache=$upstream_cache_status`

func compile(tb testing.TB, format string) *Format {
	tb.Helper()
	f, err := Compile(format)
	if err != nil {
		tb.Fatalf("Compile(%q): %v", format, err)
	}
	return f
}

// quote returns the inside of the JSON string for s, as Docker writes it.
func quote(tb testing.TB, s string) string {
	tb.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text[1 : len(text)-1])
}

// fields matches line, plain and as Docker escapes it, and returns the fields that are
// there; nil if the line does not fit.
func fields(tb testing.TB, f *Format, line string) map[string]string {
	tb.Helper()
	match := func(line string, escaped bool) (map[string]string, scan.Result) {
		arena := []byte(`{"log":"` + line + `\n","stream":"stdout"}`)
		row := make([]record.Span, len(f.Names()))
		result := f.Match(row, arena, record.Span{Off: 8, Len: uint32(len(line))}, escaped)
		if result != scan.Matched {
			return nil, result
		}
		found := map[string]string{}
		for i, name := range f.Names() {
			if row[i] == (record.Span{}) {
				continue
			}
			value := string(arena[row[i].Off : row[i].Off+row[i].Len])
			if escaped {
				if err := json.Unmarshal([]byte(`"`+value+`"`), &value); err != nil {
					tb.Fatalf("%s of %q is cut within an escape: %q", name, line, value)
				}
			}
			found[name] = value
		}
		return found, result
	}
	plain, result := match(line, false)
	if result == scan.NeedPlain {
		tb.Fatalf("plain text needs to be plain: %q", line)
	}
	if escaped, result := match(quote(tb, line), true); result != scan.NeedPlain && utf8.ValidString(line) {
		if !maps.Equal(plain, escaped) || (plain == nil) != (escaped == nil) {
			tb.Fatalf("escaped %q has %q, plain %q", line, escaped, plain)
		}
	}
	return plain
}

func TestMatch(t *testing.T) {
	good := func(format, line, want string) {
		t.Helper()
		got := fields(t, compile(t, format), line)
		for _, pair := range strings.Split(want, "|") {
			name, value, present := strings.Cut(pair, "=")
			if v, ok := got[name]; got == nil || v != value || ok != present {
				t.Errorf("%q\nof %q\nis %q, want %q", name, line, v, pair)
			}
		}
	}
	bad := func(format, line string) {
		t.Helper()
		if got := fields(t, compile(t, format), line); got != nil {
			t.Errorf("%q fits %q: %q", format, line, got)
		}
	}
	const begin, end = `10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] `, ` "-" "curl/8"`
	good("combined", begin+`"GET /a?b&c HTTP/1.1" 200 512`+end, `remote_addr=10.0.0.1|remote_user=-|time_local=10/Oct/2000:13:55:36 -0700|`+
		`request=GET /a?b&c HTTP/1.1|method=GET|path=/a?b&c|protocol=HTTP/1.1|status=200|body_bytes_sent=512|http_referer=-|http_user_agent=curl/8`)
	// What the pattern of old misses.
	good("combined", begin+`"-" 408 0`+end, `request=-|status=408|method|path|protocol`)
	good("combined", begin+`"" 400 0`+end, `request=|status=400|method|path|protocol`)
	good("combined", begin+`"\x16\x03\x01" 400 157`+end, `request=\x16\x03\x01|status=400|method`)
	good("combined", begin+`"\x16\x03\x01 \x02 HTTP/1.1" 400 157`+end, `status=400|method|protocol`)
	good("combined", begin+`"GET / HTTP/1.1" 499 -`+end, `status=499|body_bytes_sent=-`)
	good("combined", `10.0.0.1 - bob smith [10/Oct/2000:13:55:36 -0700] "GET / HTTP/2.0" 200 5`+end, `remote_user=bob smith|status=200`)
	good("combined", `10.0.0.1 - a [b] [10/Oct/2000:13:55:36 -0700] "GET / HTTP/2.0" 200 5`+end, `remote_user=a|time_local=b] [10/Oct/2000:13:55:36 -0700`)
	good("combined", `::1 -  [10/Oct/2000:13:55:36 -0700] "GET / HTTP/2.0" 200 5`+end, `remote_user=|remote_addr=::1`)
	tail := `"-" rt=0.005 uct="0.000, 0.001" uht="-, -" urt="0.004 : 0.1" upstream=10.0.0.2:80, 10.0.0.3:80 : [::1]:81, unix:/a rid=abc cache=-`
	line := begin + `"GET /up HTTP/1.1" 502 512` + end + " " + tail
	good("combined", line, `status=502|http_user_agent=curl/8`)
	good(long, line, `status=502|upstream_connect_time=0.000, 0.001|upstream_response_time=0.004 : 0.1|`+
		`upstream_addr=10.0.0.2:80, 10.0.0.3:80 : [::1]:81, unix:/a|request_id=abc|upstream_cache_status=-|request_time=0.005`)
	good(`$upstream_addr $upstream_status $request_time`, `a:80, b:80 : c:80 502, 504 : 200 0.1`, `upstream_addr=a:80, b:80 : c:80|upstream_status=502, 504 : 200|request_time=0.1`)
	good(`$upstream_addr $upstream_status x`, `a : c 502 : 200 x`, `upstream_addr=a : c|upstream_status=502 : 200`)
	good(`$upstream_addr $upstream_status x`, "a\x14 : c 502 : 200 x", "upstream_addr=a\x14 : c|upstream_status=502 : 200")
	// Requests that are unusual, but requests.
	good("combined", begin+`"GET /a b HTTP/1.1" 200 5`+end, `method=GET|path=/a b|protocol=HTTP/1.1`)
	good("combined", begin+`"GET /old" 200 5`+end, `method=GET|path=/old|protocol`)
	good("combined", begin+`"M-SEARCH * HTTP/1.1" 405 5`+end, `method=M-SEARCH|path=*|protocol=HTTP/1.1`)
	good("combined", begin+`"GET /\x22q\x22 HTTP/1.1" 200 5`+end, `path=/\x22q\x22`)
	good("combined", begin+`"GET /é/€/😀 HTTP/1.1" 200 5`+end, `path=/é/€/😀`)
	bad("combined", "2024/01/01 [error] upstream timed out")
	bad("combined", "")
	bad("combined", begin+`"GET / HTTP/1.1" abc 5`+end)
	bad("combined", begin+`"GET / HTTP/1.1" 200 5 "-"`)
	bad("combined", begin+`"GET / HTTP/1.1" 200 5 - "-" "-"`)
	bad(long, begin+`"GET / HTTP/1.1" 200 5`+end)
	// Other formats.
	good(`escape=json {"t":"$time_iso8601","r":"$request","ua":"$http_user_agent","s":$status}`,
		`{"t":"2026-11-20T18:00:00+00:00","r":"GET /\"x HTTP/1.1","ua":"a\\\"b","s":200}`, `request=GET /\"x HTTP/1.1|http_user_agent=a\\\"b|status=200`)
	good(`log_format main '$remote_addr "$request" '
	                      '$status ${body_bytes_sent}b';`, `1.2.3.4 "GET / HTTP/1.0" 304 0b`, `status=304|body_bytes_sent=0|method=GET`)
	good(`log_format main escape=none "$host \"$request\" $status";`, `h "GET / HTTP/1.0" 304`, `status=304|host=h|path=/`)
	good(`"$request" $status "$status"`, `"GET / HTTP/1.0" 304 "304"`, `status=304`)
	good(`$host $my_var`, `h and the rest`, `my_var=and the rest`)
}

func TestCompile(t *testing.T) {
	bad := func(format, want string) {
		t.Helper()
		if _, err := Compile(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%q): %v, want %q", format, err, want)
		}
	}
	bad("", "no variables")
	bad("main", "no variables")
	bad("$a$b", "$a ends nowhere")
	bad("a $ b", "no variable follows")
	bad("${a", "no variable follows")
	bad("escape=xml $a", "escape=xml")
	bad("'$a", "does not end")
	bad("'$a' b", "quoted string is expected")
	got := compile(t, "combined").Names()
	want := "remote_addr remote_user time_local request status body_bytes_sent http_referer http_user_agent method path protocol"
	if strings.Join(got, " ") != want {
		t.Errorf("combined has %q, want %s", got, want)
	}
	if got := compile(t, "$a $b $a").Names(); len(got) != 2 {
		t.Errorf("a variable that is there twice: %q", got)
	}
}

// TestCapture counts the statuses in lines that a container wrote.
func TestCapture(t *testing.T) {
	text, err := os.ReadFile("testdata/blog-nginx-container-json.log")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"200": 14, "404": 3, "502": 1, "400": 2, "408": 1, "301": 1, "500": 1}
	for _, format := range []string{"combined", long} {
		f := compile(t, format)
		counts, lines := map[string]int{}, 0
		for line := range bytes.Lines(text) {
			lines++
			var entry struct{ Log string }
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatal(err)
			}
			if got := fields(t, f, strings.TrimSuffix(entry.Log, "\n")); got != nil {
				counts[got["status"]]++
			}
		}
		if lines != 24 || !maps.Equal(counts, want) {
			t.Errorf("%s: %v in %d lines, want %v", format, counts, lines, want)
		}
	}
}

func TestStopped(t *testing.T) {
	f := compile(t, "combined")
	line := `10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" abc`
	if got := f.Stopped([]byte(line)); line[got:] != "abc" {
		t.Errorf("stopped at %q", line[got:])
	}
}

func TestNoAllocations(t *testing.T) {
	f := compile(t, long)
	row := make([]record.Span, len(f.Names()))
	arena := []byte(quote(t, `10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b&c HTTP/1.1" 200 512 "-" "curl/8" "-" rt=0.005 uct="-" uht="-" urt="-" upstream=a:80, b:80 rid=a cache=-`))
	if n := testing.AllocsPerRun(100, func() {
		if f.Match(row, arena, record.Span{Len: uint32(len(arena))}, true) != scan.Matched {
			t.Error("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("combined", `10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 512 "-" "curl/8"`)
	f.Add(long, `10.0.0.1 - - [x] "\x16" 400 1 "-" "curl/8" "-" rt=0.005 uct="0.000" uht="0.004" urt="0.004" upstream=a:80, b:80 : c:80 rid=abc cache=-`)
	f.Add(`'$upstream_addr $upstream_status' '$my'`, `a, b : c 200, 300 x`)
	f.Add(`$request`, `GET /\u0020HTTP/1.1 HTTP\/1.1`)
	f.Fuzz(func(t *testing.T, format, line string) {
		p, err := Compile(format)
		if err != nil {
			return
		}
		fields(t, p, line)
		// Whatever is said to be escaped must do no harm.
		row := make([]record.Span, len(p.Names()))
		arena := []byte("ab" + line)
		body := record.Span{Off: 2, Len: uint32(len(line))}
		if p.Match(row, arena, body, true) == scan.Matched {
			for i, s := range row {
				if s != (record.Span{}) && (s.Off < body.Off || s.Off+s.Len > body.Off+body.Len) {
					t.Fatalf("%s is %v, beyond the body %v", p.Names()[i], s, body)
				}
			}
		}
		p.Stopped([]byte(line))
	})
}

func BenchmarkMatch(b *testing.B) {
	f := compile(b, long)
	row := make([]record.Span, len(f.Names()))
	arena := []byte(quote(b, `100.64.101.214 - - [20/Nov/2026:18:00:00 +0000] "GET /static/fonts/inter-bb999f17.woff2 HTTP/1.1" 200 34105 "https://shop.example.com/blog/2026/11/backpack" `+
		`"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36" "-" rt=0.000 uct="-" uht="-" urt="-" upstream=- rid=61edf51b0028fa9d888463256ef0df06 cache=HIT`))
	body := record.Span{Len: uint32(len(arena))}
	arena = append(arena, `\n","stream":"stdout","time":"2026-11-20T18:00:00.000489695Z"}`...)
	for b.Loop() {
		if f.Match(row, arena, body, true) != scan.Matched {
			b.Fatal("no match")
		}
	}
}
