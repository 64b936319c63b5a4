package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
)

var errCrashed = errors.New("the machine has crashed")

const pushed = `push/{app="shop", source="push"}`

// send pushes lines to an agent and returns the status of the answer.
func send(a *Agent, lines ...string) int {
	body := `{"streams":[{"stream":{"app":"shop"},"values":[["1","` + strings.Join(lines, `",{"k":"v"}],["2","`) + `",{"k":"v"}]]}]}`
	r := httptest.NewRequest("POST", "/loki/api/v1/push", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.push(w, r)
	return w.Code
}

// textOf returns the kept text of a stream.
func textOf(t *testing.T, a *Agent, stream string) string {
	t.Helper()
	s := a.journal.Archive().Find(stream)
	if s == nil {
		return ""
	}
	v := s.View()
	defer v.Close()
	var d archive.Decoder
	var all []byte
	for i := range v.Len() {
		var err error
		if all, err = v.AppendText(all, i, &d); err != nil {
			t.Fatal(err)
		}
	}
	return string(all)
}

// TestPushIsSyncedBeforeTheAnswer lets the machine crash right after an answer.
func TestPushIsSyncedBeforeTheAnswer(t *testing.T) {
	cfg, mistakes := loaded(t, "http: {listen: ''}\nsources: {push: {}}\nrules: [{match: '{}', join: {preset: java}, count: [{name: lines}]}]\n")
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	dir := new(disk.Faulty)
	open := func() (a *Agent, crash func()) {
		a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), FS: dir})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = a.Run(ctx)
		}()
		for _, s := range a.current().sources {
			<-s.ready
		}
		return a, func() {
			dir.Crash(func(int, int) int { return 0 })
			dir.FailWith(func(string) error { return errCrashed })
			cancel()
			<-ended
			_ = a.Close()
			dir.Crash(func(int, int) int { return 0 })
			dir.FailWith(nil)
		}
	}
	const first = `{"time":"1970-01-01T00:00:00.000000001Z","level":"unknown","body":"one","fields":{"k":"v"}}` + "\n"
	a, crash := open()
	if status := send(a, "one"); status != 204 {
		t.Fatal(status)
	}
	if got := textOf(t, a, pushed); got != first {
		t.Errorf("kept\n%s", got)
	}
	crash()
	a, crash = open()
	if got := textOf(t, a, pushed); got != first {
		t.Errorf("after the crash\n%s", got)
	}
	// A record that could be the first line of a stack trace is not held back.
	if status := send(a, "java.lang.Error: x", "\\tat a.B.c(D.java:1)"); status != 204 {
		t.Fatal(status)
	}
	crash()
	a, crash = open()
	defer crash()
	if got := textOf(t, a, pushed); strings.Count(got, "\n") != 3 {
		t.Errorf("after the second crash\n%s", got)
	}
	if text := string(a.registry.AppendText(nil, 0)); !slices.Contains(strings.Split(text, "\n"), `lines_total{machine="web-1"} 3`) {
		t.Errorf("counted\n%s", text)
	}
}

func TestPushNeedsASource(t *testing.T) {
	cfg, mistakes := loaded(t, "sources: {file: {paths: [/nowhere]}}\n")
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), FS: new(disk.Faulty)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if status := send(a, "x"); status != 404 {
		t.Error(status)
	}
	_, mistakes = loaded(t, "sources: {push: {}, more: {type: push}}\n")
	if mistakes != "sources.push: more takes pushes already, and there is one address for them: leave one of the two out" {
		t.Error(mistakes)
	}
}
