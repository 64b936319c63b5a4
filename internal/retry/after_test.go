package retry_test

import (
	"testing"
	"time"

	"github.com/weirlog/weir/internal/retry"
)

func TestAfter(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0, "86400": retry.MaxAfter,
		"Fri, 20 Nov 2026 00:01:00 GMT": time.Minute, "Thu, 19 Nov 2026 00:01:00 GMT": 0,
	} {
		if got := retry.After(text, now); got != want {
			t.Errorf("After(%q) = %v; want %v", text, got, want)
		}
	}
}
