package file

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOwn: what weir writes is not followed, whichever way a pattern comes to it, and the
// log says so once.
func TestOwn(t *testing.T) {
	h := newHouse(t, "**", "*/*.log", "links/*/*.log", "links/*.log", "weir/x/named.log", "later/x/x.log")
	var log bytes.Buffer
	h.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.deps.Own = []string{h.dir + "/weir/./x/", h.dir + "/links/data", h.dir + "/later", h.dir + "/nowhere", ""}
	for _, name := range []string{"app.log", "weir/x.log", "weir/xy/near.log", "weir/x/out.log", "weir/x/named.log", "weir/x/deep/er/out.log", "data/1.log", "data/deep/2.log", "links/a.log"} {
		h.write(name, "line\n")
	}
	for link, target := range map[string]string{
		"links/data": "data", "links/out": "weir/x", "links/inside": "weir/x/deep", "links/file.log": "weir/x/out.log",
		"links/fine": "weir/xy", "links/round": "links", "links/broken.log": "nowhere/x.log",
	} {
		if err := os.Symlink(filepath.Join(h.dir, target), filepath.Join(h.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	src, err := New(h.cfg, h.deps)
	if err != nil {
		t.Fatal(err)
	}
	s := src.(*source)
	want := []string{"/app.log", "/links/a.log", "/weir/x.log", "/weir/xy/near.log"}
	for range 3 {
		var got []string
		for _, path := range slices.Sorted(maps.Keys(s.scan(time.Now()).files)) {
			if !strings.Contains(path, "/links/fine/") && !strings.Contains(path, "/links/round/") {
				got = append(got, strings.TrimPrefix(path, h.dir))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("follows %q, want %q", got, want)
		}
		if said := strings.Count(log.String(), "what weir writes itself is not followed"); said != 3 {
			t.Errorf("it is said %d times:\n%s", said, log.String())
		}
		h.write("later/x/x.log", "line\n") // the directory was not there before
	}
}

// TestNothingButOwn: what is wrong is said where patterns fit nothing else; a position from
// before the directory was weir's does not have the file followed.
func TestNothingButOwn(t *testing.T) {
	h := newHouse(t, "out/*.log")
	h.write("out/a.log", "one\n")
	h.once()
	h.write("out/a.log", "two\n")
	h.deps.Own = []string{h.dir + "/out"}
	h.once()
	h.want(map[string]string{"out/a.log": "one"})
	st := h.led.State()
	if want := "no file fits the patterns but in " + h.dir + "/out, which weir writes to itself"; st.Problem != want {
		t.Errorf("the problem is %q, want %q", st.Problem, want)
	}
}
