package realtest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// LogFormat is the access-log format whose lines weir counts by status out of the box.
const LogFormat = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent ` +
	`"$http_referer" "$http_user_agent" "$http_x_forwarded_for" rt=$request_time uct="$upstream_connect_time" ` +
	`uht="$upstream_header_time" urt="$upstream_response_time" upstream=$upstream_addr rid=$request_id cache=$upstream_cache_status`

// NginxConfig says what an nginx does.
type NginxConfig struct {
	// AccessLog is the file it writes to; empty means none.
	AccessLog string
	// Format is the log_format of the access log; empty means LogFormat.
	Format string
	// HTTP holds further directives for the http block, such as an upstream.
	HTTP string
	// Server replaces the body of the server block, which otherwise answers /status/NNN
	// with that status for 200, 201, 204, 301, 304, 400, 403, 404, 429, 500, 502, 503 and
	// 504, and everything else with 200.
	Server string
}

// Nginx is a running nginx.
type Nginx struct {
	// URL is where it listens, without a final slash.
	URL string
	*process
}

// StartNginx runs Debian's nginx until the test ends, or skips the test.
func StartNginx(t testing.TB, c NginxConfig) *Nginx {
	t.Helper()
	return RunNginx(t, c.text)
}

// RunNginx is StartNginx with a configuration of the test's own, made for a folder that it
// may write to and the loopback address to listen on. It must keep nginx in the foreground,
// "pid nginx.pid;" in the folder, and should keep it in one process, so that its end is the
// end of all of it: "daemon off; master_process off;".
func RunNginx(t testing.TB, conf func(dir, address string) string) *Nginx {
	t.Helper()
	path := Program(t, "nginx", "nginx-light")
	// A port that was free a moment ago may be taken meanwhile; then another will do.
	for range 5 {
		dir, address := t.TempDir(), freeAddress(t)
		name := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(name, []byte(conf(dir, address)), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := start(t, exec.Command(path, "-p", dir, "-c", name, "-e", "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		bound := func() bool { // it writes its process id once it listens
			pid, _ := os.ReadFile(filepath.Join(dir, "nginx.pid"))
			return len(pid) > 0
		}
		if within(Patience, func() bool { return !p.running() || bound() }) && p.running() {
			Used(t, version(path, "-v", "version: "))
			return &Nginx{URL: "http://" + address, process: p}
		}
		p.stop()
		if !strings.Contains(p.output.String(), "Address already in use") {
			t.Fatalf("nginx does not start:\n%s", p.output)
		}
	}
	t.Fatal("nginx finds no free port")
	return nil
}

// Reopen makes nginx open its log files again, as logrotate does after it has renamed them.
// It returns once the file exists.
func (n *Nginx) Reopen(t testing.TB, accessLog string) {
	t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "nginx opens "+accessLog+" again", func() bool {
		_, err := os.Stat(accessLog)
		return err == nil
	})
}

func (c NginxConfig) text(dir, address string) string {
	accessLog := "access_log off;"
	if c.AccessLog != "" {
		format := c.Format
		if format == "" {
			format = LogFormat
		}
		accessLog = fmt.Sprintf("log_format weir '%s';\naccess_log %s weir;", format, c.AccessLog)
	}
	server := c.Server
	if server == "" {
		server = `location / { return 200 "weir\n"; }` + "\n"
		for _, status := range strings.Fields("200 201 204 301 304 400 403 404 429 500 502 503 504") {
			server += fmt.Sprintf("location = /status/%s { return %s; }\n", status, status)
		}
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // so that it may write where the test wants its log
	}
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	return user + fmt.Sprintf(`daemon off;
master_process off;
pid %s/nginx.pid;
events { worker_connections 256; }
http {
%s%s
%s
server {
listen %s;
%s
}
}
`, dir, temp, accessLog, c.HTTP, address, server)
}

// Get sends n requests for path over one connection, and fails the test on an error. What
// the answers say does not matter here; the log will tell.
func Get(t testing.TB, url string, n int, path string) {
	t.Helper()
	client := &http.Client{
		Transport:     new(http.Transport),
		Timeout:       Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	for range n {
		response, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
}
