package docker

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

func sample(n int, path string) cursor {
	c := cursor{since: 5, path: path}
	if path != "" {
		c.file, c.shift = []byte("position of the file"), -77
	}
	for i := range n {
		c.add(int64(1_800_000_000_000_000_000+i/3), mark{hash: uint32(i * 2654435761), size: int64(i%5 + 1)})
	}
	return c
}

func TestCursorRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 33, 100} {
		for _, path := range []string{"", "/var/lib/docker/containers/x/x-json.log"} {
			c := sample(n, path)
			c.ended = n%2 == 1
			b := c.appendTo(nil)
			got, err := decodeCursor(b)
			if err != nil || !bytes.Equal(got.appendTo(nil), b) || got.pos != c.pos || got.time != c.time || got.run != c.run || got.ended != c.ended || got.path != c.path {
				t.Errorf("%d records, path %q: %+v, %v", n, path, got, err)
			}
			for i := range got.n {
				if got.back(i) != c.back(i) {
					t.Errorf("%d records: mark %d is %+v", n, i, got.back(i))
				}
			}
		}
	}
	if n := len(func() []byte { c := sample(100, ""); return c.appendTo(nil) }()); n > 256 {
		t.Errorf("a cursor takes %d bytes", n)
	}
}

func TestCursorDamaged(t *testing.T) {
	c := sample(40, "")
	b := c.appendTo(nil)
	for i := range len(b) {
		if _, err := decodeCursor(b[:i]); err == nil {
			t.Errorf("%d of %d bytes were taken", i, len(b))
		}
	}
	for name, bad := range map[string][]byte{"more": append(bytes.Clone(b), 0), "newer": append([]byte{99}, b[1:]...), "no path": {1, flagFile, 0, 0, 0, 0, 0, 0, 0}} {
		if _, err := decodeCursor(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, path := range []string{"", "/p"} {
		c := sample(40, path)
		f.Add(c.appendTo(nil))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCursor(b)
		if err != nil {
			return
		}
		again, err := decodeCursor(c.appendTo(nil))
		if err != nil || !bytes.Equal(again.appendTo(nil), c.appendTo(nil)) {
			t.Fatalf("%+v came back as %+v, %v", c, again, err)
		}
		c.held(c.pos / 2)
		c.add(1, mark{size: 1})
	})
}

func TestHeld(t *testing.T) {
	check := func(c cursor, resume int64, records int, exact bool) {
		t.Helper()
		if n, ok := c.held(resume); n != records || ok != exact {
			t.Errorf("held(%d) of %d is %d, %v; want %d, %v", resume, c.pos, n, ok, records, exact)
		}
	}
	c := cursor{}
	check(c, 0, 0, true)
	for range 100 {
		c.add(1, mark{size: 1})
	}
	check(c, 100, 0, true)
	check(c, 99, 1, true)
	check(c, 68, 32, true)
	check(c, 10, 90, true) // through the API a record is one long
	c.path = "/p"
	check(c, 10, 32, false)
	c = cursor{path: "/p"}
	c.add(1, mark{size: 80})
	c.add(2, mark{size: 70})
	c.grow(30) // what is no record belongs to the last
	check(c, 180, 0, true)
	check(c, 80, 1, true)
	check(c, 0, 2, true)
	c.anchor(500, []int64{380, 400}) // the last two are at 380 and 400 of a file now
	if c.pos != 300 || c.pos-c.shift != 500 {
		t.Errorf("anchored at %d with %d", c.pos, c.shift)
	}
	check(c, 400+c.shift, 1, true)
	check(c, 380+c.shift, 2, true)
}

// The matcher finds the place after any record of a log, whatever of the log's start is
// gone, and whatever times and texts are the same.
func TestMatcher(t *testing.T) {
	type entry struct {
		time int64
		hash uint32
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var log []entry
		now := int64(1000)
		for len(log) < 300 {
			switch rng.IntN(6) {
			case 0: // pieces of one time, often of one text
				h := uint32(rng.IntN(2))
				for range rng.IntN(60) {
					log = append(log, entry{now, h})
				}
			case 1:
				now -= int64(rng.IntN(1000)) // the clock is set back
			}
			now += int64(rng.IntN(5)) + 1
			log = append(log, entry{now, rng.Uint32N(3)})
		}
		at := rng.IntN(len(log)) + 1
		var c cursor
		for _, e := range log[:at] {
			c.add(e.time, mark{hash: e.hash, size: 1})
		}
		gone := rng.IntN(at)
		if c.run > int64(at-gone) {
			gone = 0 // that would be a guess
		}
		for _, whole := range []bool{true, false} {
			if whole && gone > 0 {
				continue
			}
			m := newMatcher(&c, whole)
			found := 0
			for i, e := range log[gone:] {
				if m.step(e.time, e.hash) && found == 0 {
					found = gone + i + 1
				}
			}
			if found != at && !(found == 0 && !whole) {
				t.Fatalf("round %d, whole %v: found %d, want %d (run %d, gone %d)", round, whole, found, at, c.run, gone)
			}
			if found == 0 && m.best() == 0 {
				t.Fatalf("round %d: no trace of %d", round, at)
			}
		}
	}
}

func TestMatcherByTime(t *testing.T) {
	var c cursor
	for i := range 10 {
		c.add(int64(i), mark{hash: uint32(i), size: 1})
	}
	m := newMatcher(&c, true)
	for i := range 20 {
		if m.step(int64(i), uint32(i+1000)) {
			t.Error("a certain place in another log")
		}
	}
	if m.best() != 10 {
		t.Errorf("by time: %d", m.best())
	}
}

// A line of the file without a time counts as one of the time before it, so that the cursor
// can be found by time in what the engine tells.
func TestRecordWithoutTime(t *testing.T) {
	var c cursor
	m := newMatcher(&c, true)
	c.add(7, mark{hash: 1, size: 1})
	c.add(0, mark{hash: 2, size: 1})
	if c.time != 7 || c.run != 2 {
		t.Errorf("the cursor is at time %d, run %d", c.time, c.run)
	}
	if m.step(7, 1) || !m.step(0, 2) {
		t.Error("the matcher counts otherwise")
	}
}

// What a batch of the file costs beside reading it.
func TestFileLineAllocations(t *testing.T) {
	x := &follower{fleet: &fleet{deps: testDeps(t)}, line: discard{}}
	l := &fileLine{x: x}
	var b record.Batch
	pos := int64(0)
	run := func() {
		b.Reset(&x.in)
		for range 500 {
			body := b.Append([]byte(`GET \"/index.html\" 200 0.004`))
			b.Records = append(b.Records, record.Record{Time: pos, Start: pos, End: pos + 100, Body: body, Flags: record.Escaped})
			pos += 100
		}
		b.Position.Source = append(b.Position.Source, "position"...)
		b.Position.Resume = [2]int64{pos, pos}
		if err := l.Write(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(50, run); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// discard is a line that takes everything.
type discard struct{}

func (discard) Write(context.Context, *record.Batch) error { return nil }
func (discard) Position() record.Position                  { return record.Position{} }
func (discard) Close(bool)                                 {}
