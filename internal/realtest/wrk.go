package realtest

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// Load is what wrk counted. It cuts the last requests short when its time is up, so the
// server may have answered up to one more for each connection.
type Load struct {
	// Requests were answered completely.
	Requests int
	// Connections were open at the same time.
	Connections int
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in `)

// Wrk sends as many requests to url as it can for the given time, or skips the test.
func Wrk(t testing.TB, url string, connections int, duration time.Duration) Load {
	t.Helper()
	path := Program(t, "wrk", "wrk")
	seconds := max(1, int(duration.Round(time.Second)/time.Second)) // wrk knows no smaller unit
	out, err := exec.CommandContext(t.Context(), path, "-t1", "-c"+strconv.Itoa(connections),
		"-d"+strconv.Itoa(seconds)+"s", url).CombinedOutput()
	if err != nil {
		t.Fatalf("wrk: %v\n%s", err, out)
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil {
		t.Fatalf("wrk said nothing of requests:\n%s", out)
	}
	Used(t, "wrk "+version(path, "-v", "wrk "))
	n, _ := strconv.Atoi(string(m[1]))
	return Load{Requests: n, Connections: connections}
}
