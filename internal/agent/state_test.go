package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/weirlog/weir/internal/disk"
)

// TestSourceState has what sources keep stay with them over restarts, and go with them.
func TestSourceState(t *testing.T) {
	dir := new(disk.Faulty)
	open := func(sources string) *Agent {
		t.Helper()
		cfg, mistakes := loaded(t, "http: {listen: ''}\nsources: {"+sources+"}\nrules: []\n")
		if mistakes != "" {
			t.Fatal(mistakes)
		}
		a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), FS: dir})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	const one, two = "one: {type: push}", "two: {type: file, paths: [/none]}"
	a := open(one + ", " + two)
	sourceState{a.journal, "one"}.Store("key", []byte("of one"))
	sourceState{a.journal, "two"}.Store("key", []byte("of two"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.journal.Run(ctx) }()
	err := a.journal.Sync(ctx)
	stop()
	if err = errors.Join(err, <-ended, a.Close()); err != nil {
		t.Fatal(err)
	}
	a = open(one)
	if got := string(sourceState{a.journal, "one"}.Load("key")); got != "of one" {
		t.Errorf("one has %q", got)
	}
	if got := (sourceState{a.journal, "two"}).Load("key"); got != nil {
		t.Errorf("two has %q", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"statsd\x00agent": "", "source\x00": "", "source\x00a": "a", "source\x00a\x00b\x00c": "a"} {
		if got := sourceOf(key); got != want {
			t.Errorf("%q belongs to %q", key, got)
		}
	}
}
