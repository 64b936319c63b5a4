package scan

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

// values matches text with p in all styles of escaping and returns name=value of the
// fields that are there, and whether it fits.
func values(tb testing.TB, p *Pattern, text string) (string, bool) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(uint64(len(text)), 1))
	var first string
	var fits bool
	for style := -1; style < styles; style++ {
		body := []byte(text)
		if style >= 0 {
			body = escapeAs(nil, body, style, rng)
		}
		row := make([]record.Span, len(p.Names()))
		arena := append([]byte("x"), body...)
		result := p.Match(row, arena, record.Span{Off: 1, Len: uint32(len(body))}, style >= 0)
		var found []string
		for i, name := range p.Names() {
			if result != Matched || row[i] == (record.Span{}) {
				continue
			}
			value := arena[row[i].Off : row[i].Off+row[i].Len]
			if style >= 0 {
				value = unescape(tb, value)
			}
			found = append(found, name+"="+string(value))
		}
		all := strings.Join(found, "|")
		if style < 0 {
			first, fits = all, result == Matched
		} else if result == NeedPlain || all != first || fits != (result == Matched) {
			tb.Errorf("%q as %q: %d %q, plain %q", text, body, result, all, first)
		}
	}
	return first, fits
}

func TestCompilePattern(t *testing.T) {
	good := func(expr, text, want string) {
		t.Helper()
		p, err := CompilePattern(expr)
		if err != nil {
			t.Errorf("CompilePattern(%q): %v", expr, err)
			return
		}
		if got, ok := values(t, p, text); !ok || got != want {
			t.Errorf("%q\nof %q\nis %v %q, want %q", expr, text, ok, got, want)
		}
	}
	const access = `<ip> - - <_> "<method> <uri> <_>" <status> <size>`
	good(access, `10.0.0.1 - - [x y] "GET /a&b HTTP/1.1" 200 5`, `ip=10.0.0.1|method=GET|uri=/a&b|status=200|size=5`)
	good(access, `10.0.0.1 - - [x y] "GET /a b" 200 5`, `ip=10.0.0.1|method=GET|uri=/a|status=200|size=5`)
	// What does not occur lets the field before it take the rest.
	good(access, `2026 upstream timed out`, `ip=2026 upstream timed out`)
	good(access, `10.0.0.1 - - [x y] "GET`, `ip=10.0.0.1|method=GET`)
	good(`a <x> b`, `a  b`, `x=`)
	good(`<x>`, `é "q" \ <`, `x=é "q" \ <`)
	good(`<x> é <y>`, `a éé é <b`, `x=a éé|y=<b`)
	good(`<x> <not-a-name> <_>`, `1 <not-a-name> 2`, `x=1`)
	good(`<x>  <_y1>>`, `1 2   3 4>5`, `x=1 2|_y1= 3 4`)
	good(`<x>\n<y>`, `a\n\nb`, `x=a|y=\nb`)
	none := func(expr, text string) {
		t.Helper()
		p, err := CompilePattern(expr)
		if err != nil {
			t.Errorf("CompilePattern(%q): %v", expr, err)
			return
		}
		if got, ok := values(t, p, text); ok {
			t.Errorf("%q fits %q: %q", expr, text, got)
		}
	}
	none(`a <x>`, `b c`)
	none(`a <x>`, ``)
	none(`<x>`, ``)
	bad := func(expr, want string) {
		t.Helper()
		if _, err := CompilePattern(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CompilePattern(%q): %v, want %q", expr, err, want)
		}
	}
	bad(``, "name at least one field")
	bad(`<_> a`, "name at least one field")
	bad(`a b`, "name at least one field")
	bad(`<a><b>`, "field 1 of the pattern ends nowhere")
	bad(`<a> <a>`, "twice")
}

func TestCompileFields(t *testing.T) {
	fields := []Field{{"w", Word, `;"`}, {"q", Quoted, `" `}, {"d", Digits, " up="}, {"l", List, " "}, {"", Until, "] "}, {"r", Until, ""}}
	p, err := CompileFields("<", fields)
	if err != nil {
		t.Fatal(err)
	}
	good := func(text, want string) {
		t.Helper()
		if got, ok := values(t, p, text); !ok || got != want {
			t.Errorf("%q is %v %q, want %q", text, ok, got, want)
		}
	}
	good(`<w&é;"a b" 12 up=a:1, b:2 : c x] rest "of" it`, `w=w&é|q=a b|d=12|l=a:1, b:2 : c|r=rest "of" it`)
	good(`<w;"" 1 up=a, b : c : d, e :  ] x] `, `w=w|q=|d=1|l=a, b : c : d, e|r=x] `)
	good(`<w;"" 1 up=a,b  : c]]] `, `w=w|q=|d=1|l=a,b|r=`)
	bad := func(text string) {
		t.Helper()
		if got, ok := values(t, p, text); ok {
			t.Errorf("fits %q: %q", text, got)
		}
	}
	bad(``)
	bad(`x`)
	bad(`<;"" 1 up=a x] `)
	bad(`<w;"" x up=a x] `)
	bad(`<w;"" 1 up= x] `)
	bad(`<w;"" 1 up=a x]`)
	if got := p.Stopped([]byte(`<w;"abc" x`)); got != 9 {
		t.Errorf("stopped at %d, want 9", got)
	}
	if _, err := CompileFields("", []Field{{"a", Until, ""}, {"b", Until, ""}}); err == nil {
		t.Error("fields without an end compile")
	}
}

func FuzzCompilePattern(f *testing.F) {
	f.Add(`<ip> - - <_> "<method> <uri> <_>" <status>`, `10.0.0.1 - - [x y] "GET /a&b HTTP/1.1" 200 5`)
	f.Add(`"<a>é<b>\`, `"1é2\`)
	f.Add(`<a> <b>`, `<a&b, c : d : e;"x" 12 up=a, b : c, d e :  f] x] y`)
	fields, err := CompileFields("<", []Field{{"a", List, `;"`}, {"b", Quoted, `" `}, {"c", Digits, " up="}, {"d", List, " "}, {"e", List, "] "}, {"f", Until, ""}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		values(t, fields, text)
		values(t, fields, "<"+text)
		p, err := CompilePattern(expr)
		if err != nil {
			return
		}
		values(t, p, text)
		p.Match(make([]record.Span, len(p.Names())), []byte(text), record.Span{Len: uint32(len(text))}, true)
	})
}
