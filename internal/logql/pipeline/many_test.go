package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/record"
)

// TestManyFields: of a line with more fields than are looked through one by one each is
// there once, the first of its name, also where stages change labels between two parsers.
func TestManyFields(t *testing.T) {
	const n = 300
	var pairs strings.Builder
	for i := range 2 * n {
		fmt.Fprintf(&pairs, "f%d=%d ", i%n, i)
	}
	p := compile(t, `{a="b"} | logfmt | drop f7, app | label_format x=f8, f9="nine" | logfmt | f299 > 5`, pipeline.Need{All: true})
	r := p.NewRunner()
	r.Stream(record.Labels{{Name: "app", Value: "shop"}})
	r.Block(block(pairs.String()))
	if !r.Next() || !r.Process() {
		t.Fatal("the line does not pass")
	}
	got := r.Labels()
	if len(got) != n { // without f7 and f8, with x and the level
		t.Errorf("%d labels", len(got))
	}
	for i := range n {
		want := fmt.Sprint(i)
		switch i {
		case 7, 8:
			want = ""
		case 9:
			want = "nine"
		}
		if is := got.Get(fmt.Sprint("f", i)); is != want {
			t.Errorf("f%d is %q, wanted %q", i, is, want)
		}
	}
	if got.Get("x") != "8" {
		t.Errorf("x is %q", got.Get("x"))
	}
}
