package archive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

var shop = record.Stream{ID: "docker/shop", Source: "docker", Labels: record.Labels{{Name: "container", Value: "shop"}}}

// small is a bound under which blocks have 16 KiB and segments 64 KiB.
var small = Bound{Size: 512 << 10}

// lines returns n records from the number first on, with levels and a field. Their text
// does not compress to nothing.
func lines(first, n int) []byte {
	var a kept.Appender
	var text []byte
	rnd := rand.New(rand.NewPCG(uint64(first), 3))
	for i := first; i < first+n; i++ {
		body := fmt.Appendf(nil, "%d id=%016x%016x \"quoted\"", i, rnd.Uint64(), rnd.Uint64())
		text = a.Append(text, &kept.Record{
			Time: int64(i) * 1e9, Level: record.Level(i % 7), Body: body,
			Fields: []kept.Field{{Name: []byte("status"), Value: []byte([]string{"200", "404", "500"}[i%3])}},
		})
	}
	return text
}

func open(t *testing.T, fs *disk.Faulty, states map[string][]byte) *Archive {
	t.Helper()
	a, err := Open(Options{Tree: fs}, states)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fill adds n lines of shop in pieces, makes them durable, and returns the states.
func fill(t *testing.T, a *Archive, n int) map[string][]byte {
	t.Helper()
	s := a.Stream(shop, small)
	for i := 1; i <= n; i += 50 {
		s.Add(nil, kept.TextOf(lines(i, min(50, n+1-i))))
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
		a.Show()
	}
	return checkpoint(t, a)
}

func checkpoint(t *testing.T, a *Archive) map[string][]byte {
	t.Helper()
	if err := a.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	states := map[string][]byte{}
	for _, s := range a.All() {
		st, err := s.AppendState(nil)
		if err != nil {
			t.Fatal(err)
		}
		states[s.ID()] = st
	}
	a.Forgotten()
	return states
}

// read returns the numbers of the lines that can be read, the number of blocks that cannot,
// and the numbers that those should have.
func read(t *testing.T, a *Archive) (numbers []int, bad int) {
	t.Helper()
	s := a.Find(shop.ID)
	if s == nil {
		return nil, 0
	}
	v := s.View()
	defer v.Close()
	var d Decoder
	for i := range v.Len() {
		text, err := v.AppendText(nil, i, &d)
		if err != nil {
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) && !errors.Is(err, ErrGone) {
				t.Errorf("block %d: %v", i, err)
			}
			bad++
			continue
		}
		for line := range kept.Lines(text) {
			l, err := kept.Parse(line)
			if err != nil {
				t.Errorf("block %d has the line %q", i, line)
				continue
			}
			if len(l.Gap) > 0 {
				bad++
				continue
			}
			word, _, _ := strings.Cut(string(l.Body), " ")
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Errorf("block %d has the line %q", i, line)
			}
			numbers = append(numbers, n)
		}
	}
	return numbers, bad
}

func TestComesBack(t *testing.T) {
	var fs disk.Faulty
	states := fill(t, open(t, &fs, nil), 2000)
	for name, states := range map[string]map[string][]byte{"with states": states, "without the log": nil} {
		a := open(t, &fs, states)
		got, bad := read(t, a)
		if len(got) != 2000 || got[0] != 1 || !slices.IsSorted(got) || got[1999] != 2000 || bad > 0 {
			t.Errorf("%s: %d lines came back, %d blocks did not", name, len(got), bad)
		}
		s := a.Find(shop.ID)
		if got := s.Labels().String(); got != `{container="shop"}` || s.Source() != "docker" {
			t.Errorf("%s: labels %s", name, got)
		}
		if st := a.Stats(); st.Damaged != 0 || st.Streams != 1 {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// TestHeads: what is said of blocks is what is in them.
func TestHeads(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	fill(t, a, 2000)
	for _, a := range []*Archive{a, open(t, &fs, nil)} {
		v := a.Find(shop.ID).View()
		defer v.Close()
		records, levels, ok, bodies := 0, 0, 0, 0
		var d Decoder
		for i := range v.Len() {
			h := v.Head(i)
			if h.First != uint64(records+1) || h.MinTime != int64(h.First)*1e9 || h.MaxTime != int64(h.First+uint64(h.Records)-1)*1e9 || !h.Sorted {
				t.Errorf("block %d: %+v after %d records", i, h, records)
			}
			records += h.Records
			levels += h.Levels[record.LevelError]
			f := v.Fields(i)
			if len(f.Facets) != 1 || len(f.Facets[0].Values) != 3 || len(f.Open) > 0 || f.Many {
				t.Fatalf("block %d: fields %+v", i, f)
			}
			for _, value := range f.Facets[0].Values {
				if value.Value == "200" {
					ok += value.Records
				}
			}
			text, err := v.AppendText(nil, i, &d)
			if err != nil {
				t.Fatal(err)
			}
			for line := range kept.Lines(text) {
				bodies += len(kept.Unescape(nil, kept.BodyOf(line)))
			}
			bodies -= h.BodyBytes
		}
		if records != 2000 || levels != 286 || ok != 666 || bodies != 0 {
			t.Errorf("%d records, %d errors, %d with 200, bodies off by %d", records, levels, ok, bodies)
		}
		if v.Next() != 2001 {
			t.Errorf("Next = %d", v.Next())
		}
	}
}

// TestFilters: blocks without a needle are skipped, those with it never.
func TestFilters(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	fill(t, a, 2000)
	v := a.Find(shop.ID).View()
	defer v.Close()
	text := string(lines(951, 50))
	at := strings.Index(text, "id=") + 3
	for needle, want := range map[string]int{text[at : at+32]: 1, "not in any line": 0} {
		q := gram.NewQuery([]byte(needle), false)
		may := 0
		for i := range v.Len() {
			if v.MayContain(i, q) {
				may++
			}
		}
		if may < want || may > want+v.Len()/4+1 {
			t.Errorf("%q may be in %d of %d blocks", needle, may, v.Len())
		}
	}
}

// TestDamage flips, cuts and removes in every kind of file: what is intact is found, what is
// not is reported, and the archive opens and goes on.
func TestDamage(t *testing.T) {
	for seed := range uint64(150) {
		var fs disk.Faulty
		rnd := rand.New(rand.NewPCG(seed, 9))
		states := fill(t, open(t, &fs, nil), 2000)
		if rnd.IntN(2) == 0 {
			states = nil
		}
		names := fs.Names()
		name := names[rnd.IntN(len(names))]
		data := fs.Bytes(name)
		at := rnd.IntN(len(data))
		flipped := false
		switch rnd.IntN(3) {
		case 0:
			flipped = true
			data[at] ^= byte(1 + rnd.IntN(255))
			fs.SetBytes(name, data)
		case 1:
			fs.SetBytes(name, data[:at])
		case 2:
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		a := open(t, &fs, states)
		got, bad := read(t, a)
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("seed %d, %s: lines are out of order or twice", seed, name)
		}
		// Without the log nobody knows how long the files were.
		unknowable := states == nil && !flipped && (strings.HasSuffix(name, dataExt) || strings.HasSuffix(name, tailExt))
		if missing := 2000 - len(got); missing > 0 && bad == 0 && a.Stats().Damaged == 0 && !unknowable {
			t.Fatalf("seed %d, %s: %d lines are missing, and nothing says so", seed, name, missing)
		}
		if missing := 2000 - len(got); flipped && missing > 250 { // a block has some 220
			t.Fatalf("seed %d, %s at %d of %d: %d lines are missing", seed, name, at, len(data), missing)
		}
		if strings.HasSuffix(name, idxExt) || strings.HasSuffix(name, gramsExt) || strings.HasSuffix(name, metaName) {
			if len(got) != 2000 {
				t.Fatalf("seed %d: damage in %s cost %d lines", seed, name, 2000-len(got))
			}
		}
		s := a.Stream(shop, small)
		s.Add(nil, kept.TextOf(lines(2001, 10)))
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
		a.Show()
		if again, _ := read(t, a); len(again) != len(got)+10 || again[len(again)-1] != 2010 {
			t.Fatalf("seed %d, %s: %d lines, then 10 more make %d", seed, name, len(got), len(again))
		}
	}
}

// TestRetention: the oldest segments go, by size, by age and for the node, and what is left
// is the end of the stream.
func TestRetention(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		bound   Bound
		after   time.Duration
	}{
		"size":        {bound: Bound{Size: 100 << 10}},
		"age":         {bound: Bound{Size: 512 << 10, Age: time.Hour}, after: 2 * time.Hour},
		"node's size": {options: Options{Total: Bound{Size: 100 << 10}}, bound: small},
		"node's age":  {options: Options{Total: Bound{Age: time.Hour}}, bound: small, after: 2 * time.Hour},
	} {
		var fs disk.Faulty
		c.options.Tree = &fs
		a, err := Open(c.options, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := a.Stream(shop, c.bound)
		for i := 1; i <= 5000; i += 50 {
			s.Add(nil, kept.TextOf(lines(i, 50)))
			if err := a.Flush(); err != nil {
				t.Fatal(err)
			}
			a.Show()
		}
		a.Retain(time.Now().Add(c.after))
		got, bad := read(t, a)
		if len(got) == 0 || len(got) == 5000 || got[0] != 5001-len(got) || got[len(got)-1] != 5000 || bad > 0 {
			t.Errorf("%s: %d lines are left, %v", name, len(got), got[:min(3, len(got))])
		}
		if c.after == 0 && s.onDisk() > 100<<10 {
			t.Errorf("%s: %d bytes are left", name, s.onDisk())
		}
		if st := a.Stats(); st.Removed != uint64(5000-len(got)) {
			t.Errorf("%s: %d lines are left, %+v", name, len(got), st)
		}
	}
}

// TestFloor: with less free space than the floor the archive says that it is full.
func TestFloor(t *testing.T) {
	var fs disk.Faulty
	a, err := Open(Options{Tree: &fs, Floor: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, limit := range []int64{1 << 19, 1 << 30} {
		fs.Limit(limit)
		a.Retain(now.Add(time.Duration(i) * time.Minute))
		if full := a.Full(); full != (i == 0) {
			t.Errorf("with %d bytes: full = %v", limit, full)
		}
	}
}

// TestTail: a live reader gets what is published, and a slow one is told what it lost.
func TestTail(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	tail := a.Tail(func(ls record.Labels) bool { return ls.Get("container") == "shop" }, 2000)
	if other := (record.Stream{ID: "x"}); a.Followed(&other) || !a.Followed(&shop) {
		t.Error("Followed does not ask the match")
	}
	a.Publish(&shop, lines(1, 2), 2)
	chunks, lost, err := tail.Next(t.Context())
	if len(chunks) != 1 || lost != 0 || err != nil || chunks[0].Stream.ID != shop.ID || string(chunks[0].Text) != string(lines(1, 2)) {
		t.Errorf("Next = %v, %d, %v", chunks, lost, err)
	}
	for i := range 100 {
		a.Publish(&shop, lines(i, 1), 1)
	}
	chunks, lost, err = tail.Next(t.Context())
	if len(chunks)+lost != 100 || lost == 0 || err != nil {
		t.Errorf("%d chunks, %d lost, %v", len(chunks), lost, err)
	}
	tail.Close()
	a.Publish(&shop, lines(1, 1), 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if chunks, _, err := tail.Next(ctx); len(chunks) != 0 || err == nil {
		t.Errorf("after Close: %v, %v", chunks, err)
	}
}

// TestWait returns with each Show, and with the context.
func TestWait(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	seen := make(chan uint64)
	before, err := a.Wait(t.Context(), 0)
	if err != nil || before != 1 {
		t.Fatalf("at the start Wait = %d, %v", before, err)
	}
	go func() {
		v, err := a.Wait(t.Context(), before)
		if err != nil {
			t.Error(err)
		}
		seen <- v
	}()
	fill(t, a, 10)
	if v := <-seen; v != 2 {
		t.Errorf("version %d", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Wait(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
}

func FuzzEntry(f *testing.F) {
	b := block{Head: Head{First: 7, Records: 3, Gaps: 1, MinTime: -5, MaxTime: 9, Sorted: true, Bytes: 100, BodyBytes: 50}, fields: appendFields(nil, &Fields{Facets: []Facet{{"status", []FacetValue{{"200", 2}}}}, Open: []string{"id"}}), frameAt: 10, frameBytes: 20, frameSum: 5, gramsAt: 3, gramsBytes: 4, gramsSum: 6, written: 99}
	f.Add(appendEntry(nil, &b))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, n, err := parseEntry(in)
		if err != nil {
			return
		}
		if n > len(in) {
			t.Fatalf("an entry of %d bytes in %d", n, len(in))
		}
		again, _, err := parseEntry(appendEntry(nil, &e))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(e) {
			t.Errorf("%+v came back as %+v, %v", e, again, err)
		}
	})
}

func FuzzReplay(f *testing.F) {
	var fs disk.Faulty
	a, err := Open(Options{Tree: &fs}, nil)
	if err != nil {
		f.Fatal(err)
	}
	s := a.Stream(shop, small)
	f.Add(s.Seal(s.Add(nil, kept.TextOf(lines(1, 3)))))
	f.Fuzz(func(t *testing.T, log []byte) {
		var fs disk.Faulty
		a := open(t, &fs, nil)
		s := a.Stream(shop, small)
		_ = s.Replay(log)
		_ = a.Flush()
		a.Show()
		v := s.View()
		defer v.Close()
		var d Decoder
		for i := range v.Len() {
			_, _ = v.AppendText(nil, i, &d)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add(emptyState)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseState(b)
	})
}

// TestUntil: text that is kept for sinks alone goes once all of them have it.
func TestUntil(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, small)
	s.Until([]string{"files", "other"})
	fill(t, a, 6000)
	now := time.Now()
	left := func(want int) {
		t.Helper()
		now = now.Add(time.Minute)
		look(a, now)
		if got, _ := read(t, a); len(got) != want {
			t.Errorf("%d lines are left, want %d", len(got), want)
		}
	}
	left(6000)
	s.Delivered("files", 6001)
	left(6000)
	s.Delivered("other", s.segments[1].first)
	left(6001 - int(s.segments[1].first))
	s.Delivered("other", 6001)
	left(0)
	for _, name := range fs.Names() {
		if strings.HasSuffix(name, dataExt) {
			t.Errorf("%s is left", name)
		}
	}
	s.Add(nil, kept.TextOf(lines(6001, 5)))
	a.Show()
	if got, _ := read(t, a); len(got) != 5 || got[0] != 6001 {
		t.Errorf("after that: %v", got)
	}
}
