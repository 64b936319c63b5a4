package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestRealEngine makes the image in a real engine and runs it as compose.yaml does, and
// puts the socket proxy before the same engine.
func TestRealEngine(t *testing.T) {
	e := enginetest.Start(t)
	t.Run("socket proxy", func(t *testing.T) {
		url := proxy(t, strings.TrimPrefix(e.Host, "unix://"))
		if status, body := ask(t, "GET", url+"/v1.41/containers/json?all=1"); status != 200 || !strings.HasPrefix(body, "[") {
			t.Errorf("%d %s", status, body)
		}
		if status, _ := ask(t, "POST", url+"/v1.41/containers/create"); status != 403 {
			t.Errorf("a container may be made: %d", status)
		}
	})
	t.Run("image", func(t *testing.T) {
		d := docker{realtest.Program(t, "docker", "docker.io"), e.Host}
		makeImage(t, d)
		settings(t, d)
		runs(t, d)
	})
}

const image = "weir-deploy-test:1"

// docker is the command line of an engine.
type docker struct{ path, host string }

func (d docker) try(args ...string) (string, error) {
	cmd := exec.Command(d.path, args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (d docker) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.try(args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func makeImage(t *testing.T, d docker) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "weir")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../cmd/weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	script := exec.Command("./image.sh", binary, image)
	script.Env = append(os.Environ(), "DOCKER_HOST="+d.host, "PATH="+filepath.Dir(d.path)+":"+os.Getenv("PATH"))
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { d.do(t, "rmi", "-f", image) })
}

func settings(t *testing.T, d docker) {
	t.Helper()
	var c struct {
		User            string
		Entrypoint, Cmd []string
		Volumes         map[string]any
		Healthcheck     struct{ Test []string }
	}
	if err := json.Unmarshal([]byte(d.do(t, "inspect", "--format", "{{json .Config}}", image)), &c); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Volumes["/var/lib/weir"]; !ok || c.User != "65532:65532" || strings.Join(append(c.Entrypoint, c.Cmd...), " ") != "/weir run" ||
		strings.Join(c.Healthcheck.Test, " ") != "CMD /weir healthcheck" {
		t.Errorf("settings %+v", c)
	}
}

// runs starts the image without a network and without any privilege but the engine's
// socket: it is to become healthy, to have made its token, and to end when it is told to.
func runs(t *testing.T, d docker) {
	t.Helper()
	socket := strings.TrimPrefix(d.host, "unix://")
	id := d.do(t, "run", "-d", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges",
		"-v", socket+":/var/run/docker.sock", "--group-add", group(t, socket), image)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := d.try("logs", id)
			t.Log(out)
		}
		d.do(t, "rm", "-f", "-v", id)
	})
	realtest.Eventually(t, "weir is healthy", func() bool {
		_, err := d.try("exec", id, "/weir", "healthcheck")
		return err == nil
	})
	if token := d.do(t, "exec", id, "/weir", "token"); len(token) < 20 {
		t.Errorf("token %q", token)
	}
	d.do(t, "stop", "--time=20", id)
	if code := d.do(t, "inspect", "--format={{.State.ExitCode}}", id); code != "0" {
		t.Errorf("ended with %s", code)
	}
}

// group is the number of a file's group.
func group(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Gid), 10)
}
