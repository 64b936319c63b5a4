package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/enginetest"
)

// TestMain lets the test binary stand in for weir in the container.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "demo" && os.Args[2] == "--emit" {
		if Emit(context.Background(), os.Stdout, 200) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestContainerOfARealEngine(t *testing.T) {
	e := enginetest.Start(t)
	binary := filepath.Join(t.TempDir(), "weir")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("SKIP: no static binary for the container: %v: %s", err, out)
	}
	c, err := startContainer(t.Context(), e.Host, binary, 200)
	if err != nil {
		t.Fatal(err)
	}
	// Follow the log until it has some lines; a container that prints none ends the wait by
	// the engine's end of the log.
	deadline := time.Now().Add(30 * time.Second)
	var log []byte
	for bytes.Count(log, []byte(" cache=")) < 20 && time.Now().Before(deadline) {
		_, log = e.Do("GET", "/containers/"+containerName+"/logs?stdout=1&stderr=1", nil)
	}
	if !bytes.Contains(log, []byte(" HTTP/1.1\" 200 ")) {
		t.Errorf("the container's log: %q", log[:min(len(log), 500)])
	}
	_, text := e.Do("GET", "/containers/"+containerName+"/json", nil)
	var found struct{ Config struct{ User string } }
	if err := json.Unmarshal(text, &found); err != nil || found.Config.User != "65534:65534" {
		t.Errorf("it runs as %q, %v", found.Config.User, err)
	}
	if err := c.remove(t.Context()); err != nil {
		t.Error(err)
	}
	if status, _ := e.Do("GET", "/containers/"+containerName+"/json", nil); status != http.StatusNotFound {
		t.Errorf("inspecting the removed container: %d", status)
	}
	if _, text := e.Do("GET", "/images/json", nil); strings.Contains(string(text), imageName+":") {
		t.Errorf("the image is left behind: %s", text)
	}
}
