package faulttest_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/faulttest"
)

// TestDockerHeartbeats removes containers of a real engine before, and while, weir is away:
// the heartbeats that an alert needs are there after a reload, a restart and a kill -9.
func TestDockerHeartbeats(t *testing.T) {
	e := enginetest.Start(t)
	ids := map[string]string{}
	for _, name := range []string{"beat-stays", "beat-before", "beat-away"} {
		ids[name] = e.Run(enginetest.Container{Name: name, Cmd: []string{"sleep", "1000"}})
	}
	w := faulttest.Start(t, faulttest.Options{Config: "sources: {docker: {host: '" + e.Host + "', stats_interval: 1s, include: ['beat-*']}}\nrules: []\n"})
	beats := func() map[string]float64 {
		all := map[string]float64{}
		samples, _ := w.Metrics()
		for series, v := range samples {
			if rest, ok := strings.CutPrefix(series, "container_up_timestamp_seconds{"); ok {
				name, _, _ := strings.Cut(rest[strings.Index(rest, `container="`)+len(`container="`):], `"`)
				all[name] = v
			}
		}
		return all
	}
	faulttest.WaitFor(t, "three heartbeats", func() bool { return len(beats()) == 3 })
	e.Remove(ids["beat-before"])
	// The others have been measured again when it is gone, so what is stored of it is stored.
	var at float64
	faulttest.WaitFor(t, "it is gone", func() bool {
		b := beats()
		at = b["beat-before"]
		return b["beat-stays"] >= at+2
	})
	for _, again := range []struct {
		what string
		do   func()
	}{
		{"reload", func() {
			w.Signal(syscall.SIGHUP)
			faulttest.WaitFor(t, "the reload", func() bool {
				samples, _ := w.Metrics()
				for series := range samples {
					if strings.Contains(series, `event="reloaded"`) {
						return true
					}
				}
				return false
			})
		}},
		{"restart", func() { w.Terminate(); e.Remove(ids["beat-away"]); w.Again() }},
		{"kill -9", func() { w.Kill(); w.Again() }},
	} {
		again.do()
		var b map[string]float64
		faulttest.WaitFor(t, "beat-stays goes on after "+again.what, func() bool {
			last := b["beat-stays"]
			b = beats()
			return last > 0 && b["beat-stays"] > last
		})
		if b["beat-before"] != at || b["beat-away"] == 0 {
			t.Errorf("after %s: %v, want %v of beat-before", again.what, b, at)
		}
	}
	if b := beats(); b["beat-away"] >= b["beat-stays"] || b["beat-away"] < at {
		t.Errorf("a container that was removed while weir was away: %v", b)
	}
}
