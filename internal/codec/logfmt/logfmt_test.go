package logfmt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/logfmt"
	"github.com/weirlog/weir/internal/record"
)

func match(body string, names ...string) (got []string, ok bool) {
	b := &record.Batch{}
	b.Append([]byte("before "))
	span := b.Append([]byte(body))
	row := make([]record.Span, len(names))
	ok = logfmt.New(names).Match(b, span, row)
	for _, s := range row {
		if s == (record.Span{}) {
			got = append(got, "<none>")
		} else {
			got = append(got, string(b.Bytes(s)))
		}
	}
	return got, ok
}

func each(body string) string {
	var got []string
	logfmt.Each([]byte(body), func(name string, value []byte) bool {
		got = append(got, name+"="+string(value))
		return name != "stop"
	})
	return strings.Join(got, "|")
}

func TestMatch(t *testing.T) {
	good := func(in, want string) {
		t.Helper()
		got, ok := match(in, "a", "level")
		if !ok || strings.Join(got, "|") != want {
			t.Errorf("Match(%q) = %q, %v; want %s", in, got, ok, want)
		}
	}
	good(`a=1`, "1|<none>")
	good(`  level=info a="x y" `, "x y|info")
	good(`bare a= level="" more`, "|")
	good(`a=`, "|<none>")
	good(`a=1 a=2`, "2|<none>")
	good(`a="with \"quotes\" and \\ \u00e9\n" b`, "with \"quotes\" and \\ é\n|<none>")
	good(`a="not ended \" level=x`, `not ended " level=x|<none>`)
	good(`a="x"y level=z`, "x|z")
	good(`a=it's"odd" level=z=1`, `it's"odd"|z=1`)
	good("a=tab\tlevel=\xff", "tab|\xff")
	good(`time=2026-11-20T17:56:45.088Z level=ERROR msg="it broke" k.x/y=1`, "<none>|ERROR")
	good(`some text, then b=1`, "<none>|<none>")
	bad := func(in string) {
		t.Helper()
		if got, ok := match(in, "a"); ok {
			t.Errorf("Match(%q) = %q", in, got)
		}
	}
	bad(``)
	bad(`no pairs here`)
	bad(`=x`)
	bad(`GET /index.html?a=1 HTTP/1.1`)
	bad(`a = 1`)
	bad(`{"a":"b=c"}`)
	bad(`x("a=1")`)
}

func TestEach(t *testing.T) {
	good := func(in, want string) {
		t.Helper()
		if got := each(in); got != want {
			t.Errorf("Each(%q): %q; want %q", in, got, want)
		}
	}
	good(`level=info skipped msg="a \"b\"" x=`, `level=info|msg=a "b"|x=`)
	good(`a=1 stop=2 c=3`, `a=1|stop=2`)
	good(`nothing`, ``)
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{`a=1 b="x \" y" bare c=`, `a="unended`, `=`, `a==`, `a="x"y b=`, "\x00a=1\x01b=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		last := map[string]string{}
		n := 0
		logfmt.Each([]byte(in), func(name string, value []byte) bool {
			last[name] = string(value)
			n++
			return true
		})
		got, ok := match(in, "a", "b")
		if ok != (n > 0) {
			t.Fatalf("Match(%q) = %v; Each visits %d", in, ok, n)
		}
		for i, name := range []string{"a", "b"} {
			if want, there := last[name]; there && got[i] != want || !there && got[i] != "<none>" {
				t.Errorf("Match(%q): %s is %q; want %q", in, name, got[i], want)
			}
		}
	})
}

// FuzzRoundTrip writes pairs and reads them.
func FuzzRoundTrip(f *testing.F) {
	f.Add("key", "value", "quo\"ted\\ \n")
	f.Add("a", "", "é\x00")
	f.Fuzz(func(t *testing.T, key, bare, quoted string) {
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_.-/@:") != "" || strings.ContainsFunc(bare, func(r rune) bool { return r <= ' ' }) || strings.HasPrefix(bare, `"`) {
			return
		}
		line := fmt.Sprintf(`skip %s=%s q="%s"`, key, bare, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(quoted))
		got, ok := match(line, key, "q")
		if !ok || got[1] != quoted || key != "q" && got[0] != bare {
			t.Errorf("%q gives %q, %v", line, got, ok)
		}
	})
}

const line = `time=2026-11-20T18:07:46.117Z level=INFO source=/src/main.go:57 msg="request served" http.method=GET http.path=/api/v1/items http.status=200 bytes=5120 duration=12.3ms user=alice trace=0af7651916cd43dd8448eb211c80319c`

func TestMatchDoesNotAllocate(t *testing.T) {
	m := logfmt.New([]string{"level", "msg"})
	b := &record.Batch{Arena: make([]byte, 0, 4096)}
	row := make([]record.Span, 2)
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(nil)
		for _, s := range []string{line, `msg="with \"escapes\""`, "junk"} {
			off := len(b.Arena)
			b.Arena = append(b.Arena, s...)
			m.Match(b, record.Span{Off: uint32(off), Len: uint32(len(s))}, row)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	m := logfmt.New([]string{"level", "http.status"})
	batch := &record.Batch{}
	body := batch.Append([]byte(line))
	row := make([]record.Span, 2)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if !m.Match(batch, body, row) {
			b.Fatal("no match")
		}
	}
}

func Example() {
	logfmt.Each([]byte(`level=warn msg="disk is \"nearly\" full" used=93% retry`), func(name string, value []byte) bool {
		fmt.Printf("%s: %s\n", name, value)
		return true
	})
	// Output:
	// level: warn
	// msg: disk is "nearly" full
	// used: 93%
}
