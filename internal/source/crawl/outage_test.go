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
