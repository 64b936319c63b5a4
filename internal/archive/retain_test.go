package archive

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// TestNodeBoundOfTails has many streams whose tails fill no block: they are in the bound of
// the node all the same, and the oldest text goes.
func TestNodeBoundOfTails(t *testing.T) {
	const streams, bound = 30, 64 << 10
	var fs disk.Faulty
	a, err := Open(Options{Tree: &fs, Total: Bound{Size: bound}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range streams {
		def := record.Stream{ID: fmt.Sprint("app/", i), Source: "app"}
		s := a.Stream(def, Bound{})
		s.Add(nil, kept.TextOf(lines(1, 100)))
		s.tail.since = int64(1000 + i) // the later ones are newer
		s.Release()
	}
	sum := func() (n int64) {
		for _, s := range a.All() {
			n += s.onDisk()
		}
		return n
	}
	if n := sum(); n < 4*bound {
		t.Fatalf("only %d bytes to begin with", n)
	}
	now := time.Now()
	for range 10 {
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
		a.Show()
		now = now.Add(2 * time.Second)
		a.Retain(now)
		a.Due(now, func(*Stream, []byte) {})
	}
	checkpoint(t, a)
	if n := sum(); n > bound || n == 0 {
		t.Errorf("%d bytes are kept", n)
	}
	if s := a.Find(fmt.Sprint("app/", streams-1)); s == nil || s.onDisk() == 0 {
		t.Error("the newest text is gone")
	}
}
