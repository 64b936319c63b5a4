package docker

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
)

// both runs a test through the API, following and fetching, and from files.
func both(t *testing.T, test func(t *testing.T, e *fakeEngine, j *journal)) {
	t.Run("fetch", func(t *testing.T) {
		e := newEngine(t, "")
		e.rotates = true
		test(t, e, newJournal(t))
	})
	t.Run("api", func(t *testing.T) { test(t, newEngine(t, ""), newJournal(t)) })
	t.Run("file", func(t *testing.T) { test(t, newEngine(t, t.TempDir()), newJournal(t)) })
}

func TestFollow(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		old := e.run("old", nil)
		e.writeLines(old, 0, 100)
		start(t, e, j, nil)
		e.writeLines(old, 100, 200)
		web := e.run("web", nil)
		e.writeLines(web, 0, 50)
		j.exactly("docker/old", old, e.all(old))
		j.exactly("docker/web", web, e.all(web))
		e.end(web)
		e.begin(web)
		e.writeLines(web, 50, 100)
		j.exactly("docker/web", web, e.all(web))
		e.remove(web)
		j.until("web is forgotten", func() bool { return !j.has("docker/web", web).known })
		j.exactly("docker/web", web, e.all(web))
	})
}

func TestRestart(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", nil)
		for i := range 10 {
			stop, _ := start(t, e, j, nil)
			e.writeLines(web, i*100, i*100+60)
			j.exactly("docker/web", web, e.all(web))
			stop()
			e.writeLines(web, i*100+60, i*100+100)
		}
		start(t, e, j, nil)
		j.exactly("docker/web", web, e.all(web))
	})
}

// Pieces of a long line that a stage holds back are read again after a restart, those of
// the other sub-stream are not.
func TestRestartInLongLine(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", nil)
		at := e.now()
		piece := strings.Repeat("x", 1000)
		stop, _ := start(t, e, j, nil)
		for range 40 {
			e.put(web, at, false, piece) // all the same, and of the same time
		}
		e.writeLines(web, 0, 1) // to stderr
		j.untilCount("docker/web", web, 1)
		for i := range 3 {
			stop()
			e.put(web, at, false, piece)
			e.put(web, e.now(), true, fmt.Sprintf("err %d\n", i))
			stop, _ = start(t, e, j, nil)
			j.untilCount("docker/web", web, i+2)
		}
		stop()
		e.put(web, at, false, "end\n")
		start(t, e, j, nil)
		j.exactly("docker/web", web, e.all(web))
	})
}

func TestShortContainers(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		start(t, e, j, nil)
		j.until("settled", func() bool { return j.settled == 1 })
		var all []*fakeContainer
		for i := range 50 {
			c := e.run(fmt.Sprintf("short-%d", i), nil)
			e.writeLines(c, 0, 10)
			e.end(c)
			all = append(all, c)
		}
		for _, c := range all {
			j.exactly("docker/"+c.name, c, e.all(c))
		}
	})
}

// A container that is removed once its log is followed loses nothing.
func TestRemoved(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		start(t, e, j, nil)
		var all []*fakeContainer
		for i := range 20 {
			c := e.run(fmt.Sprintf("rm-%d", i), nil)
			e.writeLines(c, 0, 5)
			j.untilCount("docker/"+c.name, c, 5)
			e.writeLines(c, 5, 10)
			if e.root != "" {
				e.remove(c) // the file is held open
			} else {
				e.end(c)
				j.untilCount("docker/"+c.name, c, 10)
				e.remove(c)
			}
			all = append(all, c)
		}
		for _, c := range all {
			j.exactly("docker/"+c.name, c, e.all(c))
			j.until("forgotten", func() bool { return !j.has("docker/"+c.name, c).known })
		}
	})
}

// A container is replaced by one of the same name while the old one still prints.
func TestRecreated(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		start(t, e, j, nil)
		labels := map[string]string{composeProject: "shop", composeService: "web", composeNumber: "1"}
		old := e.run("shop-web-1", func(c *fakeContainer) { c.id, c.labels = testID("old"), labels })
		e.writeLines(old, 0, 10)
		j.untilCount("docker/shop-web-1", old, 10)
		e.rename(old, old.id[:12]+"_shop-web-1")
		fresh := e.run("shop-web-1", func(c *fakeContainer) { c.id, c.labels = testID("new"), labels })
		e.writeLines(old, 10, 20)
		e.writeLines(fresh, 0, 10)
		e.end(old)
		j.exactly("docker/shop-web-1", old, e.all(old))
		e.remove(old)
		j.exactly("docker/shop-web-1", fresh, e.all(fresh))
		want := `{compose_project="shop", compose_service="web", container="shop-web-1", image="bb:1"}`
		if got := j.has("docker/shop-web-1", fresh).labels.String(); got != want {
			t.Errorf("labels %s, want %s", got, want)
		}
	})
}

func TestRenamed(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		stop, _ := start(t, e, j, nil)
		web := e.run("web", nil)
		e.writeLines(web, 0, 10)
		j.untilCount("docker/web", web, 10)
		e.rename(web, "app")
		j.until("moved", func() bool {
			i := j.has("docker/app", web)
			return i != nil && i.known && !j.has("docker/web", web).known
		})
		e.writeLines(web, 10, 20)
		j.untilCount("docker/app", web, 10)
		stop()
		e.rename(web, "shop") // while nobody looks
		e.writeLines(web, 20, 30)
		start(t, e, j, nil)
		j.untilCount("docker/shop", web, 10)
		var got []string
		for _, stream := range []string{"docker/web", "docker/app", "docker/shop"} {
			got = append(got, j.has(stream, web).got...)
		}
		if want := e.all(web); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		j.until("forgotten", func() bool { return !j.has("docker/app", web).known })
	})
}

func TestEngineAway(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", nil)
		e.writeLines(web, 0, 10)
		stop, component := start(t, e, j, nil)
		j.exactly("docker/web", web, e.all(web))
		e.stop()
		waitDegraded(t, component)
		e.writeLines(web, 10, 20)
		if e.root != "" {
			j.exactly("docker/web", web, e.all(web)) // the file needs no engine
			stop()
			e.writeLines(web, 20, 30)
			stop, component = start(t, e, j, nil)
			j.exactly("docker/web", web, e.all(web)) // not even at a start
			waitDegraded(t, component)
		}
		e.start()
		e.writeLines(web, 30, 40)
		j.exactly("docker/web", web, e.all(web))
		other := e.run("other", nil)
		e.writeLines(other, 0, 10)
		j.exactly("docker/other", other, e.all(other))
		if s := component.State(); !s.Healthy {
			t.Errorf("the engine is back, but: %+v", s)
		}
		stop()
	})
}

func waitDegraded(t *testing.T, c *ledger.Component) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); c.State().Healthy; {
		if time.Now().After(deadline) {
			t.Fatal("still healthy")
		}
		runtime.Gosched()
	}
}

func TestFirstStart(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", func(c *fakeContainer) { c.created = e.now().Add(-time.Hour) })
		long := e.run("long", func(c *fakeContainer) {
			c.created = e.now().Add(-time.Hour)
			c.labels = map[string]string{settingStart: "beginning"}
		})
		for i := range 20 {
			at := e.now().Add(time.Duration(i-20) * 10 * time.Second)
			e.put(web, at, false, fmt.Sprintf("line %d\n", i))
			e.put(long, at, false, fmt.Sprintf("line %d\n", i))
		}
		stop, _ := start(t, e, j, func(c *Config, d *flow.Deps) { d.First = true; c.Start = "65s" })
		j.until("settled", func() bool { return j.settled == 1 })
		j.exactly("docker/web", web, e.all(web)[14:])
		j.exactly("docker/long", long, e.all(long))
		fresh := e.run("fresh", nil)
		e.put(fresh, e.now().Add(-time.Hour), false, "old\n")
		j.exactly("docker/fresh", fresh, []string{"old"})
		stop()
		e.writeLines(web, 20, 30)
		start(t, e, j, nil)
		j.exactly("docker/web", web, e.all(web)[14:])
	})
}

func TestOnce(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", nil)
		e.writeLines(web, 0, 1000)
		gone := e.run("gone", nil)
		e.writeLines(gone, 0, 10)
		e.end(gone)
		deps := testDeps(t)
		deps.Once, deps.First = true, true
		cfg := Default()
		cfg.Host, cfg.Root = e.host, e.root
		if e.root == "" {
			cfg.Read = ReadAPI
		}
		s, err := New(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		j.exactly("docker/web", web, e.all(web))
		j.exactly("docker/gone", gone, e.all(gone))
		e.stop()
		if err := s.Run(t.Context(), j); err == nil {
			t.Error("without an engine: no error")
		}
	})
}
