package statsd

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// series is one metric with one set of tags.
type series struct {
	text
	hash  uint64
	cells []cell // of a counter

	idle int // flushes without news; the sender's

	// mu guards what follows: what is not in the cells.
	mu      sync.Mutex
	gone    bool
	touched bool
	isSet   bool    // of a gauge: value is absolute, not a change
	value   float64 // of a gauge, or what a counter has beyond its cells
	members map[string]struct{}
	values  []byte // of a timer
	weight  uint16
}

type cell struct {
	n atomic.Int64
	_ [56]byte // to the end of the cache line
}

// add is count for a series; it fails when that is gone.
func (e *series) add(stripe uint64, n int64) bool {
	return e.cells[stripe].n.Add(n) > dead/2
}

// reading is a value for a series that is kept under its lock.
type reading struct {
	value  float64
	delta  bool          // value is a change of a gauge
	member string        // of a set
	isTime bool          // time is what counts, not value
	time   time.Duration // of a timer
}

// What became of a reading.
type outcome uint8

const (
	noted   outcome = iota
	refused         // it has to go into a line of its own
	missed          // the series is gone
)

// note records r in the series.
func (e *series) note(r reading, a *aggregate) outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return missed
	}
	switch e.kind {
	case counter:
		if !finite(e.value + r.value) {
			return refused
		}
		e.value += r.value
	case gauge:
		switch {
		case !r.delta:
			e.value, e.isSet = r.value, true
		case !finite(e.value + r.value):
			a.queue.drop(invalid, 1) // a line of its own could come before the others
			return noted
		default:
			e.value += r.value
		}
	case set:
		if _, known := e.members[r.member]; known {
			return noted
		}
		if len(e.members) >= maxMembers || len(r.member) > maxLine/2 {
			return refused
		}
		if e.members == nil {
			e.members = map[string]struct{}{}
		}
		e.members[strings.Clone(r.member)] = struct{}{}
	default:
		e.pack(r, a)
	}
	e.touched = true
	return noted
}

// pack adds a value to those of a timer. When there is no room for it, the others go into
// a line first.
func (e *series) pack(r reading, a *aggregate) {
	before := len(e.values)
	if before > 0 {
		if e.scope.dialect != DogStatsD {
			e.values = append(append(append(e.values, '|'), e.kind.code()...), e.scope.rated...)
		}
		e.values = append(e.values, ':')
	}
	value := len(e.values)
	e.values = e.scope.appendValue(e.values, e.kind, r)
	if len(e.head)+len(e.values)+len(e.end) > a.room && before > 0 {
		last := slices.Clone(e.values[value:])
		e.values = e.values[:before]
		e.unload(a.queue)
		e.values = append(e.values[:0], last...)
	}
	e.weight++
}

// unload puts the values of a timer into a queue.
func (e *series) unload(q *queue) {
	if buf, ok := q.begin(e.weight); ok {
		buf = append(append(append(buf, e.head...), e.values...), e.end...)
		q.end(buf, e.weight)
	}
	e.values, e.weight = e.values[:0], 0
}

// flush puts what has come since the last flush into hand, and says whether anything had.
// With kill, the series is gone after it.
func (e *series) flush(hand *queue, kill bool) bool {
	var sum int64
	for i := range e.cells {
		if kill {
			sum += e.cells[i].n.Swap(dead)
		} else if e.cells[i].n.Load() != 0 {
			sum += e.cells[i].n.Swap(0)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = kill
	if !e.touched && sum == 0 {
		return false
	}
	switch e.kind {
	case counter:
		e.line(hand, float64(sum)+e.value, sum)
	case gauge:
		e.gauge(hand)
	case set:
		e.setLines(hand)
	default:
		e.unload(hand)
	}
	e.touched, e.isSet, e.value = false, false, 0
	return true
}

// line puts one line into hand: a counter's sum, exact as long as it is whole.
func (e *series) line(hand *queue, v float64, whole int64) {
	buf, ok := hand.begin(1)
	if !ok {
		return
	}
	buf = append(buf, e.head...)
	if float64(whole) == v {
		buf = strconv.AppendInt(buf, whole, 10)
	} else {
		buf = appendNumber(buf, v)
	}
	hand.end(append(buf, e.end...), 1)
}

// gauge puts a gauge's last value, or the change of it, into hand.
func (e *series) gauge(hand *queue) {
	buf, ok := hand.begin(1)
	if !ok {
		return
	}
	if e.isSet && e.value < 0 && e.scope.signed() {
		buf = append(append(append(append(buf, e.head...), '0'), e.end...), '\n')
	}
	buf = append(buf, e.head...)
	if !e.isSet && e.value >= 0 {
		buf = append(buf, '+')
	}
	hand.end(append(appendNumber(buf, e.value), e.end...), 1)
}

// setLines puts the members of a set into hand.
func (e *series) setLines(hand *queue) {
	for member := range e.members {
		if buf, ok := hand.begin(1); ok {
			buf = appendSafe(append(buf, e.head...), member, inName)
			hand.end(append(buf, e.end...), 1)
		}
	}
	clear(e.members)
}
