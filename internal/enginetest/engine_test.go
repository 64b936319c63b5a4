package enginetest_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/enginetest"
)

func TestEngine(t *testing.T) {
	e := enginetest.Start(t)
	id := e.Run(enginetest.Container{Name: "hello-" + t.Name(), Cmd: []string{"sh", "-c", "echo hi; echo oops >&2"}, Labels: map[string]string{"a": "b"}})
	e.Wait(id)
	status, log := e.Do("GET", "/containers/"+id+"/logs?stdout=1&stderr=1", nil)
	if status != http.StatusOK || !strings.Contains(string(log), "hi\n") || !strings.Contains(string(log), "oops\n") {
		t.Errorf("log of the container: %d %q", status, log)
	}
	if !e.Own {
		return
	}
	if _, err := os.Stat(e.Root + "/containers/" + id); err != nil {
		t.Error(err)
	}
	e.StopDaemon()
	e.StartDaemon()
	if status, _ := e.Do("GET", "/containers/"+id+"/json", nil); status != http.StatusOK {
		t.Errorf("inspect after a restart of the engine: %d", status)
	}
}
