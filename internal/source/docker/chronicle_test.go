package docker

import (
	"context"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/record"
)

func TestEventText(t *testing.T) {
	for _, c := range []struct {
		e     dockerapi.Event
		want  string
		level record.Level
	}{
		{dockerapi.Event{Action: "start", ID: testID("web"), Name: "web", Attributes: map[string]string{"image": "nginx:1"}},
			"event=start container=web image=nginx:1 id=" + testID("web")[:12], record.LevelInfo},
		{dockerapi.Event{Action: "die", ID: "x", Name: "web", Attributes: map[string]string{"exitCode": "137", "signal": "9"}},
			"event=die container=web exit_code=137 signal=9 id=x", record.LevelError},
		{dockerapi.Event{Action: "die", ID: "x", Name: "web", Attributes: map[string]string{"exitCode": "0"}}, "event=die container=web exit_code=0 id=x", record.LevelInfo},
		{dockerapi.Event{Action: "oom", ID: "x", Name: "web"}, "event=oom container=web id=x", record.LevelError},
		{dockerapi.Event{Action: "health_status: unhealthy", ID: "x", Name: "web"}, "event=health_status container=web health=unhealthy id=x", record.LevelWarn},
		{dockerapi.Event{Action: "rename", ID: "x", Name: "new", Attributes: map[string]string{"oldName": "/old"}}, "event=rename container=new old_name=old id=x", record.LevelInfo},
		{dockerapi.Event{Action: "start", ID: "x", Name: "a", Attributes: map[string]string{settingName: "a \"b\"\n"}}, `event=start container="a \"b\"\n" id=x`, record.LevelInfo},
	} {
		if got := string(appendEvent(nil, &c.e)); got != c.want || eventLevel(&c.e) != c.level {
			t.Errorf("got %s, level %v; want %s, %v", got, eventLevel(&c.e), c.want, c.level)
		}
	}
}

// keepEvents runs a source that writes events, until the returned function is called.
func keepEvents(t *testing.T, host string, j *journal) (stop func()) {
	t.Helper()
	cfg, deps := Default(), testDeps(t)
	cfg.Host, cfg.Events, cfg.Read, cfg.Exclude = host, true, ReadAPI, []string{"hidden*"}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, j) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// events waits until the chronicle has as many records, and returns what happened.
func (j *journal) events(n int) (all []string) {
	j.t.Helper()
	j.until("events", func() bool {
		i := j.inputs["docker/@events "]
		if i == nil || len(i.got) < n {
			return false
		}
		all = nil
		for _, text := range i.got {
			action, rest, _ := strings.Cut(text, " container=")
			name, _, _ := strings.Cut(rest, " ")
			all = append(all, strings.TrimPrefix(action, "event=")+" "+name)
		}
		return true
	})
	return all
}

// TestChronicle has an engine that tells all its events again at each connection.
func TestChronicle(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	stop := keepEvents(t, e.host, j)
	j.until("settled", func() bool { return j.settled == 1 })
	e.run("web", nil)
	e.run("hidden", nil)
	e.run("db", nil)
	want := []string{"create web", "start web", "create db", "start db"}
	if got := j.events(len(want)); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("got %v", got)
	}
	stop()
	e.run("late", nil) // while weir is away
	stop = keepEvents(t, e.host, j)
	want = append(want, "create late", "start late")
	if got := j.events(len(want)); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("after a restart: %v", got)
	}
	e.stop()
	e.start()
	e.run("last", nil)
	want = append(want, "create last", "start last")
	if got := j.events(len(want)); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("after a restart of the engine: %v", got)
	}
	stop()
}

func TestChronicleEngine(t *testing.T) {
	e, j := enginetest.Start(t), newJournal(t)
	stop := keepEvents(t, e.Host, j)
	j.until("settled", func() bool { return j.settled == 1 })
	id := e.Run(enginetest.Container{Name: "job", Cmd: []string{"sh", "-c", "exit 3"}})
	e.Wait(id)
	j.events(3)
	stop()
	e.Remove(id)
	stop = keepEvents(t, e.Host, j)
	defer stop()
	want := "create job, start job, die job, destroy job"
	if got := strings.Join(j.events(4), ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if text := j.inputs["docker/@events "].got[2]; !strings.Contains(text, "exit_code=3") || !strings.Contains(text, "image="+enginetest.Image) {
		t.Errorf("die: %s", text)
	}
}
