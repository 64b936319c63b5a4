// Package link has what the senders of the public clients have in common: the life of one, the
// pauses between its attempts to connect, and what it sent lately. It leaves out what is sent
// and how. It needs nothing but the standard library, as its users do.
package link

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Life is the context of what a sender does until it gives up. It may be used by many goroutines.
type Life struct {
	over   chan struct{}
	ending sync.Once
}

// NewLife returns a life that has not ended.
func NewLife() *Life { return &Life{over: make(chan struct{})} }

// End ends it. Further calls do nothing.
func (l *Life) End() { l.ending.Do(func() { close(l.over) }) }

// Deadline implements context.Context: there is none.
func (l *Life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (l *Life) Done() <-chan struct{} { return l.over }

// Value implements context.Context: there are none.
func (l *Life) Value(any) any { return nil }

// Err implements context.Context.
func (l *Life) Err() error {
	select {
	case <-l.over:
		return context.Canceled
	default:
		return nil
	}
}

// The pauses between attempts, and how long a connection has to last for the next attempt after
// it to come soon.
const (
	MinPause = 100 * time.Millisecond
	MaxPause = 10 * time.Second
	Settled  = 5 * time.Second
)

// Pause makes the pauses between attempts. The zero value begins with the shortest. It belongs
// to one goroutine.
type Pause struct{ last time.Duration }

// Next returns how long to wait before the next attempt: from MinPause on twice as long each
// time, up to MaxPause, shortened by up to a half at random.
func (p *Pause) Next() time.Duration {
	p.last = min(max(2*p.last, MinPause), MaxPause)
	return p.last - rand.N(p.last/2)
}

// Lost says for how long there was a connection that is lost now.
func (p *Pause) Lost(after time.Duration) {
	if after >= Settled {
		p.last = 0
	}
}

// Doubt is how many seconds Recent looks back at most: how long before its break what a
// connection took is uncertain.
const Doubt = 10

// Recent remembers what was sent in each of the last seconds. The zero value has nothing. It
// belongs to one goroutine.
type Recent struct {
	seconds [Doubt + 1]struct {
		at   int64
		sent uint64
	}
}

// Add notes what is sent now.
func (r *Recent) Add(sent uint64) {
	now := time.Now().Unix()
	slot := &r.seconds[now%int64(len(r.seconds))]
	if slot.at != now {
		slot.at, slot.sent = now, 0
	}
	slot.sent += sent
}

// Sum returns what was sent in this second and so many before, Doubt at most.
func (r *Recent) Sum(before int64) (sent uint64) {
	now := time.Now().Unix()
	for _, slot := range r.seconds {
		if now-slot.at <= before {
			sent += slot.sent
		}
	}
	return sent
}
