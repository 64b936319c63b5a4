package scan

import (
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

// TestCompileSome wants some of the fields: they are what they are among all.
func TestCompileSome(t *testing.T) {
	expr := nginxRegex(t)
	all, err := Compile(expr)
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"status"}, {"remote_addr", "cache"}, {}} {
		some, err := CompileSome(expr, func(name string) bool { return slices.Contains(names, name) })
		if err != nil || !slices.Equal(some.Names(), names) {
			t.Fatalf("%q, %v; want %q", some.Names(), err, names)
		}
		for _, escaped := range []bool{false, true} {
			arena, bodies := dataset(t, escaped)
			rowOfAll, row := make([]record.Span, len(all.Names())), make([]record.Span, len(names))
			for _, body := range bodies {
				want := all.Match(rowOfAll, arena, body, escaped)
				if got := some.Match(row, arena, body, escaped); got != want {
					t.Fatalf("%q: result %d; want %d", names, got, want)
				}
				for i, name := range names {
					if at := rowOfAll[slices.Index(all.Names(), name)]; want == Matched && row[i] != at {
						t.Errorf("%s at %v; want %v", name, row[i], at)
					}
				}
			}
		}
	}
	if _, err := CompileSome(`(?P<a>x)(?P<a>y)`, func(string) bool { return false }); err == nil {
		t.Error("two groups have the same name")
	}
}

// TestToTheEnd has runs that end with the text, where it is less than a word long, and where
// more of the run's characters follow that are not the text's.
func TestToTheEnd(t *testing.T) {
	p, err := Compile(`^(?P<a>\S+) x=(?P<b>\S*)`)
	if err != nil {
		t.Fatal(err)
	}
	const behind = `","stream":"stdout","and":"more"`
	row := make([]record.Span, 2)
	for n := range 20 {
		line := "abc x=" + "0123456789abcdefghij"[:n]
		for _, arena := range []string{line, line + behind} {
			for _, escaped := range []bool{false, true} {
				if got := p.Match(row, []byte(arena), record.Span{Len: uint32(len(line))}, escaped); got != Matched || row[1] != (record.Span{Off: 6, Len: uint32(n)}) {
					t.Errorf("%q of %q: %d, %v", line, arena, got, row[1])
				}
			}
		}
	}
}
