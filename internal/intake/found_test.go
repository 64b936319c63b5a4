package intake_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

// TestFound: the streams of a request's parts come in their order, and take memory from the
// budget, none for parts of the same stream.
func TestFound(t *testing.T) {
	s := intake.NewStreams("s", 100, func(record.Labels) record.Level { return record.LevelUnknown })
	get := func(name string) *intake.Stream {
		st, err := s.Get([]byte(name), func() (record.Labels, error) { return record.NewLabels(map[string]string{"a": name}), nil })
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	budget := intake.Budget{Max: 100 << 10}
	var b intake.Body
	var f intake.Found
	for range 2 {
		b.Begin(&budget, 1<<10)
		var want []*intake.Stream
		add := func(st *intake.Stream) {
			t.Helper()
			if err := f.Add(s, &b, st); err != nil {
				t.Fatal(err)
			}
			want = append(want, st)
		}
		for range 100_000 {
			add(get("x"))
		}
		for i := range 50 {
			add(get(fmt.Sprint(i)))
			add(nil)
			add(nil)
			add(get("x"))
		}
		if budget.Used() > 20<<10 {
			t.Errorf("%d bytes are in use", budget.Used())
		}
		for i, st := range want {
			if got := f.Next(); got != st {
				t.Fatalf("another stream at %d", i)
			}
		}
		f.Release(s)
		b.End()
		if s.Len() != 0 || budget.Used() != 0 {
			t.Errorf("%d streams are open, %d bytes in use", s.Len(), budget.Used())
		}
	}
	b.Begin(&budget, 1<<10)
	var err error
	n := 0
	for ; err == nil; n++ {
		err = f.Add(s, &b, get(fmt.Sprint(n%2)))
	}
	if !errors.Is(err, intake.ErrBusy) || n > 10_000 {
		t.Errorf("%v after %d", err, n)
	}
	f.Release(s)
	b.End()
	if s.Len() != 0 || budget.Used() != 0 {
		t.Errorf("%d streams are open, %d bytes in use", s.Len(), budget.Used())
	}
}
