package archive

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// TestStreamComesBack: a stream that was forgotten, since all of its text went and nobody
// wrote to it, goes on with its numbers, also after a restart: a sink that has read up to
// some number must not take new records for old ones.
func TestStreamComesBack(t *testing.T) {
	for _, restarts := range []int{0, 1, 3} {
		var fs disk.Faulty
		a := open(t, &fs, nil)
		s := a.Stream(shop, small)
		s.Until([]string{"files"})
		fill := checkpointed(t, a, s, lines(1, 50))
		s.Delivered("files", 51)
		s.Release()
		states := goes(t, a, fill)
		for range restarts {
			a = open(t, &fs, states)
			if a.Find(shop.ID) != nil {
				t.Fatal("it is a stream of the present")
			}
			states = checkpoint(t, a)
		}
		s = a.Stream(shop, small)
		log := s.Add(nil, kept.TextOf(lines(51, 10)))
		a.Show()
		v := s.View()
		if h := v.Head(0); h.First != 51 || v.Next() != 61 || v.Begun() != 51 {
			t.Errorf("after %d restarts it has records %d to %d, begun with %d", restarts, h.First, v.Next()-1, v.Begun())
		}
		v.Close()
		// And so it does where only the log has it.
		a, _, err := Recover(Options{Tree: &fs}, Told{States: states, Since: map[string][]byte{shop.ID: log}})
		if err != nil {
			t.Fatal(err)
		}
		s = a.Stream(shop, small)
		if err := s.Replay(log); err != nil || s.next != 61 {
			t.Errorf("after the log was repeated the next is %d: %v", s.next, err)
		}
	}
}

// TestBegun: what a stream began with stays, whatever retention removes, also over a restart.
func TestBegun(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, Bound{Size: 64 << 10})
	for i := range 30 {
		s.Add(nil, kept.TextOf(lines(1+3000*i, 3000)))
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	a.Show()
	a.Retain(time.Now())
	for range 2 {
		v := s.View()
		if h := v.Head(0); h.First < 1000 || v.Begun() != 1 {
			t.Errorf("the first block has record %d, and it began with %d", h.First, v.Begun())
		}
		v.Close()
		a = open(t, &fs, checkpoint(t, a))
		s = a.Find(shop.ID)
	}
}

// checkpointed adds text and returns the states.
func checkpointed(t *testing.T, a *Archive, s *Stream, text []byte) map[string][]byte {
	t.Helper()
	s.Add(nil, kept.TextOf(text))
	a.Show()
	return checkpoint(t, a)
}

// goes has the bounds looked at until the archive has no stream any more.
func goes(t *testing.T, a *Archive, states map[string][]byte) map[string][]byte {
	t.Helper()
	now := time.Now()
	for range 5 {
		now = now.Add(time.Minute)
		look(a, now)
		states = checkpoint(t, a)
		a.Tidy()
	}
	if n := len(a.All()); n > 0 {
		t.Fatalf("%d streams are left", n)
	}
	return states
}

// look has a durable commit made, and the bounds looked at.
func look(a *Archive, now time.Time) {
	a.TakeDelivered()
	a.Tidy()
	a.Retain(now)
	a.Due(now, func(*Stream, []byte) {})
	a.Show()
}

// TestPastIsBounded: of many streams that came and went only some leave a file, and one that
// left none still begins behind the number that it had.
func TestPastIsBounded(t *testing.T) {
	const streams = maxPast + 500
	var fs disk.Faulty
	a := open(t, &fs, nil)
	for i := range streams {
		a.bury(fmt.Sprintf("streams/s%d/", i), uint64(2+i))
		fs.SetBytes(fmt.Sprintf("streams/s%d/%s", i, metaName), []byte("{}"))
	}
	a.Stream(record.Stream{ID: "back"}, small)
	fs.SetBytes(dirOf("back")+metaName, []byte("{}"))
	a.evicted = append(a.evicted, dirOf("back")) // it came back before its directory went
	a.bury("streams/last/", 10_000)
	a.Tidy()
	if fs.Bytes(dirOf("back")+metaName) == nil {
		t.Error("the description of a stream that came back went")
	}
	left := 0
	for _, name := range fs.Names() {
		if strings.HasSuffix(name, metaName) {
			left++
		}
	}
	if left > maxPast+1 || len(a.past.next) > maxPast {
		t.Errorf("%d files, %d are remembered", left, len(a.past.next))
	}
	if !a.Remembers("back") || a.Remembers("never was") {
		t.Error("it remembers others")
	}
	if n := a.past.take("streams/s7/"); n < 9 {
		t.Errorf("a forgotten one begins with %d", n)
	}
	if n := a.past.take("streams/s4500/"); n != 4502 {
		t.Errorf("a remembered one begins with %d", n)
	}
	floor := a.Floor()
	for i := range streams {
		a.past.take(fmt.Sprintf("streams/s%d/", i))
	}
	a.bury("streams/few/", 2)
	if n := a.past.take("streams/s8/"); n < 10 || a.Floor() < floor {
		t.Errorf("when few are left a forgotten one begins with %d", n)
	}
	a.Vanish()
	if n := a.past.take("streams/last/"); n < 10_000 {
		t.Errorf("when their files are gone one begins with %d", n)
	}
}
