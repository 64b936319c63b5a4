// Package enginetest gives tests a real Docker Engine: one of their own, started in a
// folder of its own and stopped by its process id when the test ends, or else the engine
// that DOCKER_HOST or /var/run/docker.sock names. The dockerd is the one that is installed,
// or the one that WEIR_TEST_DOCKERD names.
//
//	e := enginetest.Start(t)              // skips, saying why, where there is none
//	id := e.Run(enginetest.Container{Name: "web", Cmd: []string{"sh", "-c", "echo hi"}})
//	e.Wait(id)
//
// Nothing is pulled: the image holds a static busybox. The containers have no network.
// What a test makes is removed at its end. The helpers fail the test on any error and so
// belong to the test's goroutine. The package leaves out everything about logs.
package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Image is the name of the image in which the containers run.
const Image = "weir-test:1"

// Engine is a running Docker Engine.
type Engine struct {
	// Host is its endpoint as in DOCKER_HOST.
	Host string
	// Root is its data folder, as in /info's DockerRootDir.
	Root string
	// Own tells whether the test started it, so that StopDaemon may be used.
	Own bool

	t      testing.TB
	dir    string
	binary string // dockerd
	args   []string
	daemon *daemon
	client *http.Client
	mark   string // the value of a label on all containers made here
}

// Start returns an engine with the test image, or skips the test. args are further flags
// for a dockerd that is started here.
func Start(t testing.TB, args ...string) *Engine {
	t.Helper()
	busybox, why := staticBusybox()
	if busybox == "" {
		t.Skip("SKIP: no image for containers: " + why)
	}
	var id [4]byte
	rand.Read(id[:])
	e := &Engine{t: t, args: args, mark: hex.EncodeToString(id[:]), daemon: &daemon{}}
	if why = e.findDaemon(); why == "" {
		e.begin()
	} else if !e.find() {
		t.Skip("SKIP: no docker engine: " + why + ", and none answers at DOCKER_HOST or " + defaultSocket)
	}
	e.importImage(busybox)
	t.Cleanup(e.removeAll)
	t.Log("real component: docker " + e.version()) // for the summary of make test
	return e
}

func (e *Engine) version() string {
	_, body := e.Do("GET", "/version", nil)
	var v struct{ Version, ApiVersion string }
	json.Unmarshal(body, &v)
	return v.Version + " (API " + v.ApiVersion + ")"
}

// For returns the same engine for a subtest: its failures are those of t, and what it makes
// is removed at its end.
func (e *Engine) For(t testing.TB) *Engine {
	sub := *e
	sub.t = t
	sub.mark += "-" + strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' {
			return '-'
		}
		return r
	}, t.Name())
	t.Cleanup(sub.removeAll)
	return &sub
}

// daemon is the process, shared by the engines that For makes.
type daemon struct {
	cmd    *exec.Cmd // nil when it does not run
	exited chan struct{}
}

const defaultSocket = "/var/run/docker.sock"

// find takes the engine that is there already.
func (e *Engine) find() bool {
	e.Host = os.Getenv("DOCKER_HOST")
	if e.Host == "" {
		e.Host = "unix://" + defaultSocket
	}
	if !strings.HasPrefix(e.Host, "unix://") {
		return false
	}
	e.connect()
	return e.answers() && e.readRoot()
}

// findDaemon finds a dockerd that can be run, or returns why there is none.
func (e *Engine) findDaemon() (why string) {
	name := os.Getenv("WEIR_TEST_DOCKERD")
	if name == "" {
		name = "dockerd"
	}
	binary, err := exec.LookPath(name)
	switch {
	case err != nil && name != "dockerd":
		e.t.Fatal("WEIR_TEST_DOCKERD: ", err) // asked for, so not to be skipped
	case err != nil:
		return "dockerd is not installed"
	case os.Getuid() != 0:
		return "dockerd needs root"
	}
	e.binary = binary
	return ""
}

// begin starts a dockerd in a folder whose name is short, as the names of sockets must be.
func (e *Engine) begin() {
	dir, err := os.MkdirTemp("", "wd")
	if err != nil {
		e.t.Fatal(err)
	}
	e.Own, e.dir = true, dir
	e.Host, e.Root = "unix://"+dir+"/d.sock", dir+"/root"
	e.connect()
	e.t.Cleanup(func() {
		e.StopDaemon()
		syscall.Unmount(e.Root, syscall.MNT_DETACH) // after a restart dockerd has mounted it on itself
		for range 50 {                              // mounts may take a moment to go
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	if why := e.launch(); why != "" {
		e.t.Skip("SKIP: no docker engine: dockerd does not start here: " + why)
	}
}

// StartDaemon starts dockerd again after StopDaemon, on the same data.
func (e *Engine) StartDaemon() {
	e.t.Helper()
	if why := e.launch(); why != "" {
		e.t.Fatal("start dockerd: " + why)
	}
}

// launch returns why dockerd does not run, "" once it answers.
func (e *Engine) launch() string {
	log, err := os.OpenFile(filepath.Join(e.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err.Error()
	}
	defer log.Close()
	cmd := exec.Command(e.binary, append([]string{
		"--data-root", e.Root, "--exec-root", e.dir + "/exec", "--pidfile", e.dir + "/pid", "-H", e.Host,
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs",
	}, e.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// containerd and runc that lie beside it are its own.
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(e.binary)+":"+os.Getenv("PATH"))
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	exited := make(chan struct{})
	e.daemon.cmd, e.daemon.exited = cmd, exited
	go func() {
		cmd.Wait()
		close(exited)
	}()
	for range 300 {
		if e.answers() {
			return ""
		}
		select {
		case <-exited:
			return lastLine(e.dir + "/log")
		case <-time.After(100 * time.Millisecond):
		}
	}
	e.StopDaemon()
	return "no answer in 30 s: " + lastLine(e.dir+"/log")
}

// StopDaemon ends dockerd, and with it its containers unless it runs with --live-restore.
func (e *Engine) StopDaemon() {
	d := e.daemon
	if d.cmd == nil || !e.Own {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(20 * time.Second):
		e.t.Log("dockerd does not end: " + lastLine(e.dir+"/log"))
		d.cmd.Process.Kill()
		<-d.exited
	}
	d.cmd = nil
}

func lastLine(path string) string {
	text, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

func (e *Engine) connect() {
	path := strings.TrimPrefix(e.Host, "unix://")
	dialer := net.Dialer{Timeout: 5 * time.Second}
	e.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
	}}
}

func (e *Engine) answers() bool {
	resp, err := e.client.Get("http://docker/_ping")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (e *Engine) readRoot() bool {
	status, body := e.Do("GET", "/info", nil)
	var info struct{ DockerRootDir string }
	json.Unmarshal(body, &info)
	e.Root = info.DockerRootDir
	return status == http.StatusOK
}

// Do makes one request of the engine's API. The body is sent as JSON, or as it is when it
// is an io.Reader.
func (e *Engine) Do(method, path string, body any) (status int, answer []byte) {
	e.t.Helper()
	var in io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case io.Reader:
		in, kind = b, "application/x-tar"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			e.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, "http://docker"+path, in)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// staticBusybox returns a busybox that needs no libraries, or why there is none.
func staticBusybox() (path, why string) {
	for _, p := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		f, err := elf.Open(p)
		if err != nil {
			continue
		}
		libs, _ := f.ImportedLibraries()
		f.Close()
		if len(libs) == 0 {
			return p, ""
		}
	}
	return "", "no static busybox is installed (Debian: busybox-static)"
}
