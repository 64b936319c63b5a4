package file

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// states keeps values as a journal does: they are durable after Sync.
type states struct {
	now, durable map[string][]byte
	fail         error
}

func newStates() *states { return &states{now: map[string][]byte{}, durable: map[string][]byte{}} }

func (s *states) Load(key string) []byte { return s.now[key] }

func (s *states) Store(key string, value []byte) {
	if s.now[key] = slices.Clone(value); len(value) == 0 {
		delete(s.now, key)
	}
}

func (s *states) Sync(context.Context) error {
	if s.fail == nil {
		s.durable = maps.Clone(s.now)
	}
	return s.fail
}

func (s *states) crash() { s.now = maps.Clone(s.durable) }

func (s *states) streams(name string) []string {
	var all []string
	for key := range s.now {
		if rest, ok := strings.CutPrefix(key, Prefix(name)); ok {
			all = append(all, rest)
		}
	}
	return all
}

func open(t *testing.T, c Config, st *states) *Sink {
	t.Helper()
	s, err := New(c, deliver.Deps{Name: "files", State: st, Streams: st.streams("files")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var shop = record.Stream{ID: "docker/shop", Source: "docker", Labels: record.Labels{{Name: "container", Value: "shop"}}}

// batch returns lines from the number first on.
func batch(first, n int) *record.Batch {
	b := &record.Batch{Stream: &shop, First: uint64(first)}
	for i := range n {
		b.Records = append(b.Records, record.Record{Time: int64(first+i) * 1e9, Level: record.LevelInfo, Body: b.Append(fmt.Appendf(nil, "line %d", first+i))})
	}
	return b
}

// lines returns what all files of the stream hold, the oldest first.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for k := 50; k >= 0; k-- {
		path := filepath.Join(dir, "shop", "shop.log")
		if k > 0 {
			path += fmt.Sprint(".", k)
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			if f, err := os.Open(path + ".gz"); err == nil {
				z, err := gzip.NewReader(f)
				if err == nil {
					text, err = io.ReadAll(z)
				}
				if err := errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	return slices.DeleteFunc(all, func(l string) bool { return l == "" })
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 30, MaxFiles: 2}, newStates())
	if err := errors.Join(s.Write(t.Context(), batch(1, 11)), s.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"shop.log": "line 9\nline 10\nline 11\n", "shop.log.1": "line 5\nline 6\nline 7\nline 8\n", "shop.log.2": "line 1\nline 2\nline 3\nline 4\n", "shop.log.3": "",
	} {
		got, err := os.ReadFile(filepath.Join(dir, "shop", name))
		if string(got) != want || err != nil && want != "" {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

// TestLongLines are whole in a file of their own, and no empty file is rotated.
func TestLongLines(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 5, MaxFiles: 9}, newStates())
	if err := errors.Join(s.Write(t.Context(), batch(1, 3)), s.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "shop", "*"))
	if len(names) != 3 || err != nil {
		t.Errorf("files %v, %v", names, err)
	}
}

func TestTemplate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Selection: deliver.SelectAll(), Template: `{{.Time.UTC.Format "15:04:05"}} {{.Level}} {{.Label "container"}}: {{.Text}}`}, newStates())
	if err := errors.Join(s.Write(t.Context(), batch(1, 1)), s.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, dir); len(got) != 1 || got[0] != "00:00:01 info shop: line 1" {
		t.Errorf("wrote %q", got)
	}
}

// TestOnce writes, fails, crashes and begins again at random: every line is there once.
func TestOnce(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		dir, st := t.TempDir(), newStates()
		c := Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 200, MaxFiles: 40, Compress: seed%2 == 0}
		s := open(t, c, st)
		next := func() int {
			n, ok := s.Next(shop.ID)
			if !ok {
				return 1
			}
			return int(n)
		}
		for range 60 {
			switch rnd.IntN(6) {
			case 0, 1, 2:
				if at := next(); at < 500 {
					_ = s.Write(t.Context(), batch(at, 1+rnd.IntN(20)))
				}
			case 3:
				if err := s.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if rnd.IntN(2) == 0 {
					_ = st.Sync(t.Context())
				}
			case 4:
				st.fail = []error{nil, errors.New("broken disk")}[rnd.IntN(2)]
			case 5: // a crash: nothing is flushed
				st.fail = nil
				st.crash()
				s.Close()
				s = open(t, c, st)
			}
		}
		st.fail = nil
		at := next()
		if err := errors.Join(s.Write(t.Context(), batch(at, 1)), s.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		got := lines(t, dir)
		if len(got) != at {
			t.Fatalf("seed %d: %d lines instead of %d", seed, len(got), at)
		}
		for i, line := range got {
			if want := fmt.Sprint("line ", i+1); line != want {
				t.Fatalf("seed %d: %q stands where %q should", seed, line, want)
			}
		}
	}
}

// TestNames cannot leave the directory, and no two streams share one.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Selection: deliver.SelectAll()}, newStates())
	for i, container := range []string{"../../etc/passwd", "..", "", "a/b", "a_b", "\x00\n", strings.Repeat("x", 300)} {
		def := record.Stream{ID: fmt.Sprint("docker/", i, container), Source: "docker", Labels: record.NewLabels(map[string]string{"container": container})}
		b := batch(1, 1)
		b.Stream = &def
		if err := s.Write(t.Context(), b); err != nil {
			t.Fatalf("%q: %v", container, err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found++
			if text, _ := os.ReadFile(path); string(text) != "line 1\n" {
				t.Errorf("%s has %q", path, text)
			}
		}
		return err
	})
	if found != 7 || err != nil {
		t.Errorf("%d files, %v", found, err)
	}
}

// TestRemovedFile: what somebody takes away is made again.
func TestRemovedFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Selection: deliver.SelectAll()}, newStates())
	for i := range 2 {
		if err := errors.Join(s.Write(t.Context(), batch(1+i, 1)), s.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.RemoveAll(filepath.Join(dir, "shop")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := lines(t, dir); len(got) != 1 || got[0] != "line 2" {
		t.Errorf("files have %q", got)
	}
}

func FuzzState(f *testing.F) {
	f.Add((&output{name: "shop", next: 7, size: 100, id: identity{1, 2}}).appendState(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, ok := parseState(b)
		if !ok {
			return
		}
		if strings.ContainsAny(o.name, "/\x00") || strings.HasPrefix(o.name, ".") || o.name == "" {
			t.Errorf("name %q", o.name)
		}
		again, ok := parseState(o.appendState(nil))
		if !ok || again.next != o.next || again.id != o.id || again.name != o.name {
			t.Errorf("%+v came back as %+v", o, again)
		}
	})
}
