package loki

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/deliver/delivertest"
)

// TestMasks has receivers that repeat what they were told, in what is shown and in the log.
func TestMasks(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"bearer": func(c *Config) { c.BearerToken = delivertest.Secret },
		"basic":  func(c *Config) { c.BasicAuth = deliver.BasicAuth{Username: "weir", Password: delivertest.Secret} },
	} {
		for _, status := range []int{302, 400, 401, 429, 500, 503} {
			target := newTarget(t, delivertest.Start(t, status).URL, change)
			var log bytes.Buffer
			target.deps.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			_, err := target.Send(t.Context(), batch(1, "a"))
			delivertest.Hidden(t, name, fmt.Sprint(log.String(), err))
		}
	}
}
