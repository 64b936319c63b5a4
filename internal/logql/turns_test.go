package logql

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns has many work at a time, and one after another, with rests, while it is pressed.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pressed := false
		turns := newTurns(func() bool { return pressed })
		took := func() time.Duration {
			start := time.Now()
			var group sync.WaitGroup
			for range 10 {
				group.Go(func() {
					turns.do(t.Context(), func() error {
						time.Sleep(time.Millisecond)
						return nil
					})
				})
			}
			group.Wait()
			return time.Since(start)
		}
		if d := took(); d != time.Millisecond {
			t.Errorf("10 at a time took %v", d)
		}
		pressed = true
		if d := took(); d != 20*time.Millisecond {
			t.Errorf("one after another took %v", d)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the client has left")
		turns.one <- struct{}{}
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := turns.do(ctx, func() error { panic("not its turn") }); err != why {
			t.Error(err)
		}
	})
}
