package logql_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// moment is when the tests' records begin, in Unix nanoseconds.
const moment = int64(1_800_000_000e9)

// world is an archive that tests write to.
type world struct {
	t    testing.TB
	a    *archive.Archive
	disk *disk.Faulty
	app  kept.Appender
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, disk: &disk.Faulty{}}
	a, err := archive.Open(archive.Options{Tree: w.disk}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.a = a
	return w
}

// stream returns a stream with labels given as "app=shop env=prod".
func (w *world) stream(labels string) *archive.Stream {
	def := record.Stream{ID: "test/" + labels}
	for _, l := range strings.Fields(labels) {
		name, value, _ := strings.Cut(l, "=")
		def.Labels = append(def.Labels, record.Label{Name: name, Value: value})
	}
	return w.a.Stream(def, archive.Bound{})
}

func (w *world) add(s *archive.Stream, records ...kept.Record) {
	var text []byte
	for i := range records {
		text = w.app.Append(text, &records[i])
	}
	s.Add(nil, kept.TextOf(text))
}

// fill adds n records, a second from each other, in blocks of some records.
func (w *world) fill(s *archive.Stream, n, perBlock int, make func(i int) kept.Record) {
	for i := range n {
		r := make(i)
		r.Time = moment + int64(i)*1e9
		w.add(s, r)
		if i%perBlock == perBlock-1 {
			s.Seal(nil)
		}
	}
}

// engine shows what was added.
func (w *world) engine(o logql.Options) *logql.Engine {
	w.t.Helper()
	if err := w.a.Flush(); err != nil {
		w.t.Fatal(err)
	}
	w.a.Show()
	o.Archive = w.a
	return logql.New(o)
}

func line(body string) kept.Record { return kept.Record{Level: record.LevelInfo, Body: []byte(body)} }

// all is the range of time that everything is in.
func all(q string) logql.Params {
	return logql.Params{Query: q, Start: time.Unix(0, moment-1), End: time.Unix(0, moment).Add(100 * time.Hour)}
}

func query(t testing.TB, e *logql.Engine, p logql.Params) logql.Result {
	t.Helper()
	res, err := e.Query(t.Context(), p)
	if err != nil {
		t.Fatalf("%s: %v", p.Query, err)
	}
	return res
}

func lines(res logql.Result) (list []string) {
	for _, e := range res.Entries {
		list = append(list, e.Line)
	}
	return list
}

func TestSkipping(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	w.fill(s, 1000, 100, func(i int) kept.Record {
		r := line(fmt.Sprintf("request %d took a while", i))
		if i/100 == 3 {
			r.Level = record.LevelError
		}
		r.Fields = []kept.Field{{Name: []byte("shard"), Value: fmt.Append(nil, i/100)}}
		return r
	})
	w.fill(w.stream("app=other"), 100, 10, func(int) kept.Record { return line("request") })
	e := w.engine(logql.Options{Workers: 1})
	check := func(q string, want logql.Stats, answer int) {
		t.Helper()
		res := query(t, e, all(q))
		got := logql.Stats{Blocks: res.Stats.Blocks, ByLabel: res.Stats.ByLabel, ByText: res.Stats.ByText, FromIndex: res.Stats.FromIndex, BlocksRead: res.Stats.BlocksRead}
		if got != want {
			t.Errorf("%s: %+v; want %+v", q, got, want)
		}
		n := len(res.Entries)
		for _, s := range res.Series {
			n += int(s.Points[0].Value)
		}
		if n != answer {
			t.Errorf("%s has %d lines; want %d", q, n, answer)
		}
	}
	check(`{app="shop"} |= "request 777 "`, logql.Stats{Blocks: 10, ByText: 9, BlocksRead: 1}, 1)
	check(`{app="shop"} |~ "request (777|123) "`, logql.Stats{Blocks: 10, ByText: 8, BlocksRead: 2}, 2)
	check(`{app="shop"} |~ "(?i)REQUEST 777 "`, logql.Stats{Blocks: 10, ByText: 9, BlocksRead: 1}, 1)
	check(`{app="shop"} |= "request 777 " or "request 123 "`, logql.Stats{Blocks: 10, ByText: 8, BlocksRead: 2}, 2)
	check(`{app="shop"} |= "nothing like it"`, logql.Stats{Blocks: 10, ByText: 10}, 0)
	check(`{app="shop"} | detected_level="error"`, logql.Stats{Blocks: 10, ByLabel: 9, BlocksRead: 1}, 100)
	check(`{app="shop"} | shard="4"`, logql.Stats{Blocks: 10, ByLabel: 9, BlocksRead: 1}, 100)
	check(`{app="shop"} | shard>=8`, logql.Stats{Blocks: 10, ByLabel: 8, BlocksRead: 2}, 200)
	check(`{app="shop"} | shard>=8 or detected_level="error"`, logql.Stats{Blocks: 10, ByLabel: 7, BlocksRead: 3}, 300)
	check(`{app="shop"} | absent="x"`, logql.Stats{Blocks: 10, ByLabel: 10}, 0)
	check(`sum(count_over_time({app="shop"}[200h]))`, logql.Stats{Blocks: 10, FromIndex: 10}, 1000)
	check(`sum by (app) (count_over_time({app=~".+"}[200h]))`, logql.Stats{Blocks: 20, FromIndex: 20}, 1100)
	check(`sum by (detected_level) (count_over_time({app="shop"}[200h]))`, logql.Stats{Blocks: 10, FromIndex: 10}, 1000)
	check(`sum by (shard) (count_over_time({app="shop"} | detected_level="info" [200h]))`, logql.Stats{Blocks: 10, ByLabel: 1, FromIndex: 9}, 900)
	check(`sum(count_over_time({app="shop"} | shard>8 [200h]))`, logql.Stats{Blocks: 10, ByLabel: 9, FromIndex: 1}, 100)
	check(`sum(bytes_over_time({app="shop"} | shard="1" [200h]))`, logql.Stats{Blocks: 10, ByLabel: 9, FromIndex: 1}, 100*len("request 123 took a while"))
	check(`sum(count_over_time({app="shop"} |= "request 777 " [200h]))`, logql.Stats{Blocks: 10, ByText: 9, BlocksRead: 1}, 1)
}

func TestEdgesOfWindows(t *testing.T) {
	w := newWorld(t)
	w.fill(w.stream("app=shop"), 1000, 100, func(int) kept.Record { return line("x") })
	e := w.engine(logql.Options{})
	at := func(i int) time.Time { return time.Unix(0, moment+int64(i)*1e9) }
	res := query(t, e, logql.Params{Query: `sum(count_over_time({app="shop"}[250s]))`, Start: at(349), End: at(849), Step: 250 * time.Second})
	if st := res.Stats; st.FromIndex != 6 || st.BlocksRead != 2 || st.OutOfTime != 2 {
		t.Errorf("%+v", st)
	}
	for _, p := range res.Series[0].Points {
		if p.Value != 250 {
			t.Errorf("%+v", res.Series)
		}
	}
}

func TestLogsStopEarly(t *testing.T) {
	w := newWorld(t)
	for _, app := range []string{"a", "b", "c"} {
		w.fill(w.stream("app="+app), 1000, 100, func(i int) kept.Record { return line(fmt.Sprint(app, i)) })
	}
	e := w.engine(logql.Options{Workers: 1})
	p := all(`{app=~".+"}`)
	p.Limit = 5
	res := query(t, e, p)
	if got := strings.Join(lines(res), " "); got != "c999 b999 a999 c998 b998" || res.Stats.BlocksRead != 3 {
		t.Errorf("%s, %+v", got, res.Stats)
	}
	for _, e := range res.Entries {
		if want := uint64(999 + (e.Time-moment)/1e9 - 998); e.Sequence != want || e.Stream != "test/app="+e.Line[:1] {
			t.Errorf("%+v; want sequence %d", e, want)
		}
	}
	p.Direction, p.Start, p.End = logql.Forward, time.Time{}, time.Time{}
	if res = query(t, e, p); strings.Join(lines(res), " ") != "a0 b0 c0 a1 b1" || res.Stats.BlocksRead != 3 {
		t.Errorf("%s, %+v", lines(res), res.Stats)
	}
}

func TestGaps(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	gap := line("lost 5 bytes: rotated away")
	gap.Level, gap.Gap, gap.GapBytes, gap.Time = record.LevelWarn, "rotated away", 5, moment
	one := line("one")
	one.Time = moment + 1
	w.add(s, one, gap)
	e := w.engine(logql.Options{})
	res := query(t, e, all(`{app="shop"}`))
	if len(res.Entries) != 2 || !res.Entries[1].Gap || res.Entries[0].Gap {
		t.Errorf("%+v", res.Entries)
	}
	if res = query(t, e, all(`{app="shop"} | gap="rotated away"`)); len(res.Entries) != 1 {
		t.Errorf("%+v", res.Entries)
	}
	for _, q := range []string{`sum(count_over_time({app="shop"}[200h]))`, `sum(count_over_time({app="shop"} |~ "." [200h]))`} {
		if res = query(t, e, all(q)); res.Series[0].Points[0].Value != 1 {
			t.Errorf("%s: %+v", q, res.Series)
		}
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	w.fill(w.stream("app=shop"), 3000, 500, func(i int) kept.Record { return line(fmt.Sprintf("user=u%d n=%d", i, i)) })
	e := w.engine(logql.Options{MaxSeries: 100, MaxEntries: 50, MaxSteps: 10, MaxMemory: 1 << 20})
	bad := func(p logql.Params, text string) {
		t.Helper()
		_, err := e.Query(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), text) || !logql.IsUserError(err) {
			t.Errorf("%s: %v; want %q", p.Query, err, text)
		}
	}
	bad(all(`sum by (user) (count_over_time({app="shop"} | logfmt [200h]))`), "maximum of series (100)")
	bad(all(`{app="shop"`), "parse error")
	bad(all(`sum(count_over_time({app="shop"} | json [200h]))`), "pipeline error: 'JSONParserErr'")
	bad(all(`count_over_time({app="shop"}[200h]) + on () group_left count_over_time({app="shop"} | logfmt [200h])`), "many-to-many")
	p := all(`{app="shop"}`)
	p.Limit = 51
	bad(p, "max entries limit")
	p = all(`sum(count_over_time({app="shop"}[1m]))`)
	p.Step = time.Second
	bad(p, "maximum resolution of 10 points")
	if n := len(query(t, e, all(`{app="shop"}`)).Entries); n != 50 {
		t.Errorf("%d entries without a limit", n)
	}
	e = logql.New(logql.Options{Archive: w.a, MaxMemory: 100 << 10})
	bad(all(`sum by (user) (count_over_time({app="shop"} | logfmt [200h]))`), "more memory")
	bad(all(`quantile_over_time(0.5, {app="shop"} | logfmt | unwrap n [200h]) by ()`), "more memory")
}

// TestMemory asks about much more text than a query may take memory.
func TestMemory(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	body := strings.Repeat("some text that compresses well ", 30)
	var text []byte
	for i := range 100_000 {
		r := line(fmt.Sprintf("%s n=%d", body, i%1000))
		r.Time = moment + int64(i)*1e6
		if text = w.app.Append(text, &r); len(text) > 4<<20 {
			s.Add(nil, kept.TextOf(text))
			text = text[:0]
		}
	}
	s.Add(nil, kept.TextOf(text))
	e := w.engine(logql.Options{})
	for _, q := range []string{`{app="shop"} |= "n=500"`, `sum by (n) (count_over_time({app="shop"} | logfmt [200h]))`, `quantile_over_time(0.9, {app="shop"} | logfmt | unwrap n [200h]) by ()`} {
		var res logql.Result
		grew := peak(func() { res = query(t, e, all(q)) })
		if res.Stats.Bytes < 50<<20 {
			t.Errorf("%s: %+v", q, res.Stats)
		}
		if grew > 64<<20 {
			t.Errorf("%s took %d MiB for %d MiB of text", q, grew>>20, res.Stats.Bytes>>20)
		}
	}
}

// peak returns by how much the heap grew at most while f ran, as far as was seen.
func peak(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := heap()
	most := before
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				most = max(most, heap())
				runtime.Gosched()
			}
		}
	})
	f()
	close(done)
	group.Wait()
	return most - before
}

// countdown is a context that ends after it was asked some times.
type countdown struct {
	context.Context
	mu   sync.Mutex
	left int
}

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	w.fill(w.stream("app=shop"), 1000, 10, func(i int) kept.Record { return line(fmt.Sprint("line ", i)) })
	e := w.engine(logql.Options{Workers: 1})
	for _, q := range []string{`{app="shop"} |= "line" != "line"`, `count_over_time({app="shop"}[200h])`} {
		ctx := &countdown{Context: t.Context(), left: 3}
		if _, err := e.Query(ctx, all(q)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", q, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e = logql.New(logql.Options{Archive: w.a, Workers: 4})
	if _, err := e.Query(ctx, all(`count_over_time({app="shop"}[200h])`)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestDamage has blocks that cannot be read: the rest is answered, and it is said.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	w.fill(w.stream("app=shop"), 100, 10, func(i int) kept.Record { return line(fmt.Sprint("line ", i)) })
	e := w.engine(logql.Options{})
	w.flip()
	res := query(t, e, all(`{app="shop"}`))
	if res.Stats.Damaged != 1 || len(res.Entries) != 90 {
		t.Errorf("%d entries, %+v", len(res.Entries), res.Stats)
	}
}

func TestFollower(t *testing.T) {
	q, err := syntax.ParseLog(`{app="shop"} |= "keep" | logfmt`)
	if err != nil {
		t.Fatal(err)
	}
	f := logql.NewFollower(q)
	def := record.Stream{ID: "x", Labels: record.Labels{{Name: "app", Value: "shop"}}}
	if !f.Selects(def.Labels) || f.Selects(nil) {
		t.Error("the wrong streams are selected")
	}
	var app kept.Appender
	var text []byte
	for _, body := range []string{"n=1 keep", "n=2", `n=3 keep "x"`} {
		r := line(body)
		r.Time = moment
		text = app.Append(text, &r)
	}
	got := f.Append(nil, archive.Chunk{Stream: def, Text: text})
	if len(got) != 2 || got[1].Line != `n=3 keep "x"` || got[1].Time != moment || got[1].Stream != "x" || len(got[0].Labels) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestNothing(t *testing.T) {
	e := newWorld(t).engine(logql.Options{})
	if res := query(t, e, all(`{app="shop"}`)); res.Kind != logql.Streams || len(res.Entries) != 0 {
		t.Errorf("%+v", res)
	}
	if res := query(t, e, all(`sum(rate({app="shop"}[5m]))`)); res.Kind != logql.Vector || len(res.Series) != 0 {
		t.Errorf("%+v", res)
	}
	if res := query(t, e, all(`absent_over_time({app="shop"}[5m])`)); len(res.Series) != 1 || res.Series[0].Labels.String() != `{app="shop"}` {
		t.Errorf("%+v", res)
	}
	if res := query(t, e, all(`1 / 4`)); res.Kind != logql.Scalar || res.Scalar.Value != 0.25 {
		t.Errorf("%+v", res)
	}
	p := all(`1 + 1`)
	p.Start, p.Step = p.End.Add(time.Hour), time.Minute
	if res := query(t, e, p); res.Kind != logql.Matrix || len(res.Series) != 0 {
		t.Errorf("%+v", res)
	}
	if v, err := e.Series(t.Context(), nil, time.Time{}, time.Time{}); len(v) != 0 || err != nil {
		t.Errorf("%v", v)
	}
}

// TestWhileWriting asks while text comes in: what was shown is there, and never less of it.
func TestWhileWriting(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	e := w.engine(logql.Options{Workers: 3})
	const batches, each = 60, 50
	var group sync.WaitGroup
	group.Go(func() {
		for b := range batches {
			for i := range each {
				r := line(fmt.Sprint("line ", i))
				r.Time = moment + int64(b*each+i)
				w.add(s, r)
			}
			if b%7 == 3 {
				s.Seal(nil)
			}
			if err := w.a.Flush(); err != nil {
				t.Error(err)
			}
			w.a.Show()
		}
	})
	last := [2]int{}
	for last[0] < batches*each || last[1] < batches*each {
		for i, q := range []string{`sum(count_over_time({app="shop"}[200h]))`, `sum(count_over_time({app="shop"} |= "line" [200h]))`} {
			n := 0
			if res := query(t, e, all(q)); len(res.Series) > 0 {
				n = int(res.Series[0].Points[0].Value)
			}
			if n < last[i] || n%each != 0 {
				t.Fatalf("%s: %d after %d", q, n, last[i])
			}
			last[i] = n
		}
	}
	group.Wait()
}
