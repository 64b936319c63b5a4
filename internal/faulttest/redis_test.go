package faulttest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestRedisOverKills has a Redis stream take what weir reads. The server goes away under load
// and comes back, and weir is killed while it sends. In the end every record is there once.
func TestRedisOverKills(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "redis")
	server := realtest.StartRedis(t, "", dir)
	address := server.Address
	path := filepath.Join(t.TempDir(), "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`node: web-1
sources: {app: {type: file, paths: [%q], start: beginning}}
sinks: {central: {type: redis, url: "redis://%s", key: "logs:{stream}", max_len: 0, start: beginning}}
`, path, address)})
	key := "logs:app/" + path
	lines := faulttest.NewWriter(t, path)
	arrived := func(n int) {
		t.Helper()
		realtest.Eventually(t, fmt.Sprintf("%d records to arrive", n), func() bool { return redisInt(t, address, "XLEN", key) >= n })
	}
	lines.Write(2000)
	arrived(2000)
	server.Stop()
	during(span(time.Minute), 20*time.Millisecond, func() { lines.Write(50) })
	w.Kill() // while the server is away
	w.Again()
	realtest.StartRedis(t, address, dir)
	refused := 0.0
	for range 4 {
		lines.Write(2000)
		arrived(redisInt(t, address, "XLEN", key) + 1)
		refused += already(t, w)
		w.Kill() // between what was sent and what was noted of it, as chance has it
		w.Again()
	}
	arrived(lines.Written())
	seen := map[int]int{}
	for _, text := range redisTexts(t, address, "XRANGE", key, "-", "+") {
		var r struct{ Body string }
		if json.Unmarshal([]byte(text), &r) != nil || r.Body == "" {
			continue // an id, or the field's name
		}
		var n int
		if _, err := fmt.Sscanf(r.Body, "n=%d ", &n); err != nil || r.Body+"\n" != string(faulttest.Line(n)) {
			t.Fatalf("%q: %v", r.Body, err)
		}
		seen[n]++
	}
	if len(seen) != lines.Written() {
		t.Errorf("%d of %d lines arrived", len(seen), lines.Written())
	}
	for n, times := range seen {
		if times != 1 {
			t.Errorf("line %d is there %d times", n, times)
		}
	}
	t.Logf("%d lines, %d starts of weir, %g records came again and were refused", lines.Written(), w.Starts, refused+already(t, w))
}

// already returns how many records the server had when weir sent them.
func already(t *testing.T, w *faulttest.Weir) float64 {
	t.Helper()
	m, err := w.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return m[`weir_component_events_total{machine="web-1",component="sink/central",event="had it already"}`]
}

// redisAsk returns the answer to a command.
func redisAsk(t *testing.T, address string, args ...string) (answer *bufio.Reader, done func()) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.Write([]byte(request.String())); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(c), func() { c.Close() }
}

// redisInt returns an answer that is a number.
func redisInt(t *testing.T, address string, args ...string) int {
	t.Helper()
	r, done := redisAsk(t, address, args...)
	defer done()
	line, err := r.ReadString('\n')
	n, wrong := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, ":")))
	if err != nil || wrong != nil {
		t.Fatalf("%s: %q, %v", args, line, err)
	}
	return n
}

// redisTexts returns the texts in an answer, in whatever lists they are.
func redisTexts(t *testing.T, address string, args ...string) (texts []string) {
	t.Helper()
	r, done := redisAsk(t, address, args...)
	defer done()
	for left := 1; left > 0; left-- {
		line, err := r.ReadString('\n')
		n, wrong := strconv.Atoi(strings.TrimSpace(line[1:]))
		if err != nil || wrong != nil {
			t.Fatalf("%s: %q, %v", args, line, err)
		}
		if line[0] == '*' {
			left += n
			continue
		}
		text := make([]byte, n+2)
		for got := 0; got < len(text); {
			k, err := r.Read(text[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += k
		}
		texts = append(texts, string(text[:n]))
	}
	return texts
}
