package enginetest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// markLabel marks what this package made, so that it can be removed from a shared engine.
const markLabel = "weir.test"

// Container is what Create makes.
type Container struct {
	// Name may be empty: the engine finds one.
	Name string
	// Cmd is the command and its arguments, of busybox.
	Cmd []string
	// TTY gives it a terminal, so that its log has no sub-streams.
	TTY bool
	// AutoRemove removes it when it ends, as docker run --rm.
	AutoRemove bool
	// Labels of the container.
	Labels map[string]string
	// Driver is the logging driver; empty means the engine's.
	Driver string
	// Options are the driver's: max-size, max-file.
	Options map[string]string
	// Host are further entries of the engine's HostConfig, as Memory.
	Host map[string]any
}

// importImage makes the image of one busybox and a link for each of its commands.
func (e *Engine) importImage(busybox string) {
	e.t.Helper()
	binary, err := os.ReadFile(busybox)
	if err != nil {
		e.t.Fatal(err)
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		e.t.Fatal(err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	w.WriteHeader(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755})
	w.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o777})
	w.WriteHeader(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(binary))})
	w.Write(binary)
	for name := range strings.FieldsSeq(string(list)) {
		if name != "busybox" {
			w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777})
		}
	}
	w.Close()
	name, tag, _ := strings.Cut(Image, ":")
	if status, answer := e.Do("POST", "/images/create?fromSrc=-&repo="+name+"&tag="+tag, &buf); status != http.StatusOK {
		e.t.Fatalf("import the test image: %d %s", status, answer)
	}
}

// Create makes a container without starting it, and returns its id.
func (e *Engine) Create(c Container) string {
	e.t.Helper()
	return e.create(Image, c)
}

// RunImage makes a container of another image, which the test has imported, and starts it.
func (e *Engine) RunImage(image string, c Container) string {
	e.t.Helper()
	id := e.create(image, c)
	e.Begin(id)
	return id
}

func (e *Engine) create(image string, c Container) string {
	e.t.Helper()
	labels := map[string]string{markLabel: e.mark}
	for k, v := range c.Labels {
		labels[k] = v
	}
	// Without seccomp, for a runc that was built without a C library for it has none.
	host := map[string]any{"NetworkMode": "none", "AutoRemove": c.AutoRemove, "SecurityOpt": []string{"seccomp=unconfined"}}
	if c.Driver != "" || c.Options != nil {
		host["LogConfig"] = map[string]any{"Type": c.Driver, "Config": c.Options}
	}
	for k, v := range c.Host {
		host[k] = v
	}
	status, answer := e.Do("POST", "/containers/create?name="+url.QueryEscape(c.Name), map[string]any{
		"Image": image, "Cmd": c.Cmd, "Tty": c.TTY, "Labels": labels, "HostConfig": host,
		"Env": []string{"PATH=/bin"}, "StopTimeout": 1,
	})
	var made struct{ Id string }
	json.Unmarshal(answer, &made)
	if status != http.StatusCreated || made.Id == "" {
		e.t.Fatalf("create container %s: %d %s", c.Name, status, answer)
	}
	return made.Id
}

// Run makes a container and starts it.
func (e *Engine) Run(c Container) string {
	e.t.Helper()
	id := e.Create(c)
	e.Begin(id)
	return id
}

// Begin starts a container that is there.
func (e *Engine) Begin(id string) { e.t.Helper(); e.act("POST", "/containers/"+id+"/start") }

// Kill ends a container at once.
func (e *Engine) Kill(id string) { e.t.Helper(); e.act("POST", "/containers/"+id+"/kill") }

// Remove removes a container, running or not.
func (e *Engine) Remove(id string) { e.t.Helper(); e.act("DELETE", "/containers/"+id+"?force=1&v=1") }

// Rename gives a container another name.
func (e *Engine) Rename(id, name string) {
	e.t.Helper()
	e.act("POST", "/containers/"+id+"/rename?name="+url.QueryEscape(name))
}

// Wait waits until a container has ended.
func (e *Engine) Wait(id string) { e.t.Helper(); e.act("POST", "/containers/"+id+"/wait") }

// act makes a request whose failure fails the test, unless the container is gone or is
// being removed already.
func (e *Engine) act(method, path string) {
	e.t.Helper()
	status, answer := e.Do(method, path, nil)
	if status >= 400 && status != http.StatusNotFound && status != http.StatusConflict {
		e.t.Errorf("%s %s: %d %s", method, path, status, answer)
	}
}

// removeAll removes the containers made here, so that dockerd has none to wait for.
func (e *Engine) removeAll() {
	if e.Own && e.daemon.cmd == nil && e.launch() != "" {
		return
	}
	filters := url.QueryEscape(`{"label":["` + markLabel + `=` + e.mark + `"]}`)
	_, answer := e.Do("GET", "/containers/json?all=1&filters="+filters, nil)
	var all []struct{ Id string }
	json.Unmarshal(answer, &all)
	for _, c := range all {
		e.Remove(c.Id)
	}
}
