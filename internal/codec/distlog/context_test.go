package distlog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// TestContexts: a context that another one follows costs no more than it has, and what is
// before and behind it stays.
func TestContexts(t *testing.T) {
	all := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const half = 2000
	for name, c := range map[string]struct {
		text  string
		attrs int
	}{
		"empty ones behind":   {`{"x":1` + all(`,"a%d":1`, half) + strings.Repeat(`,"context":{}`, 300_000) + `}`, half + 1},
		"small ones behind":   {`{"x":1` + all(`,"a%d":1`, half) + strings.Repeat(`,"context":{"k":1}`, 200_000) + `}`, half + 2},
		"small ones between":  {`{"x":1` + all(`,"a%d":1,"context":{"k":1}`, half) + `}`, half + 2},
		"a large one before":  {`{"context":{"x":1` + all(`,"a%d":1`, half) + `}` + all(`,"b%d":1`, half) + `,"context":{"k":1},"z":2}`, half + 2},
		"large ones":          {`{"x":1` + strings.Repeat(`,"context":{"y":1`+all(`,"a%d":1`, half)+`}`, 100) + `}`, half + 2},
		"one that is no more": {`{"x":1,"context":{"k":1},"y":2,"context":null,"context":{"l":3},"z":1}`, 5},
	} {
		p := parser{Scanner: jsontext.Scanner{Text: []byte(c.text)}, most: maxAttrs}
		if !p.object(false) {
			t.Errorf("%s: %v", name, p.error())
		}
		if len(p.attrs) != c.attrs || p.moved > c.attrs {
			t.Errorf("%s: %d attributes, %d moved, want %d", name, len(p.attrs), p.moved, c.attrs)
		}
	}
}
