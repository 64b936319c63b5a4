package crawl

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// retained is an API that has a week of events, and wants to be asked for no more.
func retained() *api {
	a := &api{}
	a.status = func(rw http.ResponseWriter, r *http.Request) bool {
		since, err := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
		if err != nil || time.Since(since) > 7*24*time.Hour {
			http.Error(rw, "since is too long ago", http.StatusBadRequest)
			return true
		}
		a.events = slices.DeleteFunc(a.events, func(e event) bool { return time.Since(e.At) > 7*24*time.Hour })
		return false
	}
	return a
}

// TestOutage has nobody ask for longer than the API remembers: it goes on with what there still is,
// and the rest is told as a gap, once.
func TestOutage(t *testing.T) {
	for _, order := range []Order{"any", "ascending"} {
		synctest.Test(t, func(t *testing.T) {
			a := retained()
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Order, s.Start, s.MaxAge, s.Overlap = order, "1m", 7*24*time.Hour-time.Minute, time.Minute
			})
			now := func() int { return int(time.Since(day) / time.Second) }
			var want []int
			add := func(n int) {
				a.events = append(a.events, at(n)...)
				want = append(want, n)
			}
			add(now())
			w.once(c)
			time.Sleep(10 * 24 * time.Hour)
			a.events = append(a.events, at(now()-8*24*3600)...) // nobody has it any more
			add(now() - 5*24*3600)
			add(now() - 60)
			for range 3 {
				w.once(c)
				time.Sleep(time.Minute)
			}
			w.expect(texts(want...)...)
			if want := []string{"not asked for in time before record 1"}; !slices.Equal(w.gaps, want) || w.problem() != "" {
				t.Errorf("gaps %q; %s", w.gaps, w.problem())
			}
		})
	}
}

// TestOutageFails has the API fail for so long; the gap is told with the first run that does not.
func TestOutageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := retained()
		works, down := a.status, false
		a.status = func(rw http.ResponseWriter, r *http.Request) bool {
			if down {
				rw.WriteHeader(http.StatusForbidden)
			}
			return down || works(rw, r)
		}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) { s.Start, s.MaxAge = "1m", 7*24*time.Hour-time.Minute })
		w.once(c)
		down = true
		for range 8 {
			time.Sleep(24 * time.Hour)
			w.once(c)
		}
		down = false
		w.once(c)
		w.once(c)
		if want := []string{"not asked for in time before record 0"}; !slices.Equal(w.gaps, want) || w.problem() != "" {
			t.Errorf("gaps %q; %s", w.gaps, w.problem())
		}
	})
}

// TestQuiet has a stream without records for longer than the API remembers: that is no gap, and
// costs a commit now and then.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := retained()
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) { s.Start, s.MaxAge = "1m", 7*24*time.Hour-time.Minute })
		for range 30 * 24 {
			w.once(c)
			time.Sleep(time.Hour)
		}
		if w.problem() != "" || len(w.gaps) > 0 || w.writes > 100 {
			t.Errorf("%d commits, gaps %q; %s", w.writes, w.gaps, w.problem())
		}
	})
}

// TestSkewOfAge has a server whose clock is an hour off and a max_age that is less: the age of a
// record is by the server's clock, and nothing is lost, over restarts as well.
func TestSkewOfAge(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 2 * time.Hour, -2 * time.Hour} {
		for _, start := range []string{"1m", "beginning"} {
			for _, order := range []Order{"any", "ascending"} {
				synctest.Test(t, func(t *testing.T) { skewOfAge(t, skew, func(s *Stream) { s.Start, s.Order = start, order }) })
			}
		}
	}
}

func skewOfAge(t *testing.T, skew time.Duration, change func(*Stream)) {
	time.Sleep(10 * time.Hour)
	a := &api{server: func() time.Time { return time.Now().Add(skew) }}
	w := newWorld(t)
	w.api = a.serve
	c := standard(func(s *Stream) {
		s.MaxAge = 30 * time.Minute
		change(s)
	})
	second := func() int { return int(a.server().Sub(day) / time.Second) }
	a.events = at(second() - 3600) // too old
	var want []int
	for range 10 {
		want = append(want, second()-1)
		a.events = append(a.events, at(second()-1)...)
		w.once(c) // each is a new source, that knows nothing of the server's clock yet
		time.Sleep(5 * time.Minute)
	}
	w.expect(texts(want...)...)
	if len(w.gaps) > 0 || w.problem() != "" {
		t.Errorf("%s: gaps %q; %s", skew, w.gaps, w.problem())
	}
	a.mu.Lock()
	a.events = append(a.events, at(second()-40*60)...)
	a.mu.Unlock()
	time.Sleep(time.Hour) // and an outage is one
	want = append(want, second()-1)
	a.events = append(a.events, at(second()-1)...)
	w.once(c)
	w.once(c)
	w.expect(texts(want...)...)
	if want := []string{"not asked for in time before record 10"}; !slices.Equal(w.gaps, want) {
		t.Errorf("%s: gaps %q", skew, w.gaps)
	}
}

// TestSkewUntoldOfAge has a server that is off by more than max_age and does not say so: the age is
// by weir's clock then, so of one behind nothing is taken, which is counted, and of one ahead all.
func TestSkewUntoldOfAge(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(10 * time.Hour)
			a := &api{}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) { s.MaxAge, s.Query = 30*time.Minute, nil })
			var want []int
			for range 10 {
				n := int(time.Now().Add(skew).Sub(day)/time.Second) - 1
				a.events = append(a.events, at(n)...)
				want = append(want, n)
				w.once(c)
				time.Sleep(5 * time.Minute)
			}
			if skew < 0 {
				want = nil
			}
			w.expect(texts(want...)...)
			if len(w.gaps) > 0 || w.problem() != "" || (w.skipped("too_old") != "0") != (skew < 0) {
				t.Errorf("%s: %s too old, gaps %q; %s", skew, w.skipped("too_old"), w.gaps, w.problem())
			}
		})
	}
}

// TestSkewUntoldWindow has a server that is off, does not say so, and is asked window by window.
func TestSkewUntoldWindow(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(10 * time.Hour)
			a := &api{}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Start, s.Window = "1m", 30*time.Minute
				s.Query["until"] = "{{.Until | rfc3339}}"
			})
			var want []int
			for range 60 {
				n := int(time.Now().Add(skew).Sub(day)/time.Second) - 1
				a.events = append(a.events, at(n)...)
				want = append(want, n)
				w.once(c)
				time.Sleep(5 * time.Minute)
			}
			if skew > 0 {
				want = want[:48] // the others are asked for when weir's clock has got there
			} else {
				want = want[12:] // the hour before is of times before start
			}
			w.expect(texts(want...)...)
			if w.problem() != "" {
				t.Error(w.problem())
			}
		})
	}
}

// TestSkewUntoldWindowLate has a server that is three hours behind, does not say so, and is asked
// window by window: such windows are passed before it has their records, unless delay waits for it.
func TestSkewUntoldWindowLate(t *testing.T) {
	for delay, whole := range map[time.Duration]bool{0: false, 3 * time.Hour: true} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(10 * time.Hour)
			a := &api{}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Start, s.Window, s.Delay = "6h", 30*time.Minute, delay
				s.Query["until"] = "{{.Until | rfc3339}}"
			})
			var want []int
			for range 60 {
				n := int(time.Since(day)/time.Second) - 3*3600 - 1
				a.events = append(a.events, at(n)...)
				want = append(want, n)
				w.once(c)
				time.Sleep(5 * time.Minute)
			}
			if !whole {
				want = want[:1]
			}
			w.expect(texts(want...)...)
		})
	}
}
