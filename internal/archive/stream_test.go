package archive

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
)

// TestLogged has text in pieces of all sizes: what becomes a block at once is in the log as that
// alone, and who repeats the log has the same records.
func TestLogged(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		var fs, other disk.Faulty
		a, b := open(t, &fs, nil), open(t, &other, nil)
		s, again := a.Stream(shop, small), b.Stream(shop, small)
		next := 1
		for next <= 3000 {
			n := 1 + rnd.IntN([]int{3, 50, 400}[rnd.IntN(3)])
			before := s.tail.Bytes
			log := s.Add(nil, kept.TextOf(lines(next, n)))
			next += n
			text, blocks := 0, 0
			if err := eachPart(log, func(p *part) {
				text += len(p.text)
				if p.kind == partBlock {
					blocks++
				}
			}); err != nil {
				t.Fatal(err)
			}
			if blocks > 0 {
				before = 0
			}
			if text != s.tail.Bytes-before {
				t.Fatalf("seed %d: the log has %d bytes of text, %d blocks, and the tail has %d more", seed, text, blocks, s.tail.Bytes-before)
			}
			if err := again.Replay(log); err != nil {
				t.Fatal(err)
			}
		}
		for name, a := range map[string]*Archive{"added": a, "repeated": b} {
			if err := a.Flush(); err != nil {
				t.Fatal(err)
			}
			a.Show()
			got, bad := read(t, a)
			if len(got) != next-1 || !slices.IsSorted(got) || got[len(got)-1] != next-1 || bad > 0 {
				t.Fatalf("seed %d, %s: %d of %d lines, %d bad blocks", seed, name, len(got), next-1, bad)
			}
		}
	}
}

// TestTailUnread has a tail that is on disk alone and cannot be read when text would complete
// its block: its records are counted as missed once, beside those that were before, and the text is
// there.
func TestTailUnread(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, small)
	s.Add(nil, kept.TextOf(lines(1, 10)))
	a.Show()
	s.Missed(nil, 7)
	s.tail.mem, s.tail.from = nil, s.tail.Bytes // as spill does
	fs.FailWith(func(op string) error {
		if op == "read" {
			return errors.New("worn out")
		}
		return nil
	})
	s.Add(nil, kept.TextOf(lines(11, 500)))
	fs.FailWith(nil)
	if missed := s.missed.Load(); missed != 10 {
		t.Errorf("%d records are missed that no gap record states", missed)
	}
	stated := 0
	for i := range s.waiting {
		stated += int(s.waiting[i].missed)
	}
	if stated += int(s.tail.missed); stated != 7 {
		t.Errorf("gap records state %d", stated)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	a.Show()
	if got, bad := read(t, a); len(got) != 500 || got[0] != 11 || got[499] != 510 || bad != 1 {
		t.Errorf("%d lines, %d gaps", len(got), bad)
	}
}
