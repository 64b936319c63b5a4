package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// madeUp is an engine of one container, "web-nginx", whose numbers grow with each look.
type madeUp struct {
	socket string
	done   chan struct{} // closed by the test's end

	mu    sync.Mutex
	looks uint64
	lines []string // of the container's log
}

const madeUpID = "27d448d0e127aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func startMadeUp(t *testing.T, lines ...string) *madeUp {
	e := &madeUp{socket: filepath.Join(t.TempDir(), "docker.sock"), done: make(chan struct{}), lines: lines}
	listener, err := net.Listen("unix", e.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		close(e.done)
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return e
}

func (e *madeUp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	began := time.Now().Add(-time.Minute).UTC()
	switch path {
	case "containers/json":
		answer(w, []map[string]any{{"Id": madeUpID, "Names": []string{"/web-nginx"}, "Image": "nginx:1.27", "State": "running"}})
	case "containers/" + madeUpID + "/json":
		answer(w, map[string]any{
			"Id": madeUpID, "Name": "/web-nginx", "Created": began.Format(time.RFC3339Nano),
			"State":      map[string]any{"Status": "running", "Running": true, "Pid": 1 << 30, "StartedAt": began.Format(time.RFC3339Nano), "Health": map[string]any{"Status": "healthy"}},
			"Config":     map[string]any{"Image": "nginx:1.27", "Tty": true},
			"HostConfig": map[string]any{"LogConfig": map[string]any{"Type": "local"}, "Memory": 64 << 20, "CpuQuota": 50_000},
		})
	case "containers/" + madeUpID + "/stats":
		e.stats(w)
	case "containers/" + madeUpID + "/logs":
		for i, line := range e.lines {
			fmt.Fprintf(w, "%s %s\r\n", began.Add(time.Duration(i)*time.Millisecond).Format("2006-01-02T15:04:05.000000000Z"), line)
		}
		e.hold(w, r, r.URL.Query().Get("follow") == "1")
	case "events":
		e.hold(w, r, true)
	}
}

// hold keeps an answer open that has no end.
func (e *madeUp) hold(w http.ResponseWriter, r *http.Request, open bool) {
	_ = http.NewResponseController(w).Flush()
	if open {
		select {
		case <-e.done:
		case <-r.Context().Done():
		}
	}
}

func answer(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v)
}

func (e *madeUp) stats(w http.ResponseWriter) {
	e.mu.Lock()
	e.looks++
	n := e.looks
	e.mu.Unlock()
	io := func(value uint64) []map[string]any {
		return []map[string]any{{"major": 254, "minor": 0, "op": "Read", "value": value}, {"major": 254, "minor": 0, "op": "Write", "value": value}}
	}
	answer(w, map[string]any{
		"read": time.Now().UTC(), "id": madeUpID, "pids_stats": map[string]any{"current": 3},
		"cpu_stats": map[string]any{
			"cpu_usage":        map[string]any{"total_usage": n * 1e8, "usage_in_kernelmode": n * 1e7, "usage_in_usermode": n * 9e7},
			"system_cpu_usage": n * 2e9, "online_cpus": 2, "throttling_data": map[string]any{"periods": n, "throttled_periods": 1, "throttled_time": 5},
		},
		"memory_stats": map[string]any{"usage": 30 << 20, "max_usage": 40 << 20, "limit": 64 << 20, "stats": map[string]any{
			"total_inactive_file": 1 << 20, "total_rss": 1 << 20, "total_cache": 2 << 20, "total_mapped_file": 0, "total_pgfault": 7, "total_pgmajfault": 1}},
		"blkio_stats": map[string]any{"io_service_bytes_recursive": io(n * 4096), "io_serviced_recursive": io(n)},
		"networks":    map[string]any{"eth0": map[string]any{"rx_bytes": n, "rx_packets": n, "tx_bytes": n, "tx_packets": n}},
	})
}

// copytruncate rewrites a file as logrotate does with copytruncate: what was written since the
// copy is lost.
func copytruncate(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
