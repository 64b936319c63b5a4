package faulttest_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/faulttest"
)

// TestStatsDOrigin: the lines of a container that does not say which it is have its id, since the Docker
// source knows its address; another container that gets the same address later has its own.
func TestStatsDOrigin(t *testing.T) {
	e := enginetest.Start(t)
	if !e.Own {
		t.Skip("SKIP: networks are made in an engine of the test's own alone")
	}
	status, answer := e.Do("POST", "/networks/create", map[string]any{"Name": "weir-origin", "Driver": "bridge", "Internal": true})
	if status != http.StatusCreated {
		t.Skipf("SKIP: no network for containers: %d %s", status, answer)
	}
	t.Cleanup(func() { e.Do("DELETE", "/networks/weir-origin", nil) })
	var network struct {
		IPAM struct{ Config []struct{ Gateway string } }
	}
	_, answer = e.Do("GET", "/networks/weir-origin", nil)
	if err := json.Unmarshal(answer, &network); err != nil || len(network.IPAM.Config) == 0 {
		t.Fatalf("%v: %s", err, answer)
	}
	gateway := strings.Split(network.IPAM.Config[0].Gateway, "/")[0]
	_, port, _ := net.SplitHostPort(faulttest.FreeAddress(t))
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(
		"node: n\nsources: {docker: {host: %q}, app: {type: statsd, listen: 'tcp://0.0.0.0:%s', origin_label: container}}\n", e.Host, port)})
	for round := range 2 {
		id := e.Run(enginetest.Container{
			Name: fmt.Sprintf("origin-%d", round), Host: map[string]any{"NetworkMode": "weir-origin"},
			Cmd: []string{"sh", "-c", fmt.Sprintf("while true; do echo 'hits:1|c' | nc -w 1 %s %s; sleep 1; done", gateway, port)},
		})
		faulttest.WaitFor(t, "lines of the container", func() bool {
			m, err := w.Metrics()
			return err == nil && m[fmt.Sprintf(`hits_total{machine="n",container=%q}`, id)] > 1
		})
		e.Remove(id)
	}
}
