package web

import (
	"sync"
	"time"
)

// rateOver is the shortest time that a rate is measured over.
const rateOver = 2 * time.Second

// rates tells how fast streams grow from one look at them to the next.
type rates struct {
	mu    sync.Mutex // guards below
	at    time.Time  // of lines
	lines map[string]float64
	known map[string]float64
}

// set fills in the rates of s.
func (r *rates) set(s *Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := s.Now.Sub(r.at)
	fresh := passed >= rateOver || passed < 0
	lines, known := map[string]float64{}, map[string]float64{}
	for i := range s.Sources {
		for j := range s.Sources[i].Streams {
			stream := &s.Sources[i].Streams[j]
			before, seen := r.lines[stream.ID]
			rate, ok := r.known[stream.ID]
			switch {
			case fresh && seen && passed > 0 && stream.Lines >= before:
				rate = (stream.Lines - before) / passed.Seconds()
			case fresh || !ok:
				rate = -1
			}
			stream.Rate = rate
			lines[stream.ID], known[stream.ID] = stream.Lines, rate
		}
	}
	if fresh {
		r.at, r.lines, r.known = s.Now, lines, known
	}
}
