package link

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPause: pauses double, differ, and begin anew after a connection that lasted.
func TestPause(t *testing.T) {
	var p Pause
	most := MinPause
	for range 20 {
		if got := p.Next(); got > most || got < most/2 {
			t.Errorf("pause %v, want %v to %v", got, most/2, most)
		}
		most = min(2*most, MaxPause)
	}
	p.Lost(Settled - 1)
	if got := p.Next(); got < MaxPause/2 {
		t.Errorf("pause %v after a connection that did not last", got)
	}
	p.Lost(Settled)
	if got := p.Next(); got > MinPause {
		t.Errorf("pause %v after a connection that lasted", got)
	}
}

// TestRecent: what was sent is forgotten second by second.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recent
		for i := range 100 {
			r.Add(uint64(i))
			r.Add(1)
			want, want1 := uint64(0), uint64(0)
			for j := max(0, i-Doubt); j <= i; j++ {
				want += uint64(j) + 1
				if j >= i-1 {
					want1 += uint64(j) + 1
				}
			}
			if got, got1 := r.Sum(Doubt), r.Sum(1); got != want || got1 != want1 {
				t.Fatalf("second %d: %d and %d, want %d and %d", i, got, got1, want, want1)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestLife: a life ends once, for all.
func TestLife(t *testing.T) {
	l := NewLife()
	if l.Err() != nil {
		t.Error("it begins ended")
	}
	l.End()
	l.End()
	<-l.Done()
	if l.Err() == nil {
		t.Error("it has not ended")
	}
}
