package faulttest_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// nginxImage makes an image of this machine's nginx and the libraries it loads.
func nginxImage(t *testing.T, e *enginetest.Engine) {
	t.Helper()
	program := realtest.Program(t, "nginx", "nginx-light")
	libs, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Skipf("SKIP: ldd %s: %v", program, err)
	}
	files := []string{program}
	for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllSubmatch(libs, -1) {
		files = append(files, string(m[1]))
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	add := func(name string, mode int64, content []byte) {
		if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		add(name, 0o755, content)
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skipf("SKIP: %v", err)
	}
	add("/bin/busybox", 0o755, busybox)
	add("/etc/passwd", 0o644, []byte("root:x:0:0::/:/bin/sh\n"))
	add("/etc/group", 0o644, []byte("root:x:0:\n"))
	add("/conf", 0o644, fmt.Appendf(nil, `user root; daemon off; master_process off; pid /nginx.pid; error_log /dev/null;
events {}
http {
  log_format weir '%s';
  access_log /dev/stdout weir;
  client_body_temp_path /t1; proxy_temp_path /t2; fastcgi_temp_path /t3; uwsgi_temp_path /t4; scgi_temp_path /t5;
  server { listen 127.0.0.1:80;
    location / { return 200 "weir\n"; }
    location /gone { return 404; }
    location /broken { proxy_pass http://127.0.0.1:9; }
  }
}
`, realtest.LogFormat))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if status, answer := e.Do("POST", "/images/create?fromSrc=-&repo=weir-nginx&tag=1", &image); status != http.StatusOK {
		t.Fatalf("import nginx: %d %s", status, answer)
	}
}

// TestNewcomer is the promise of the README: nginx in Docker, one command, no configuration,
// and the status codes are on /metrics and in a StatsD server.
func TestNewcomer(t *testing.T) {
	e := enginetest.Start(t)
	statsd := realtest.StartStatsD(t)
	nginxImage(t, e)
	host, port, err := net.SplitHostPort(statsd.Address)
	if err != nil {
		t.Fatal(err)
	}
	w := faulttest.Default(t, "DOCKER_HOST="+e.Host, "STATSD_HOST="+host, "STATSD_PORT="+port, "STATSD_PROTOCOL=udp", "MACHINE_NAME=web-1")
	faulttest.WaitFor(t, "weir to be ready", w.Ready)

	ask := `i=0; while [ $i -lt 200 ]; do for p in / /a /b /gone /broken; do busybox wget -q -O /dev/null http://127.0.0.1$p; done; i=$((i+1)); done`
	e.RunImage("weir-nginx:1", enginetest.Container{Name: "shop-nginx-1", Cmd: []string{"/bin/busybox", "sh", "-c",
		"nginx=" + realtest.Program(t, "nginx", "nginx-light") + "; $nginx -c /conf & busybox sleep 1; " + ask + "; busybox sleep 600"}})
	want := map[string]float64{"200": 600, "404": 200, "502": 200}
	var m map[string]float64
	series := func(status string) string {
		return fmt.Sprintf(`nginx_status_count_total{machine="web-1",status=%q}`, status)
	}
	faulttest.WaitFor(t, "the status codes on /metrics", func() bool {
		m, err = w.Metrics()
		return err == nil && faulttest.Sum(m, "nginx_status_count_total") >= 1000
	})
	for status, n := range want {
		if got := m[series(status)]; got != n {
			t.Errorf("status %s: %v, want %v", status, got, n)
		}
	}
	w.Terminate() // sends what its windows hold
	faulttest.WaitFor(t, "the gauges in StatsD", func() bool { return len(statsd.Gauges(t)) >= 3 })
	for name := range statsd.Gauges(t) {
		if !strings.HasPrefix(name, "nginx.status_count;status=") && !strings.HasPrefix(name, "statsd.") {
			t.Errorf("gauge %s", name)
		}
	}
}

// TestStatsDSum sends counts, which a StatsD server adds up: over restarts and a crash they
// must come to the number of lines.
func TestStatsDSum(t *testing.T) {
	statsd := realtest.StartStatsD(t)
	path := filepath.Join(t.TempDir(), "access.log")
	nginx := realtest.StartNginx(t, realtest.NginxConfig{AccessLog: path})
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`
sources: {access: {type: file, paths: [%q], start: beginning}}
sinks: {agent: {type: statsd, address: "tcp://%s", window: 1s}}
rules:
  - match: '{}'
    parse: {nginx: combined}
    count: [{name: nginx.status_count, by: [status], as: count}]
`, path, statsd.Address)})
	load := realtest.Wrk(t, nginx.URL, 4, 2*time.Second)
	w.Terminate()
	realtest.Get(t, nginx.URL+"/status/404", 50, "")
	w.Again()
	realtest.Get(t, nginx.URL+"/status/500", 25, "")
	faulttest.WaitFor(t, "StatsD to have it all", func() bool {
		c := statsd.Counters(t)
		return c["nginx.status_count;status=500"] >= 25
	})
	w.Terminate()
	logged := bytesCount(t, path, `" 200 `)
	c := statsd.Counters(t)
	if got := c["nginx.status_count;status=200"]; got != float64(logged) || logged < load.Requests {
		t.Errorf("StatsD has %v of %d lines with status 200 (%d requests were answered)", got, logged, load.Requests)
	}
	if c["nginx.status_count;status=404"] != 50 || c["nginx.status_count;status=500"] != 25 {
		t.Errorf("StatsD has %v", c)
	}
}

func bytesCount(t *testing.T, path, what string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte(what))
}

// TestPromtool lets Prometheus's own tool judge /metrics.
func TestPromtool(t *testing.T) {
	promtool := realtest.Promtool(t)
	s := newStage(t, "")
	s.lines.Write(50)
	s.weir.Settle(50)
	resp, err := http.Get("http://" + s.weir.Address() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
