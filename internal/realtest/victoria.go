package realtest

import (
	"net/http"
	"os/exec"
	"testing"
)

// Victoria is a running VictoriaMetrics.
type Victoria struct {
	// URL is where it listens, without a final slash.
	URL string
	*process
}

// StartVictoria runs Debian's VictoriaMetrics on an address, with its data in dir, until the
// test ends, or skips the test.
func StartVictoria(t testing.TB, address, dir string) *Victoria {
	t.Helper()
	path := Program(t, "victoria-metrics", "victoria-metrics")
	Used(t, "victoria-metrics") // Debian's does not tell its version
	p, err := start(t, exec.Command(path, "-httpListenAddr="+address, "-storageDataPath="+dir, "-retentionPeriod=100y",
		"-search.latencyOffset=1ms", "-memory.allowedBytes=256MB", "-loggerLevel=WARN"))
	if err != nil {
		t.Fatal(err)
	}
	v := &Victoria{URL: "http://" + address, process: p}
	if !within(Patience, func() bool { return !p.running() || v.ready() }) || !p.running() {
		t.Fatalf("victoria-metrics does not start:\n%s", p.output)
	}
	return v
}

// Stop ends it before the test does.
func (v *Victoria) Stop() { v.stop() }

func (v *Victoria) ready() bool {
	response, err := http.Get(v.URL + "/health")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
