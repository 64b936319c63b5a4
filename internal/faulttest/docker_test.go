package faulttest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/faulttest"
)

const dockerRules = `rules:
  - match: '{}'
    parse: {regex: '^n=(?P<n>[a-z0-9-]+) '}
    count: [{name: lines, by: [n], max_series: 1000000}]
`

// printing is a shell command that prints n numbered lines, each tag-i, in bursts of ten
// with a pause of some milliseconds between them.
func printing(tag string, n, pause int) []string {
	return []string{"sh", "-c", fmt.Sprintf(
		`i=0; while [ $i -lt %d ]; do echo "n=%s-$i said"; i=$((i+1)); [ $((i%%10)) -eq 0 ] && usleep %d; done`, n, tag, pause*1000)}
}

// said are the lines that containers have really written.
type said map[string]bool

func (s said) all(tag string, n int) {
	for i := range n {
		s[tag+"-"+strconv.Itoa(i)] = true
	}
}

var saidLine = regexp.MustCompile(`"n=([a-z0-9-]+) said`)

// logged adds what stands in the log files of a container that is about to be removed.
func (s said) logged(t *testing.T, e *enginetest.Engine, id string) {
	files, _ := filepath.Glob(filepath.Join(e.Root, "containers", id, id+"-json.log*"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range saidLine.FindAllSubmatch(text, -1) {
			s[string(m[1])] = true
		}
	}
}

var nLabel = regexp.MustCompile(`^lines_total\{.*n="([a-z0-9-]+)"`)

// settle waits until everything that was said is counted, and some seconds more.
func (s said) settle(t *testing.T, w *faulttest.Weir) faulttest.Result {
	t.Helper()
	var samples map[string]float64
	last, since := -1.0, time.Now()
	faulttest.WaitFor(t, "the counts to settle", func() bool {
		m, err := w.Metrics()
		if err != nil {
			return false
		}
		samples = m
		if n := faulttest.Sum(m, "lines_total"); n != last {
			last, since = n, time.Now()
		}
		<-time.After(200 * time.Millisecond)
		return time.Since(since) > 5*time.Second
	})
	r := faulttest.Result{Written: len(s), Gaps: int(faulttest.Sum(samples, "weir_source_gaps_total"))}
	counted := map[string]int{}
	for series, v := range samples {
		if m := nLabel.FindStringSubmatch(series); m != nil {
			counted[m[1]] += int(v)
		}
	}
	for n := range s {
		switch c := counted[n]; {
		case c == 0:
			r.Lost++
			if r.Lost < 5 {
				r.Example += " lost " + n
			}
		case c > 1:
			r.Doubled += c - 1
			r.Example += fmt.Sprintf(" %s×%d", n, c)
		}
	}
	for n := range counted {
		if !s[n] {
			r.Foreign++
			r.Example += " foreign " + n
		}
	}
	r.Example = r.Example[:min(len(r.Example), 300)]
	return r
}

// TestDocker plays what happens to containers while weir follows an engine, reading their
// files and, once more, the engine's API alone.
func TestDocker(t *testing.T) {
	e := enginetest.Start(t)
	for _, read := range []string{"file", "api"} {
		for _, test := range []struct {
			name, what string
			run        func(t *testing.T, e *enginetest.Engine, w *faulttest.Weir, s said) int
		}{
			{"containers that live a moment and remove themselves", "containers", shortLived},
			{"container replaced under its name while it prints", "replacements", replaced},
			{"container killed and removed while it prints", "removals", removed},
			{"kill -9 of weir while containers print", "kills", weirKilled},
			{"max-file=1", "container", oneFile},
			{"dockerd stopped and started", "restart", dockerdRestarted},
		} {
			if test.name == "dockerd stopped and started" && !e.Own {
				continue
			}
			t.Run(test.name+"/"+read, func(t *testing.T) {
				w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(
					"sources: {docker: {host: %q, read: %s, start: end, reconcile: 2s}}\n%s", e.Host, read, dockerRules)})
				faulttest.WaitFor(t, "weir to have had its first look", func() bool { return w.Ready() })
				s := said{}
				faults := test.run(t, e, w, s)
				r := s.settle(t, w)
				if r.Lost != 0 || r.Doubled != 0 || r.Foreign != 0 {
					t.Errorf("%d lines: %d lost, %d doubled, %d foreign, %d gaps:%s", r.Written, r.Lost, r.Doubled, r.Foreign, r.Gaps, r.Example)
				}
				t.Logf("%d lines, %d gaps stated", r.Written, r.Gaps)
				report(test.name+" (by "+read+")", &stage{faults: faults, what: test.what}, r)
			})
		}
	}
}

func tagOf(t *testing.T, i int) string {
	sum := 0
	for _, c := range t.Name() {
		sum = sum*31 + int(c)
	}
	return fmt.Sprintf("t%x-%d", uint32(sum), i)
}

func shortLived(t *testing.T, e *enginetest.Engine, _ *faulttest.Weir, s said) int {
	const n = 8
	for i := range n {
		tag := tagOf(t, i)
		e.Run(enginetest.Container{Cmd: printing(tag, 200, 15), AutoRemove: true})
		s.all(tag, 200)
	}
	<-time.After(3 * time.Second)
	return n
}

func replaced(t *testing.T, e *enginetest.Engine, _ *faulttest.Weir, s said) int {
	const n = 6
	old := ""
	name := "weir-" + tagOf(t, 0)
	for i := range n {
		tag := tagOf(t, i)
		id := e.Run(enginetest.Container{Name: name, Cmd: printing(tag, 400, 20)})
		s.all(tag, 400)
		<-time.After(200 * time.Millisecond)
		e.Rename(id, fmt.Sprint(name, "-old-", i))
		if old != "" {
			e.Wait(old)
			e.Remove(old)
		}
		old = id
	}
	e.Wait(old)
	return n
}

func removed(t *testing.T, e *enginetest.Engine, _ *faulttest.Weir, s said) int {
	const n = 6
	name := "weir-" + tagOf(t, 0)
	for i := range n {
		id := e.Run(enginetest.Container{Name: name, Cmd: printing(tagOf(t, i), 100000, 5)})
		<-time.After(400 * time.Millisecond)
		e.Kill(id)
		e.Wait(id)
		s.logged(t, e, id)
		e.Remove(id)
	}
	return n
}

func weirKilled(t *testing.T, e *enginetest.Engine, w *faulttest.Weir, s said) int {
	var ids []string
	for i := range 3 {
		tag := tagOf(t, i)
		ids = append(ids, e.Run(enginetest.Container{Cmd: printing(tag, 2000, 25), Options: map[string]string{"max-size": "20k", "max-file": "30"}, Driver: "json-file"}))
		s.all(tag, 2000)
	}
	n := 0
	during(5*time.Second, 500*time.Millisecond, func() {
		w.Kill()
		w.Again()
		n++
	})
	for _, id := range ids {
		e.Wait(id)
	}
	return n
}

// oneFile lets the engine keep one file of a log, which it rotates about twice a second.
func oneFile(t *testing.T, e *enginetest.Engine, _ *faulttest.Weir, s said) int {
	tag := tagOf(t, 0)
	id := e.Run(enginetest.Container{Cmd: printing(tag, 2000, 25), Driver: "json-file", Options: map[string]string{"max-size": "20k", "max-file": "1"}})
	s.all(tag, 2000)
	e.Wait(id)
	return 1
}

func dockerdRestarted(t *testing.T, e *enginetest.Engine, w *faulttest.Weir, s said) int {
	id := e.Run(enginetest.Container{Cmd: printing(tagOf(t, 0), 100000, 10)})
	<-time.After(time.Second)
	e.StopDaemon()
	<-time.After(2 * time.Second)
	if _, err := w.Metrics(); err != nil {
		t.Errorf("/metrics while dockerd is away: %v", err)
	}
	e.StartDaemon()
	s.logged(t, e, id)
	tag := tagOf(t, 1)
	after := e.Run(enginetest.Container{Cmd: printing(tag, 300, 10)})
	s.all(tag, 300)
	e.Wait(after)
	return 1
}
