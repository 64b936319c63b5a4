package file

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// write writes one line, its identity, to each of the streams.
func write(t *testing.T, s *Sink, streams ...record.Stream) {
	t.Helper()
	for i := range streams {
		next, ok := s.Next(streams[i].ID)
		if !ok {
			next = 1
		}
		b := &record.Batch{Stream: &streams[i], First: next}
		b.Records = []record.Record{{Body: b.Append([]byte(streams[i].ID))}}
		if err := s.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// owners returns of how many streams there are files, and fails if two share one.
func owners(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		first, _, _ := strings.Cut(string(text), "\n")
		if err != nil || strings.ReplaceAll(string(text), first+"\n", "") != "" {
			t.Errorf("%s has lines of several streams: %q, %v", path, text, err)
		}
	}
	return len(files)
}

func of(id, container string) record.Stream {
	return record.Stream{ID: id, Source: "push", Labels: record.Labels{{Name: "container", Value: container}}}
}

// hostileStreams returns three streams of which the first is called as the last would be.
func hostileStreams() []record.Stream {
	last := of("push/{app=r,container=q}", "q")
	h := fnv.New32a()
	h.Write([]byte(last.ID))
	return []record.Stream{of("push/{container=victim}", fmt.Sprintf("q-%08x", h.Sum32())), of("push/{app=p,container=q}", "q"), last}
}

// TestSharedNames: no stream gets the file of another by what it is called, also after a
// restart.
func TestSharedNames(t *testing.T) {
	dir, st, all := t.TempDir(), newStates(), hostileStreams()
	c := Config{Dir: dir, Selection: deliver.SelectAll()}
	write(t, open(t, c, st), all[:2]...)
	write(t, open(t, c, st), all...)
	write(t, open(t, c, st), all...)
	if n := owners(t, dir); n != 3 {
		t.Errorf("%d files of 3 streams", n)
	}
}

// TestFoldersOfOthers: a folder stays its stream's when the cursors are gone.
func TestFoldersOfOthers(t *testing.T) {
	dir, all := t.TempDir(), hostileStreams()
	if err := syscall.Setxattr(dir, "user.weir.test", nil, 0); errors.Is(err, syscall.ENOTSUP) {
		t.Skip("SKIP: the file system has no extended attributes")
	}
	c := Config{Dir: dir, Selection: deliver.SelectAll()}
	write(t, open(t, c, newStates()), all[0], all[1])
	write(t, open(t, c, newStates()), all[2], all[1], all[0])
	if n := owners(t, dir); n != 3 {
		t.Errorf("%d files of 3 streams", n)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "q", "q.log")); string(text) != all[1].ID+"\n"+all[1].ID+"\n" {
		t.Errorf("the stream did not go on in its file: %q, %v", text, err)
	}
}

// TestEmptiedFile: a file that others empty goes on at its end, without a hole, and each
// line after that is there once, whenever there is a crash.
func TestEmptiedFile(t *testing.T) {
	for _, left := range []int64{0, 7} {
		dir, st := t.TempDir(), newStates()
		c := Config{Dir: dir, Selection: deliver.SelectAll()}
		s := open(t, c, st)
		put := func(first, n int) {
			t.Helper()
			if err := s.Write(t.Context(), batch(first, n)); err != nil {
				t.Fatal(err)
			}
		}
		put(1, 9)
		if err := errors.Join(s.Flush(t.Context()), st.Sync(t.Context()), os.Truncate(filepath.Join(dir, "shop", "shop.log"), left)); err != nil {
			t.Fatal(err)
		}
		put(10, 1)
		put(11, 1)
		st.crash() // these were not flushed
		s.Close()
		s = open(t, c, st)
		next, ok := s.Next(shop.ID)
		if !ok || next != 10 {
			t.Fatalf("goes on at %d, %v", next, ok)
		}
		put(10, 2)
		want := "line 10\nline 11\n"
		if left > 0 {
			want = "line 1\n" + want
		}
		if text, err := os.ReadFile(filepath.Join(dir, "shop", "shop.log")); string(text) != want {
			t.Errorf("%q, %v; want %q", text, err, want)
		}
	}
}

// TestFewerFiles: when fewer are to stay, the others go, at the start and at a rotation.
func TestFewerFiles(t *testing.T) {
	for _, compress := range []bool{false, true} {
		dir, st := t.TempDir(), newStates()
		s := open(t, Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 30, MaxFiles: 9, Compress: compress}, st)
		if err := errors.Join(s.Write(t.Context(), batch(1, 20)), s.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(dir, "shop")
		for _, name := range []string{"shop.log.07", "shop.log.7.txt", "shop.log.-7", "other.log.7"} {
			if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		count := func() int {
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			return len(entries) - 4
		}
		before := count()
		s.Close()
		s = open(t, Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 30, MaxFiles: 2, Compress: compress}, st)
		if n := count(); n != 3 || before <= n {
			t.Errorf("after the start there are %d files of %d", n, before)
		}
		if err := os.WriteFile(filepath.Join(folder, "shop.log.8.gz"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Write(t.Context(), batch(21, 20)), s.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 3 {
			t.Errorf("after a rotation there are %d files", n)
		}
	}
}

// TestManyStreams: of streams that come and go the sink remembers a bounded number, and one
// that comes back, behind all that was, goes on in its file.
func TestManyStreams(t *testing.T) {
	st, dir := newStates(), t.TempDir()
	remembers := func(stream string) bool { return stream == "kept" }
	s, err := New(Config{Dir: dir, Selection: deliver.SelectAll()}, deliver.Deps{Name: "files", State: st, Remembers: remembers})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names := []string{"kept"}
	for i := range minOutputs + 10 {
		names = append(names, fmt.Sprint("s", i))
	}
	for _, name := range names {
		write(t, s, record.Stream{ID: name})
		if len(s.outputs) >= minOutputs || len(st.now) >= minOutputs || s.open > maxOpen || len(s.names) != len(s.outputs) {
			t.Fatalf("%d outputs, %d states, %d files open, %d names", len(s.outputs), len(st.now), s.open, len(s.names))
		}
	}
	if _, known := s.Next("kept"); !known {
		t.Error("a stream that may go on was forgotten")
	}
	if _, known := s.Next("s0"); known {
		t.Error("a stream that is gone was not forgotten")
	}
	write(t, s, record.Stream{ID: "s0"})
	text, err := os.ReadFile(filepath.Join(dir, "s0", "s0.log"))
	if err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("%q, %v", text, err)
	}
}
