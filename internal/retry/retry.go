// Package retry spaces out attempts at something that fails: the pauses double from a
// shortest to a longest one, and each is shortened at random, so that many clients of one
// server do not come back in step.
//
//	b := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
//	for {
//		if err := dial(ctx); err == nil {
//			b.Reset()
//			...
//		}
//		if b.Wait(ctx) != nil {
//			return
//		}
//	}
//
// After reads how long a server asks to be left alone.
//
// A Backoff belongs to one goroutine. The package leaves out what is tried, and whether an
// error is worth another attempt.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// The pauses of a Backoff that does not say.
const (
	DefaultMin = time.Second
	DefaultMax = 30 * time.Second
)

// Backoff gives the pauses between attempts. The zero value is ready to use.
type Backoff struct {
	// Min is the first pause; zero means DefaultMin.
	Min time.Duration
	// Max is the longest pause; zero means DefaultMax.
	Max time.Duration

	last time.Duration // the last pause before its random part was taken off; 0 at first
}

// Next returns the pause before the next attempt: between half of and the whole of Min the
// first time, of twice as much each further time, never more than Max.
func (b *Backoff) Next() time.Duration {
	shortest, longest := b.Min, b.Max
	if shortest <= 0 {
		shortest = DefaultMin
	}
	if longest <= 0 {
		longest = DefaultMax
	}
	switch {
	case b.last == 0:
		b.last = shortest
	case b.last > longest/2: // doubling would pass it, or overflow
		b.last = longest
	default:
		b.last *= 2
	}
	b.last = min(b.last, longest)
	half := b.last / 2
	return b.last - rand.N(half+1)
}

// Reset says that an attempt succeeded: the next pause is a short one again.
func (b *Backoff) Reset() { b.last = 0 }

// Wait sleeps for Next. It returns early, with the context's error, when ctx ends.
func (b *Backoff) Wait(ctx context.Context) error {
	t := time.NewTimer(b.Next())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
