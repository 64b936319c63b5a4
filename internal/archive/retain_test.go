package archive

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
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

// TestSmallBound: what is kept under a small bound is near it, whether text comes little by
// little, as fast as it can, or in lines of which one is more than the bound.
func TestSmallBound(t *testing.T) {
	for _, size := range []int64{64 << 10, 100 << 10, 256 << 10} {
		for name, perSecond := range map[string]int{"slow": 100, "busy": 2_000, "at full speed": 10_000} {
			var fs disk.Faulty
			a := open(t, &fs, nil)
			s := a.Stream(shop, Bound{Size: size})
			now, next, came := time.Now(), 1, int64(0)
			for next < 10_000 || came < 4*size {
				text := lines(next, perSecond)
				next += perSecond
				came += int64(len(text)) / 4 // compressed at least
				s.Add(nil, kept.TextOf(text))
				if err := a.Flush(); err != nil {
					t.Fatal(err)
				}
				now = now.Add(retainEvery)
				look(a, now)
				if has := s.onDisk(); has > size || came > 2*size && has < size*2/3 {
					t.Fatalf("%s: %d bytes of %d are kept after %d records", name, has, size, next)
				}
			}
		}
	}
}

// TestLineBeyondBound: of lines that are each more than the bound the last one stays.
func TestLineBeyondBound(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, Bound{Size: 64 << 10})
	noise := make([]byte, 100<<10)
	rnd := rand.NewChaCha8([32]byte{})
	for i := range 4 {
		_, _ = rnd.Read(noise)
		var ap kept.Appender
		s.Add(nil, kept.TextOf(ap.Append(nil, &kept.Record{Time: int64(i + 1), Body: []byte(base64.StdEncoding.EncodeToString(noise))})))
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
		look(a, time.Now().Add(time.Duration(i+1)*time.Minute))
		if v := s.View(); v.Len() != 1 || v.Head(0).First != uint64(i+1) {
			t.Errorf("after line %d there are %d blocks", i+1, v.Len())
		} else {
			v.Close()
		}
	}
}
