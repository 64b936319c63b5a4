package retry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/retry"
)

func TestPausesGrowWithinBounds(t *testing.T) {
	b := retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for round := range 200 {
		for i, whole := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000} {
			whole *= time.Millisecond
			if d := b.Next(); d < whole/2 || d > whole {
				t.Fatalf("round %d: pause %d is %v; want between %v and %v", round, i, d, whole/2, whole)
			}
		}
		b.Reset()
	}
}

func TestZeroValueAndExtremes(t *testing.T) {
	var b retry.Backoff
	if d := b.Next(); d < retry.DefaultMin/2 || d > retry.DefaultMin {
		t.Errorf("first pause of the zero value is %v", d)
	}
	swapped := retry.Backoff{Min: time.Minute, Max: time.Second}
	if d := swapped.Next(); d > time.Second {
		t.Errorf("a Min over Max gave %v; want at most Max", d)
	}
	long := retry.Backoff{Min: 1, Max: 1<<63 - 1}
	for range 200 {
		if d := long.Next(); d < 0 {
			t.Fatalf("negative pause %v", d)
		}
	}
}

func TestPausesDiffer(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		b := retry.Backoff{Min: time.Second}
		seen[b.Next()] = true
	}
	if len(seen) < 50 {
		t.Errorf("100 clients made only %d different pauses", len(seen))
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := retry.Backoff{Min: time.Second, Max: time.Second}
		start := time.Now()
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 500*time.Millisecond || d > time.Second {
			t.Errorf("waited %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start = time.Now()
		if err := b.Wait(ctx); err != context.Canceled {
			t.Errorf("Wait of an ended context = %v", err)
		}
		if time.Since(start) != 0 {
			t.Error("Wait of an ended context slept")
		}
	})
}
