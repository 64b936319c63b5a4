package agent

import (
	"testing"
	"time"

	"github.com/weirlog/weir/internal/source/docker"
)

// TestDockerEnvironment has the variables of the collector before.
func TestDockerEnvironment(t *testing.T) {
	for value, want := range map[string]time.Duration{"5": 5 * time.Second, "": 20 * time.Second, "0": 20 * time.Second, "often": 20 * time.Second} {
		env := environment{lookup: func(name string) (string, bool) { return value, name == "METRICS_COLLECTION_INTERVAL" }}
		c := docker.Default()
		env.docker(&c)
		if c.StatsInterval != want {
			t.Errorf("%q: every %v, want %v", value, c.StatsInterval, want)
		}
	}
}
