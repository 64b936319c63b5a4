package main

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
)

// buffer is for two goroutines.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// TestAllLogTheSame: each logger writes the message, the eight attributes and, but for one,
// the place, once a record.
func TestAllLogTheSame(t *testing.T) {
	for name := range maps.Keys(loggers) {
		t.Run(name, func(t *testing.T) {
			var out buffer
			l, err := open(name, &out, "")
			if err != nil {
				t.Fatal(err)
			}
			const records = 3
			for range records {
				l.Log()
			}
			if dropped := l.Close(); dropped != 0 {
				t.Errorf("%d dropped", dropped)
			}
			text := strings.NewReplacer(": ", ":", `"7"`, "7").Replace(out.String())
			for attr, value := range map[string]string{
				"user": `"leo"`, "shop": "17", "vip": "true", "method": `"GET"`, "path": `"/orders/17"`, "status": "200", "seconds": "0.0123", "cached": "false",
			} {
				want := records
				if name == "weir" && (attr == "user" || attr == "shop" || attr == "vip") {
					want++ // in the record that the task begins with
				}
				if got := strings.Count(text, fmt.Sprintf(`"%s":%s`, attr, value)); got != want {
					t.Errorf("%s is there %d times: %s", attr, got, text)
				}
			}
			if places := strings.Count(text, "loggers.go"); (places == 0) != (name == "slog-bare") {
				t.Errorf("%d places: %s", places, text)
			}
		})
	}
	if _, err := open("nobody", nil, ""); err == nil {
		t.Error("open knows nobody")
	}
}
