package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHistoryBounds(t *testing.T) {
	load := func(text string) (Config, string) {
		t.Helper()
		name := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, mistakes := Load(Files{Paths: []string{name}, Env: unset, ReadFile: os.ReadFile, Hostname: "h"})
		return cfg, strings.ReplaceAll(mistakesText(mistakes.Err()), name, "weir.yaml")
	}
	good := func(text string, want History) {
		t.Helper()
		if cfg, mistakes := load(text); mistakes != "" || cfg.History != want {
			t.Errorf("%q: %+v, %s", text, cfg.History, mistakes)
		}
	}
	good("node: a", defaultHistory())
	good("history: {}", defaultHistory())
	none := defaultHistory()
	none.None = true
	good("history: none", none)
	good("history: {age: 3d, size: 16MiB, interval: 1s, max_exemplars: 0}", History{HistoryBounds: HistoryBounds{Age: 72 * time.Hour, Size: 16 << 20, Interval: time.Second}})
	bad := func(text, want string) {
		t.Helper()
		if _, mistakes := load(text); !strings.Contains(mistakes, want) {
			t.Errorf("%q: %q; want %q", text, mistakes, want)
		}
	}
	bad("history: off", "history: want none, or bounds")
	bad("history: {age: 1h}", "history.age: want at least 3h")
	bad("history: {size: 1MiB}", "history.size: want at least 16MiB")
	bad("history: {interval: 1h}", "history.interval: want 1s to 2m")
	bad("history: {max_exemplars: -1}", "history.max_exemplars: want 0 to 1000000")
	bad("history: {keep: 1h}", "history.keep: unknown key")
	cfg, _ := load("history: none")
	if text, err := Effective(cfg, false); err != nil || !strings.Contains(string(text), "\nhistory: none\n") {
		t.Errorf("%v:\n%s", err, text)
	}
}

func mistakesText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
