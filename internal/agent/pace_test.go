package agent

import (
	"testing"
	"time"
)

// TestPace: only much memory in use is paced, and only as long as that costs little.
func TestPace(t *testing.T) {
	now := time.Unix(0, 0)
	p := pacer{percent: usualPercent, saved: gcSaved, last: now}
	spent := 0.0
	want := func(live uint64, after time.Duration, took float64, percent int) {
		t.Helper()
		now, spent = now.Add(after), spent+took
		if got := p.next(live, spent, now); got != percent {
			t.Errorf("with %d bytes in use and %.2f s saved: %d percent, want %d", live, p.saved, got, percent)
		}
	}
	want(8<<20, time.Second, 0.01, 100)
	want(32<<20, time.Second, 0.01, 12)
	want(64<<20, time.Second, 0.01, 6)
	want(1<<30, time.Second, 0.01, 6)
	for range 10 {
		want(64<<20, time.Second/10, 0.3, 6) // much comes at once
	}
	for range 3 {
		want(64<<20, time.Second/10, 0.3, 24)
	}
	want(64<<20, time.Second/10, 0.3, 100)
	want(64<<20, time.Second, 0.01, 100)
	want(64<<20, 10*time.Second, 0.01, 24)
	want(8<<20, 10*time.Second, 10, 100)
	want(64<<20, time.Minute, 0.01, 6)
}

// TestRelease: free memory is given back when much more has come to be in use, and not time and again.
func TestRelease(t *testing.T) {
	now := time.Unix(0, 0)
	p := pacer{released: now}
	want := func(live uint64, after time.Duration, release bool) {
		t.Helper()
		now = now.Add(after)
		if got := p.release(live, now); got != release {
			t.Errorf("with %d bytes in use: %v, want %v", live, got, release)
		}
	}
	want(8<<20, time.Hour, false)
	want(60<<20, time.Second, true)
	want(64<<20, time.Hour, false)
	want(70<<20, time.Second, true)
	want(90<<20, time.Second, false) // too soon
	want(90<<20, time.Minute, true)
	want(40<<20, time.Minute, false)
	want(90<<20, time.Minute, true)
}
