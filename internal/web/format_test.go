package web

import (
	"math"
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	now := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(-1234567), "-1,234,567"}, {grouped(0.25), "0.25"},
		{grouped(math.Inf(1)), "+Inf"}, {grouped(1 << 60), "1.1529e+18"},
		{bytesText(0), "0\u00a0B"}, {bytesText(1023), "1023\u00a0B"}, {bytesText(4.2 * 1024 * 1024), "4.2\u00a0MiB"}, {bytesText(1e30), "888178419700125\u00a0PiB"},
		{rateText(-1), "–"}, {rateText(0), "0/s"}, {rateText(3.14159), "3.14/s"}, {rateText(99.96), "100/s"}, {rateText(123456.7), "123,457/s"},
		{durationText(0), "0\u00a0s"}, {durationText(-time.Hour), "0\u00a0s"}, {durationText(61 * time.Second), "1\u00a0min 1\u00a0s"},
		{durationText(time.Hour), "1\u00a0h"}, {durationText(25*time.Hour + time.Minute), "1\u00a0d 1\u00a0h"}, {durationText(24*time.Hour + time.Minute), "1\u00a0d"},
		{agoText(now, time.Time{}), "never"}, {agoText(now, now.Add(time.Hour)), "just now"}, {agoText(now, now.Add(-time.Minute)), "1\u00a0min ago"},
	} {
		if c.got != c.want {
			t.Errorf("got %q; want %q", c.got, c.want)
		}
	}
}

func TestRates(t *testing.T) {
	var r rates
	at := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	look := func(after time.Duration, lines, want float64) {
		t.Helper()
		at = at.Add(after)
		s := Snapshot{Now: at, Sources: []Source{{Streams: []Stream{{ID: "a", Lines: lines}}}}}
		r.set(&s)
		if got := s.Sources[0].Streams[0].Rate; got != want {
			t.Errorf("%v later, %v lines: rate %v; want %v", after, lines, got, want)
		}
	}
	look(0, 100, -1)
	look(time.Second, 150, -1) // too soon to tell
	look(4*time.Second, 200, 20)
	look(time.Second, 900, 20)
	look(4*time.Second, 200, 0)
	look(5*time.Second, 100, -1) // another stream of that name
	look(-time.Hour, 100, -1)    // the clock was set back
	look(10*time.Second, 200, 10)
}

func TestAccepts(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "GZIP": true, "br, gzip;q=0.1": true, " gzip ; q=1.0": true, "gzip;a=b;q=0.000": false, "gzip;q=x": false, "": false, "x-gzip": false, "*": false, ";;,,": false,
	} {
		if got := accepts([]string{"identity", header}, "gzip"); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
