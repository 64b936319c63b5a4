package crawl

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAhead has a record that is hours ahead of the server's clock: others are taken meanwhile,
// and afterwards.
func TestAhead(t *testing.T) {
	for _, order := range []Order{"any", "ascending"} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			a := &api{events: at(3000, 3600+23*3600)}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) { s.Order = order })
			w.once(c)
			time.Sleep(time.Minute)
			a.events = append(a.events, at(3630)...)
			w.once(c)
			w.expect(texts(3000, 86400, 3630)...)
			time.Sleep(24 * time.Hour)
			w.once(c)
			p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
			if err != nil || p.since != day.Add(24*time.Hour).UnixNano() {
				t.Errorf("the cursor is %s, %v", p.describe(), err)
			}
			w.expect(texts(3000, 86400, 3630)...)
		})
	}
}

// TestSkewUntold has a server whose clock is an hour ahead, and that does not tell it.
func TestSkewUntold(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(10 * time.Hour)
			a := &api{}
			w := newWorld(t)
			w.api = a.serve
			want := []int{}
			for range 40 {
				second := int(time.Since(day)+skew)/1e9 - 1
				want = append(want, second)
				a.events = append(a.events, at(second)...)
				w.once(standard(nil))
				time.Sleep(5 * time.Minute)
			}
			w.expect(texts(want...)...)
			p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
			if err != nil || p.seen.len() > 15 {
				t.Errorf("the cursor is %s, %v", p.describe(), err)
			}
		})
	}
}
