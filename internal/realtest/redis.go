package realtest

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Redis is a running Redis server.
type Redis struct {
	// Address is where it listens.
	Address string
	*process
}

// StartRedis runs Debian's Redis on an address, a free one if that is empty, until the test
// ends, or skips the test. It keeps every command in a file in dir, as one that must not
// forget does. More arguments are settings: "--requirepass", "secret".
func StartRedis(t testing.TB, address, dir string, settings ...string) *Redis {
	t.Helper()
	path := Program(t, "redis-server", "redis-server")
	Used(t, "redis-server "+version(path, "--version", "v="))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		at := address
		if at == "" {
			at = freeAddress(t)
		}
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"}, settings...)
		p, err := start(t, exec.Command(path, args...))
		if err != nil {
			t.Fatal(err)
		}
		r := &Redis{Address: at, process: p}
		if within(Patience, func() bool { return !p.running() || r.ready() }) && p.running() {
			return r
		}
		p.stop()
		if !strings.Contains(p.output.String(), "already in use") || address != "" {
			t.Fatalf("redis-server does not start:\n%s", p.output)
		}
	}
	t.Fatal("redis-server finds no free port")
	return nil
}

// Stop ends it before the test does.
func (r *Redis) Stop() { r.stop() }

// ready tells whether it has read what it kept: before that it answers LOADING, and with a
// password NOAUTH, which will do.
func (r *Redis) ready() bool {
	c, err := net.DialTimeout("tcp", r.Address, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer := make([]byte, 16)
	n, _ := c.Read(answer)
	return strings.HasPrefix(string(answer[:n]), "+PONG") || strings.HasPrefix(string(answer[:n]), "-NOAUTH")
}
