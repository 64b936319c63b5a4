package filter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

// flood writes n records that were written every step from the time at on, in batches of
// batch records. Between batches the clock goes as they do, if it does at all. It returns
// how many stay, and the time after.
func (w *world) flood(n int, at time.Time, step time.Duration, live bool) (kept int, after time.Time) {
	const batch = 100
	for done := 0; done < n; done += batch {
		b := w.batch(lines(min(batch, n-done))...)
		for i := range b.Records {
			if !at.IsZero() {
				b.Records[i].Time = at.UnixNano()
				at = at.Add(step)
			}
		}
		kept += len(w.write(b))
		if live {
			time.Sleep(batch * step)
		}
	}
	return kept, at
}

func around(t *testing.T, what string, got, want int) {
	t.Helper()
	if got < want-want/20-2 || got > want+want/20+2 {
		t.Errorf("%s: %d records stay, want about %d", what, got, want)
	}
}

func perSecond(n, burst int) filter.Config {
	return filter.Config{Rate: filter.Rate{Records: n, Per: time.Second}, Burst: burst}
}

func TestRateOfALiveStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, perSecond(100, 0))
		kept, at := w.flood(10000, time.Now(), time.Millisecond, true) // 10 s
		around(t, "ten times too fast", kept, 100+10*100)
		kept, _ = w.flood(500, at, 20*time.Millisecond, true)
		around(t, "half as fast", kept, 500)
	})
}

// TestRateOfABacklog: what was written at the rate passes, though it is read at once.
func TestRateOfABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, perSecond(100, 0))
		kept, at := w.flood(20000, time.Now().Add(-time.Hour), 10*time.Millisecond, false)
		around(t, "a backlog at the rate", kept, 20000)
		kept, _ = w.flood(20000, at, time.Millisecond, false)
		around(t, "a backlog ten times as fast", kept, 2000)
		kept, _ = w.flood(5000, time.Now(), time.Millisecond, true)
		around(t, "live after that", kept, 100+500)
	})
}

// TestRateWithoutTimes: where records do not say when, or wrongly, the clock counts.
func TestRateWithoutTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, at := range map[string]time.Time{"none": {}, "still": time.Unix(1, 0)} {
			w := newWorld(t, perSecond(100, 0))
			kept := 0
			for range 100 { // 10 s
				n, _ := w.flood(100, at, 0, false)
				kept += n
				time.Sleep(100 * time.Millisecond)
			}
			around(t, name, kept, 100+10*100)
		}
	})
}

// TestRateOfTimesThatJump: a record from the future, and times that go back and forth, let
// no flood pass, and stop no stream either.
func TestRateOfTimesThatJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, perSecond(100, 0))
		w.flood(1, time.Now().Add(1000*time.Hour), 0, false)
		kept, _ := w.flood(10000, time.Now(), time.Millisecond, true)
		around(t, "after a jump", kept, 100+10*100)

		w = newWorld(t, perSecond(100, 0))
		kept = 0
		for range 1000 { // 10 s, two clocks an hour apart
			n, _ := w.flood(5, time.Now(), 0, false)
			m, _ := w.flood(5, time.Now().Add(time.Hour), 0, false)
			kept += n + m
			time.Sleep(10 * time.Millisecond)
		}
		around(t, "two clocks", kept, 100+10*100)
	})
}

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, perSecond(10, 500))
		kept, at := w.flood(1000, time.Now(), 0, false)
		around(t, "at once", kept, 500)
		time.Sleep(10 * time.Second)
		kept, _ = w.flood(1000, at.Add(10*time.Second), 0, false)
		around(t, "ten seconds later", kept, 100)
		w = newWorld(t, filter.Config{Rate: filter.Rate{Records: 60, Per: time.Minute}})
		kept, _ = w.flood(2000, time.Now(), 100*time.Millisecond, true)
		around(t, "60 a minute", kept, 60+200)
	})
}

// TestNotice: what a rate leaves out is told once a second at most, and when a stream falls
// silent, with its number; and all of it is told.
func TestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, perSecond(10, 0))
		counted, told, notices := 0.0, int64(0), 0
		step := func(n int) {
			b := w.batch(lines(n)...)
			for i := range b.Records {
				b.Records[i].Time = time.Now().UnixNano()
			}
			w.write(b)
			counted += w.counted(3)
			for _, g := range b.Gaps {
				if g.Reason != filter.Limited || g.Bytes < g.Records {
					t.Errorf("notice %+v", g)
				}
				told += g.Records
				notices++
			}
			if b.Held != (float64(told) != counted) {
				t.Errorf("held %v with %d of %v told", b.Held, told, counted)
			}
		}
		for range 50 { // 5 s
			step(20)
			time.Sleep(100 * time.Millisecond)
		}
		if notices < 4 || notices > 5 {
			t.Errorf("%d notices in 5 s", notices)
		}
		time.Sleep(300 * time.Millisecond)
		step(0)
		if float64(told) != counted || counted < 900 {
			t.Errorf("%d told of %v", told, counted)
		}
		before := notices
		step(0)
		step(1)
		if notices != before {
			t.Error("there is a notice without a reason")
		}
	})
}

func TestRateText(t *testing.T) {
	for text, want := range map[string]string{"1000/s": "1000/s", "5/1m": "5/m", "7/h": "7/h", "9/10s": "9/10s", "3/d": "3/d", "2/90s": "2/1m30s"} {
		var r filter.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r.String() != want {
			t.Errorf("%s became %s, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "1000", "1000/", "/s", "0/s", "-1/s", "1/0s", "1.5/s", "1/x", "99999999999/s"} {
		if new(filter.Rate).UnmarshalText([]byte(text)) == nil {
			t.Errorf("%s passes", text)
		}
	}
}

func TestAllNoAllocations(t *testing.T) {
	w := newWorld(t, filter.Config{
		Drop:   []filter.Condition{{Contains: "health"}, {Fields: map[string]string{"status": "4.."}}},
		Sample: &filter.Sample{OneIn: 3, By: "path"},
		Rate:   filter.Rate{Records: 1000, Per: time.Second},
	}, "status", "path")
	b := w.batch(`\"GET /a\" 200`, `\"GET /b\" 200`)
	for i := range b.Records {
		b.Records[i].Flags = record.Escaped
		b.Values = append(b.Values, b.Append([]byte("200")), b.Append([]byte(`\"/a`)))
	}
	b.Deltas, b.Gaps = make([]record.Delta, 0, 8), make([]record.Gap, 0, 8)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		b.Deltas, b.Gaps = b.Deltas[:0], b.Gaps[:0]
		for i := range b.Records {
			b.Records[i].Flags = record.Escaped
		}
		_ = w.line.Write(ctx, b)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
