package realtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var statusOf = regexp.MustCompile(`(?m)^127\.0\.0\.1 - - \[[^]]+\] "GET /[^"]*" (\d+) \d+ "-" "[^"]*" "-" rt=[\d.]+ uct="-" .* cache=-$`)

func TestNginxWritesItsLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	site := StartNginx(t, NginxConfig{AccessLog: log})
	Get(t, site.URL, 3, "/status/404")
	Get(t, site.URL, 2, "/")

	Eventually(t, "five lines", func() bool { return len(statuses(log)) == 5 })
	if got := strings.Join(statuses(log), " "); got != "404 404 404 200 200" {
		t.Errorf("statuses %s", got)
	}
}

func TestNginxReopens(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	site := StartNginx(t, NginxConfig{AccessLog: log})
	Get(t, site.URL, 3, "/")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	Get(t, site.URL, 2, "/")
	site.Reopen(t, log)
	// The signal may find nginx busy with a request that still goes to the old file.
	Get(t, site.URL, 4, "/")
	Eventually(t, "nine lines in both files", func() bool { return len(statuses(log))+len(statuses(log+".1")) == 9 })
	if n := len(statuses(log)); n == 0 {
		t.Error("nothing in the new file")
	}
}

func TestWrkCountsWhatNginxLogs(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	site := StartNginx(t, NginxConfig{AccessLog: log})
	load := Wrk(t, site.URL+"/", 2, time.Second)
	if load.Requests == 0 {
		t.Fatal("no requests")
	}
	lines := func() int {
		data, _ := os.ReadFile(log)
		return bytes.Count(data, []byte("\n"))
	}
	Eventually(t, "a line for each request", func() bool { return lines() >= load.Requests })
	if n := lines(); n > load.Requests+load.Connections {
		t.Errorf("%d lines for %d requests", n, load.Requests)
	}
}

func statuses(log string) []string {
	data, _ := os.ReadFile(log) // it may not be there yet
	var found []string
	for _, m := range statusOf.FindAllSubmatch(data, -1) {
		found = append(found, string(m[1]))
	}
	return found
}

func TestStatsDAddsUp(t *testing.T) {
	server := StartStatsD(t)
	for _, network := range []string{"udp", "tcp"} {
		c, err := net.Dial(network, server.Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hits:3|c\nnginx.status_count:17|g|#status:200\n")); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	Eventually(t, "both transports have arrived", func() bool { return server.Counters(t)["hits"] == 6 })
	if got := server.Gauges(t)["nginx.status_count;status=200"]; got != 17 {
		t.Errorf("gauge %v of %v", got, server.Gauges(t))
	}
	if bad := server.Counters(t)["statsd.bad_lines_seen"]; bad != 0 {
		t.Errorf("%v bad lines", bad)
	}
}

func TestPromtoolJudges(t *testing.T) {
	promtool := Promtool(t)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader("# HELP weir_up Whether it is.\n# TYPE weir_up gauge\nweir_up 1\n")
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	check = exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader("weir_up{ 1\n")
	if out, err := check.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("error")) {
		t.Errorf("%v: %s", err, out)
	}
}
