package crawl

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// nowhere is a line that takes everything and notes nothing.
type nowhere struct{}

func (nowhere) Position() record.Position                  { return record.Position{} }
func (nowhere) Close(bool)                                 {}
func (nowhere) Write(context.Context, *record.Batch) error { return nil }

// pageOf returns a page of records a millisecond apart.
func pageOf(n int) string {
	var b strings.Builder
	b.WriteString(`{"data":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"01hq%012d","at":"%s","level":"info","actor":{"id":%d,"name":"user \"%d\""},"text":"signed in from 203.0.113.7","agent":"Mozilla/5.0 (X11; Linux x86_64)"}`,
			i, day.Add(time.Duration(i)*time.Millisecond).Format("2006-01-02T15:04:05.000Z"), i, i)
	}
	return b.String() + `]}`
}

// paged returns what reads a page again and again, as if it were new.
func paged(t testing.TB, change func(*Stream)) func(page string) {
	c := standard(func(s *Stream) {
		s.Level, s.Fields = "level", map[string]string{"user": "actor.name"}
		if change != nil {
			change(s)
		}
	})
	st := newWorld(t).source(c, true).streams[0]
	var src strings.Reader
	return func(page string) {
		src.Reset(page)
		if err := st.open(nowhere{}); err != nil {
			t.Fatal(err)
		}
		if err := st.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		st.run.now = time.Now().UnixNano()
		if err := st.decoder.decode(&src, "json"); err != nil {
			t.Fatal(err)
		}
		if err := st.flush(); err != nil || st.at.count == 0 {
			t.Fatal(err)
		}
	}
}

// TestNoAllocations sees that nothing is allocated for a record but its place among the ids.
func TestNoAllocations(t *testing.T) {
	page := pageOf(2000)
	for _, order := range []Order{"any", "ascending"} {
		read := paged(t, func(s *Stream) { s.Order = order })
		read(page)
		if n := testing.AllocsPerRun(5, func() { read(page) }); n > 150 { // a map and two slices that grow
			t.Errorf("%s: %v allocations for 2000 records", order, n)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	page := pageOf(2000)
	read := paged(b, nil)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		read(page)
	}
}
