package api

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestBriefLog: where the engine panics, the log has a line of bounded length and no stack.
func TestBriefLog(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(&brief{slog.NewTextHandler(&text, nil)})
	log.With("part", "engine").Error("runtime panic", "expr", "x"+strings.Repeat("é", 200), "err", "slice bounds out of range", "stacktrace", "goroutine 1")
	got := text.String()
	for _, want := range []string{"part=engine", `err="slice bounds`, "x" + strings.Repeat("é", 99) + "… "} {
		if !strings.Contains(got, want) {
			t.Errorf("logged %s; want %q", got, want)
		}
	}
	if strings.Contains(got, "goroutine") || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %s", got)
	}
}
