package journal

import (
	"context"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// TestFollowingMissesNothing begins to follow again and again while lines are written: a
// line is shown after a sync, or comes live, and where it does both it is in the part that
// came before what was shown was looked at.
func TestFollowingMissesNothing(t *testing.T) {
	w := open(t, new(disk.Faulty))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = w.journal.Run(ctx) })
	bursts := make(chan struct{}, 100)
	var writing sync.WaitGroup
	writing.Go(func() {
		for range bursts {
			for range 20 {
				w.readText("a", 1, smallBlocks)
			}
		}
	})
	a := w.journal.Archive()
	for range 50 {
		bursts <- struct{}{}
		tail := a.Tail(func(record.Labels) bool { return true }, 64<<20)
		if err := w.journal.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		bursts <- struct{}{} // so that something comes live
		shown := numbers(t, a, "a")
		last := 0
		if len(shown) > 0 {
			last = shown[len(shown)-1]
		}
		next := 0
		for next <= last {
			chunks, lost, err := tail.Next(ctx)
			if err != nil || lost > 0 {
				t.Fatal(lost, err)
			}
			for _, c := range chunks {
				for line := range kept.Lines(c.Text) {
					at := int(kept.TimeOf(line) / 1e9)
					if next == 0 && at > last+1 {
						t.Fatalf("shown up to %d, and the first to come live is %d", last, at)
					}
					if next > 0 && at != next {
						t.Fatalf("%d came live after %d", at, next-1)
					}
					next = at + 1
				}
			}
		}
		tail.Close()
	}
	close(bursts)
	writing.Wait()
	cancel()
	running.Wait()
	if err := w.journal.Close(); err != nil {
		t.Error(err)
	}
}
