package push

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// captured are bodies that clients of Loki sent: its Docker driver 3.7.8, which has the
// client of Promtail, its canary 3.7.8, winston-loki 6.1.7 and pino-loki 3.0.0.
func captured(t testing.TB) map[string][]byte {
	t.Helper()
	bodies := map[string][]byte{}
	for _, pattern := range []string{"testdata/*.pb", "testdata/*.json"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, name := range names {
			if bodies[name], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bodies
}

// contentType returns that of a captured body.
func contentType(name string) string {
	if strings.HasSuffix(name, ".json") {
		return "Content-Type: application/json"
	}
	return "Content-Type: application/x-protobuf"
}

func TestCaptured(t *testing.T) {
	for name, body := range captured(t) {
		w := newWorld(t, nil).run()
		if got := w.send(body, contentType(name)); got != "204" {
			t.Errorf("%s: %s", name, got)
		}
		var lines []string
		for id, records := range w.got {
			for _, r := range records {
				lines = append(lines, fmt.Sprintf("%s %q\n", id, r))
			}
		}
		slices.Sort(lines)
		want, err := os.ReadFile(name + ".want")
		if got := strings.Join(lines, ""); err != nil || got != string(want) {
			t.Errorf("%s: %v\n%swant\n%s", name, err, got, want)
		}
	}
}

func FuzzPush(f *testing.F) {
	for name, body := range captured(f) {
		f.Add(body, strings.HasSuffix(name, ".json"), "")
	}
	f.Add([]byte("\x1f\x8b"), true, "gzip")
	f.Add([]byte("\x78\x9c"), false, "deflate")
	f.Fuzz(func(t *testing.T, body []byte, json bool, encoding string) {
		w := newWorld(t, func(c *Config) { c.MaxStreams = 10 })
		w.source.gate.Open(worldLines{world: w})
		kind := "x.pb"
		if json {
			kind = "x.json"
		}
		answer := w.send(body, contentType(kind), "Content-Encoding: "+encoding)
		switch status, _, _ := strings.Cut(answer, " "); status {
		case "204", "400", "413", "415", "429":
		default:
			t.Fatal(answer)
		}
		if w.synced != w.records() || w.source.bodies.Used()+w.source.pushes.Load() != 0 {
			t.Fatalf("%s, with %d of %d records synced", answer, w.synced, w.records())
		}
		if w.source.streams.InUse() {
			t.Fatalf("%s, and a stream is still in use", answer)
		}
	})
}
