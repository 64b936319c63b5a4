package jsontext_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// whole tells whether a text is one value, and white space around it.
func whole(text string) bool {
	s := jsontext.Scanner{Text: []byte(text)}
	s.Space()
	if !s.Skip(100) {
		return false
	}
	s.Space()
	return s.At == len(s.Text)
}

var valid = []string{
	`{}`, `[]`, ` [1 , -0.5e+10, 1E-2] `, `{"a":{"b":[true,false,null]},"c":""}`, `"` + strings.Repeat("x", 9) + `\"\\\u00Ff"`, "0", `"ä"`,
}

var wrong = []string{
	``, `{`, `[1,]`, `{"a"}`, `{"a":1,}`, `{a:1}`, `"\x"`, `"\u00g0"`, `"\u00`, "\"a\tb\"", `"abcdefgh`, `01`, `-`, `1.`, `1e`, `+1`, `tru`, `nul`, `[1 2]`, `1 2`,
}

func TestScanner(t *testing.T) {
	for _, text := range valid {
		if !whole(text) {
			t.Errorf("%s is refused", text)
		}
	}
	for _, text := range wrong {
		if whole(text) {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestScannerDepth(t *testing.T) {
	s := jsontext.Scanner{Text: []byte(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))}
	if s.Skip(999) {
		t.Error("deeper than was allowed")
	}
}

func TestInside(t *testing.T) {
	s := jsontext.Scanner{Text: []byte(`"plain" "a\"b" "open`)}
	for _, want := range []struct {
		inside      string
		escaped, ok bool
	}{{"plain", false, true}, {`a\"b`, true, true}, {"", false, false}} {
		s.Space()
		if !s.Take('"') {
			t.Fatal("no quote at", s.At)
		}
		if inside, escaped, ok := s.Inside(); string(inside) != want.inside || escaped != want.escaped || ok != want.ok {
			t.Errorf("%q, escaped %v, ok %v, want %+v", inside, escaped, ok, want)
		}
	}
	if s.Next('x') || s.Take('x') || s.Literal() {
		t.Error("something was taken behind the end")
	}
}

// FuzzScanner compares what is taken with what the standard library takes.
func FuzzScanner(f *testing.F) {
	for _, text := range append(valid, wrong...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "[")+strings.Count(text, "{") > 99 {
			return // deeper than whole goes, perhaps
		}
		if got, want := whole(text), json.Valid([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	})
}
