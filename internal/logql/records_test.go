package logql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/record"
)

// TestPages has answers in pieces, of records of which many have the same time.
func TestPages(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, app := range []string{"a", "b", "c"} {
		s := w.stream("app=" + app)
		for i := range 200 {
			l := line(fmt.Sprint(app, i))
			l.Time = moment + int64(i/40+r.IntN(3)) // it goes back now and then
			w.add(s, l)
			if r.IntN(30) == 0 {
				s.Seal(nil)
			}
		}
	}
	e := w.engine(logql.Options{})
	for _, direction := range []logql.Direction{logql.Forward, logql.Backward} {
		p := all(`{app=~".+"} |~ "[^3]$"`)
		p.Direction = direction
		whole := query(t, e, p).Entries
		if len(whole) != 540 {
			t.Fatalf("%d entries", len(whole))
		}
		for _, size := range []int{1, 7, 100} {
			p.Limit, p.After = size, nil
			var pieces []logql.Entry
			for {
				some := query(t, e, p).Entries
				if len(some) == 0 {
					break
				}
				pieces = append(pieces, some...)
				last := some[len(some)-1]
				p.After = &logql.Mark{Time: last.Time, Stream: last.Stream, Sequence: last.Sequence}
			}
			if !slices.EqualFunc(pieces, whole, func(a, b logql.Entry) bool { return a.Line == b.Line && a.Sequence == b.Sequence }) {
				t.Errorf("direction %d, pieces of %d: %d entries differ from %d", direction, size, len(pieces), len(whole))
			}
		}
	}
}

func TestOnly(t *testing.T) {
	w := newWorld(t)
	for _, app := range []string{"a", "b", "c"} {
		w.fill(w.stream("app="+app), 10, 3, func(int) kept.Record { return line(app) })
	}
	e := w.engine(logql.Options{})
	p := all(`{app=~"[ab]"}`)
	p.Only = func(id string, labels record.Labels) bool { return id != "test/app=a" && labels.Get("app") != "c" }
	if got := lines(query(t, e, p)); len(got) != 10 || got[0] != "b" {
		t.Errorf("%q", got)
	}
}

func TestRecords(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	w.fill(s, 100, 30, func(i int) kept.Record { return line(fmt.Sprint("line ", i+1)) })
	w.fill(w.stream("app=other"), 10, 3, func(int) kept.Record { return line("other") })
	e := w.engine(logql.Options{})
	check := func(ranges []logql.Range, want ...uint64) {
		t.Helper()
		got, err := e.Records(t.Context(), "test/app=shop", ranges)
		if err != nil {
			t.Fatal(err)
		}
		var numbers []uint64
		for _, r := range got.Entries {
			numbers = append(numbers, r.Sequence)
			if r.Line != fmt.Sprint("line ", r.Sequence) || r.Stream != "test/app=shop" || r.Time != moment+int64(r.Sequence-1)*int64(time.Second) {
				t.Errorf("%+v", r)
			}
			if len(r.Labels) != 2 || r.Labels[0].Value != "shop" || r.Labels[1].Value != "info" {
				t.Errorf("%+v", r.Labels)
			}
		}
		if !slices.Equal(numbers, want) {
			t.Errorf("%v: %v; want %v", ranges, numbers, want)
		}
	}
	check(nil)
	check([]logql.Range{{First: 1, Last: 3}}, 1, 2, 3)
	check([]logql.Range{{First: 29, Last: 31}, {First: 90, Last: 91}, {First: 99, Last: 200}}, 29, 30, 31, 90, 91, 99, 100)
	check([]logql.Range{{First: 0, Last: 0}, {First: 60, Last: 60}}, 60)
	check([]logql.Range{{First: 101, Last: 200}})
	if got, err := e.Records(t.Context(), "test/app=none", []logql.Range{{First: 1, Last: 1}}); got.Entries != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
