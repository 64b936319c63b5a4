package agent

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSinksAreApart: two file sinks in one directory would destroy each other's lines.
func TestSinksAreApart(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/a", link); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	inside := filepath.Join(t.TempDir(), "inside")
	if err := os.Symlink(dir, inside); err != nil {
		t.Fatal(err)
	}
	for dirs, wrong := range map[[2]string]bool{
		{dir + "/out", inside + "/out/new"}: true,
		{dir + "/out", inside + "/new"}:     false,
		{dir, link}:                         false, // which leads nowhere yet
		{"/a/b", "/a/b"}:                    true,
		{"/a/b", "/a/./b/"}:                 true,
		{"/a/b", "/a/b/c"}:                  true,
		{"/a/b/c", "/a/b/d/.."}:             true,
		{"/a/b", "/a/bc"}:                   false,
		{"/a/b", "/a/c"}:                    false,
		{"b", "./b"}:                        true,
	} {
		_, mistakes := loaded(t, "sources: {push: {}}\nsinks:\n  x: {type: file, dir: "+dirs[0]+"}\n  y: {type: file, dir: "+dirs[1]+"}\n  s: {type: statsd, address: 'udp://127.0.0.1:1'}\n")
		want := ""
		if wrong {
			want = "sinks.y.dir: the sink x writes to " + dirs[0] + ": give each file sink a directory of its own, not in that of another"
		}
		if mistakes != want {
			t.Errorf("%v: %q, want %q", dirs, mistakes, want)
		}
	}
}

// TestOwnPatterns: a pattern that can fit nothing but what weir writes is a mistake.
func TestOwnPatterns(t *testing.T) {
	for pattern, wrong := range map[string]bool{
		"/var/log/*.log": false, "/var/log/**": false, "/var/**": false, "/var/log/out*/x.log": false,
		"/var/log/out/**": true, "/var/log/out/x/../x.log": true, "/var/log/out/x*": true, "/var/log/out": false,
		"/data/streams/**": true, "/data/*": true,
	} {
		_, mistakes := loaded(t, "data_dir: /data\nsources: {app: {type: file, paths: [/a/b, '"+pattern+"']}}\nsinks: {out: {type: file, dir: /var/log/out}}\n")
		if got := strings.HasPrefix(mistakes, "sources.app.paths[1]: it names files in /"); got != wrong || mistakes != "" && !wrong {
			t.Errorf("%s: %q", pattern, mistakes)
		}
	}
}

// TestOwnOutput: a source that covers weir's data and its sink's files follows neither.
func TestOwnOutput(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"app.log": "one\ntwo\n", "weir/old/old.log": "of a run before\n", "data/streams/x/1.ndjson": "{}\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "weir"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	cfg, mistakes := loaded(t, "data_dir: "+dir+"/data\nhttp: {listen: ''}\nsources: {app: {type: file, start: beginning, paths: ['"+dir+"/**', '"+dir+"/*/*/*.log']}}\n"+
		"rules: [{match: '{}', count: [{name: lines}]}]\nsinks: {out: {type: file, dir: "+dir+"/weir, start: beginning}}\n")
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	for range 2 {
		a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), Once: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.Run(ctx); err != nil {
			t.Fatal(err)
		}
		var streams []string
		for _, s := range a.journal.Archive().All() {
			streams = append(streams, s.ID())
		}
		if want := []string{"app/" + dir + "/app.log"}; !slices.Equal(streams, want) {
			t.Errorf("streams %q, want %q", streams, want)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
