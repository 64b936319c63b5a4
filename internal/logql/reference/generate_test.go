package reference_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/logql/reference"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// TestGenerate asks whether what is generated is of use: every query is valid, is answered
// the same twice, and a good part of the answers is not empty.
func TestGenerate(t *testing.T) {
	answered, empty, failed := 0, 0, map[string]int{}
	for seed := range uint64(16) {
		streams, queries := reference.Generate(rand.New(rand.NewPCG(seed, 1)))
		for _, q := range queries {
			e, err := syntax.Parse(q.Text)
			if err != nil {
				t.Fatalf("%s: %v", q.Text, err)
			}
			r, err := reference.Eval(streams, e, q.Params)
			again, err2 := reference.Eval(streams, e, q.Params)
			if d := reference.Diff(r, again); d != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%s: %s, %v, %v", q.Text, d, err, err2)
			}
			switch {
			case err != nil:
				failed[fmt.Sprintf("%.15s", err)]++
			case len(r.Streams)+len(r.Matrix)+len(r.Vector) == 0 && r.Scalar == nil:
				empty++
			default:
				answered++
			}
		}
	}
	t.Logf("%d answered, %d empty, failed: %v", answered, empty, failed)
	if answered < 320 {
		t.Errorf("%d of 640 queries have an answer; %d are empty, failed: %v", answered, empty, failed)
	}
	if len(failed) < 3 {
		t.Errorf("too few kinds of failures: %v", failed)
	}
}

// TestNormalForms evaluates each query as it is printed and as it is formatted, which has
// to change nothing.
func TestNormalForms(t *testing.T) {
	for seed := range uint64(8) {
		streams, queries := reference.Generate(rand.New(rand.NewPCG(seed, 2)))
		for _, q := range queries {
			e, err := syntax.Parse(q.Text)
			if err != nil {
				t.Fatalf("%s: %v", q.Text, err)
			}
			pretty, err := syntax.Format(q.Text)
			if err != nil {
				t.Fatal(err)
			}
			want, err := reference.Eval(streams, e, q.Params)
			for _, text := range []string{e.String(), pretty} {
				again, err2 := syntax.Parse(text)
				if err2 != nil {
					t.Fatalf("%s is %s: %v", q.Text, text, err2)
				}
				got, err2 := reference.Eval(streams, again, q.Params)
				if d := reference.Diff(want, got); d != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
					t.Fatalf("%s is %s: %s, %v, %v", q.Text, text, d, err, err2)
				}
			}
		}
	}
}

// FuzzEval has any query about generated streams evaluated without a panic.
func FuzzEval(f *testing.F) {
	for seed := range uint64(3) {
		_, queries := reference.Generate(rand.New(rand.NewPCG(seed, 3)))
		for _, q := range queries {
			f.Add(q.Text, seed)
		}
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		e, err := syntax.Parse(text)
		if err != nil {
			return
		}
		streams, queries := reference.Generate(rand.New(rand.NewPCG(seed, 4)))
		_, _ = reference.Eval(streams, e, queries[0].Params)
	})
}
