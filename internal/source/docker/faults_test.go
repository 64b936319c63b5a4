package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
)

// The log is read in turns from the file and through the API.
func TestChangeOver(t *testing.T) {
	e, j := newEngine(t, t.TempDir()), newJournal(t)
	web := e.run("web", nil)
	term := e.run("term", func(c *fakeContainer) { c.tty = true })
	at := e.now()
	for i, read := range []Read{ReadAPI, ReadFile, ReadAPI, ReadAuto, ReadFile, ReadAPI, ReadFile} {
		for _, c := range []*fakeContainer{web, term} {
			e.writeLines(c, i*40, i*40+10)
			piece := e.now()
			e.put(c, piece, false, "pieces \t<&>\"\\ ") // escapes of all kinds
			e.put(c, piece, false, "end \u2028 é\n")
			if !c.tty {
				e.put(c, at, true, "carriage return\r\n")
			}
			e.put(c, at, true, "same time, same text\n")
			e.put(c, at, true, "same time, same text\n")
		}
		if i%3 == 2 {
			e.rotate(web, 5)
		}
		stop, _ := start(t, e, j, func(c *Config, _ *flow.Deps) { c.Read = read })
		for _, c := range []*fakeContainer{web, term} {
			j.untilCount("docker/"+c.name, c, len(e.all(c)))
		}
		stop()
		for _, c := range []*fakeContainer{web, term} {
			e.put(c, e.now(), false, "whole\n")
		}
	}
	start(t, e, j, nil)
	want := e.all(web)
	for i := range want {
		want[i] = strings.TrimSuffix(want[i], "\r")
	}
	j.exactly("docker/web", web, want)
	j.exactly("docker/term", term, e.all(term))
}

// What a stage held back is read again the other way.
func TestChangeOverInLongLine(t *testing.T) {
	e, j := newEngine(t, t.TempDir()), newJournal(t)
	web := e.run("web", nil)
	for i, read := range []Read{ReadFile, ReadAPI, ReadFile, ReadFile, ReadAPI, ReadAPI, ReadFile} {
		stop, _ := start(t, e, j, func(c *Config, _ *flow.Deps) { c.Read = read })
		for k := range 2 {
			e.put(web, e.now(), false, fmt.Sprintf("piece %d.%d ", i, k))
		}
		e.put(web, e.now(), true, fmt.Sprintf("err %d\n", i))
		j.untilCount("docker/web", web, i+1)
		stop()
		e.put(web, e.now(), true, fmt.Sprintf("piece of err %d ", i))
	}
	e.put(web, e.now(), false, "end\n")
	e.put(web, e.now(), true, "end\n")
	start(t, e, j, nil)
	j.exactly("docker/web", web, e.all(web))
}

func TestClockSteps(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("old engine %v", old), func(t *testing.T) {
			both(t, func(t *testing.T, e *fakeEngine, j *journal) {
				e.sinceFilters = old
				web := e.run("web", nil)
				n := 0
				write := func() { e.writeLines(web, n, n+20); n += 20 }
				for i, step := range []time.Duration{0, -time.Hour, time.Hour, -time.Minute, 2 * time.Hour, -3 * time.Hour, 0} {
					stop, _ := start(t, e, j, nil)
					write()
					e.offset.Add(int64(step)) // while it runs
					write()
					j.exactly("docker/web", web, e.all(web))
					stop()
					if i%2 == 1 { // and back and forth while it does not
						e.offset.Add(int64(-time.Hour))
						write()
						e.offset.Add(int64(time.Hour))
						write()
					}
				}
				start(t, e, j, nil)
				j.exactly("docker/web", web, e.all(web))
			})
		})
	}
}

// A log of many more lines than the search begins with, and with a backlog.
func TestLongBacklog(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", nil)
		e.writeLines(web, 0, 3000)
		stop, _ := start(t, e, j, nil)
		j.exactly("docker/web", web, e.all(web))
		stop()
		e.writeLines(web, 3000, 9000)
		stop, _ = start(t, e, j, nil)
		e.writeLines(web, 9000, 9100)
		j.exactly("docker/web", web, e.all(web))
		stop()
	})
}

func TestRotatedAway(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	web := e.run("web", nil)
	e.writeLines(web, 0, 200)
	stop, _ := start(t, e, j, nil)
	j.untilCount("docker/web", web, 200)
	stop()
	e.writeLines(web, 200, 400)
	e.lock(func() { web.first = 100 }) // of what was read: no matter
	stop, _ = start(t, e, j, nil)
	j.exactly("docker/web", web, e.all(web))
	stop()
	e.writeLines(web, 400, 600)
	e.lock(func() { web.first = 500 })
	start(t, e, j, nil)
	j.untilCount("docker/web", web, 500)
	i := j.has("docker/web", web)
	if !slices.Equal(i.got[400:], e.all(web)[500:]) || !slices.Equal(i.gaps, []string{"-1 rotated away"}) {
		t.Errorf("%d records, gaps %v", len(i.got), i.gaps)
	}
}

func TestRotation(t *testing.T) {
	e, j := newEngine(t, t.TempDir()), newJournal(t)
	web := e.run("web", nil)
	e.writeLines(web, 0, 10)
	e.rotate(web, 3) // before anyone looks
	stop, _ := start(t, e, j, nil)
	for i := 1; i < 20; i++ {
		e.writeLines(web, i*10, i*10+10)
		e.rotate(web, 3)
		j.untilCount("docker/web", web, i*10)
		if i%5 == 0 {
			stop()
			stop, _ = start(t, e, j, nil)
		}
	}
	j.exactly("docker/web", web, e.all(web))
}

// A stream that delivers nothing more is noticed and opened anew.
func TestStalled(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	web := e.run("web", nil)
	e.writeLines(web, 0, 10)
	impatient(t, e, j)
	j.untilCount("docker/web", web, 10)
	for i := 1; i < 3; i++ {
		e.lock(func() { web.stalled = true }) // the stream of now and those after it
		e.writeLines(web, i*10, i*10+10)
		j.exactly("docker/web", web, e.all(web)) // fetched
		e.lock(func() { web.stalled = false })
	}
}

// impatient starts a source that soon asks about a silence.
func impatient(t *testing.T, e *fakeEngine, j *journal) {
	cfg := Default()
	cfg.Host, cfg.Read = e.host, ReadAPI
	s, err := New(cfg, testDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	s.(*Source).silence = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, j) }()
	t.Cleanup(func() { cancel(); <-done })
}

// A stream that repeats itself is noticed too.
func TestRepeating(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	e.repeats = true
	web := e.run("web", nil)
	start(t, e, j, nil)
	for i := range 20 {
		e.writeLines(web, i*20, i*20+20)
		j.untilCount("docker/web", web, i*20)
	}
	j.exactly("docker/web", web, e.all(web))
}

// A container whose log is fetched is removed right after it wrote.
func TestRemovedAfterLastWords(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	e.rotates = true
	start(t, e, j, nil)
	var all []*fakeContainer
	for i := range 10 {
		c := e.run(fmt.Sprintf("rm-%d", i), nil)
		e.writeLines(c, 0, 5)
		j.untilCount("docker/"+c.name, c, 5)
		e.writeLines(c, 5, 200)
		e.remove(c)
		all = append(all, c)
	}
	for _, c := range all {
		j.exactly("docker/"+c.name, c, e.all(c))
	}
}

func TestDriverWithoutReading(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	none := e.run("none", func(c *fakeContainer) { c.driver = "none" })
	web := e.run("web", nil)
	e.writeLines(web, 0, 10)
	_, component := start(t, e, j, nil)
	j.exactly("docker/web", web, e.all(web))
	j.until("none is known", func() bool { return j.has("docker/none", none) != nil })
	if s := component.State(); !s.Healthy {
		t.Errorf("degraded by a container without a log: %+v", s)
	}
}

func TestForbidden(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	web := e.run("web", nil)
	e.writeLines(web, 0, 10)
	events := "/events"
	e.forbid.Store(&events)
	_, component := start(t, e, j, nil)
	waitDegraded(t, component)
	if s := component.State(); !strings.Contains(s.Remedy, "GET requests") || !strings.Contains(s.Problem, "forbidden") {
		t.Errorf("%+v", s)
	}
	e.forbid.Store(new(string))
	j.exactly("docker/web", web, e.all(web))
}

func TestNotFollowed(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	web := e.run("web", nil)
	off := e.run("off", func(c *fakeContainer) { c.labels = map[string]string{settingEnable: "false"} })
	e.writeLines(web, 0, 10)
	e.writeLines(off, 0, 10)
	stop, _ := start(t, e, j, nil)
	j.exactly("docker/web", web, e.all(web))
	stop()
	start(t, e, j, func(c *Config, _ *flow.Deps) { c.Exclude = []string{"we*"} })
	j.until("web is forgotten", func() bool { return !j.has("docker/web", web).known })
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.has("docker/off", off) != nil {
		t.Error("a container that is off was opened")
	}
}

// What was not read of a container that was removed while nobody looked is a gap.
func TestGoneMeanwhile(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web, done := e.run("web", nil), e.run("done", nil)
		e.writeLines(web, 0, 10)
		e.writeLines(done, 0, 10)
		e.end(done)
		stop, _ := start(t, e, j, nil)
		j.untilCount("docker/web", web, 10)
		j.until("done is done", func() bool {
			i := j.has("docker/done", done)
			if i == nil {
				return false
			}
			c, _ := decodeCursor(i.pos.Source)
			return c.ended
		})
		stop()
		e.writeLines(web, 10, 20)
		e.remove(web)
		e.remove(done)
		start(t, e, j, nil)
		j.until("both are forgotten", func() bool { return !j.has("docker/web", web).known && !j.has("docker/done", done).known })
		j.exactly("docker/done", done, e.all(done))
		if i := j.has("docker/web", web); len(i.got) != 10 || !slices.Equal(i.gaps, []string{"-1 removed"}) {
			t.Errorf("%d records, gaps %v", len(i.got), i.gaps)
		}
	})
}

// A line that refuses a batch gets it again.
func TestRefused(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		web := e.run("web", nil)
		e.writeLines(web, 0, 10)
		start(t, e, j, nil)
		j.untilCount("docker/web", web, 10)
		j.lock(func() { j.has("docker/web", web).failed = true })
		e.writeLines(web, 10, 20)
		opens := 0
		j.until("it was opened again", func() bool { opens = j.has("docker/web", web).opens; return opens > 2 })
		j.lock(func() { j.has("docker/web", web).failed = false })
		j.exactly("docker/web", web, e.all(web))
	})
}

// Everything at once: containers that come and go, while weir, the engine and files do.
func TestChurn(t *testing.T) {
	both(t, func(t *testing.T, e *fakeEngine, j *journal) {
		var all []*fakeContainer
		for i := range 8 {
			all = append(all, e.run(fmt.Sprintf("churn-%d", i), func(c *fakeContainer) { c.tty = i%3 == 2 }))
		}
		var written atomic.Int64
		done := make(chan bool)
		go func() {
			defer close(done)
			for i := range 300 {
				for k, c := range all {
					e.writeLines(c, i, i+1)
					switch (i + 7*k) % 50 {
					case 10:
						e.end(c)
						e.begin(c)
					case 20:
						at := e.now()
						e.put(c, at, false, "piece ")
						e.put(c, at, false, "end\n")
					case 30:
						if e.root != "" {
							e.rotate(c, 20)
						}
					}
				}
				written.Add(1)
			}
			for _, c := range all {
				e.put(c, e.now(), false, "the end\n")
				e.put(c, e.now(), true, "the end\n")
			}
		}()
		for round := 0; ; round++ {
			stop, _ := start(t, e, j, nil)
			target := written.Load() + 30
			j.until("something was written", func() bool { return written.Load() >= min(target, 300) })
			if round%3 == 1 {
				e.stop()
				e.start()
			}
			if written.Load() >= 300 {
				<-done
				for _, c := range all {
					j.exactly("docker/"+c.name, c, e.all(c))
				}
				return
			}
			stop()
		}
	})
}
