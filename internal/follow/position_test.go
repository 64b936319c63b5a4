package follow

import (
	"bytes"
	"slices"
	"testing"
)

func TestPositionOfRunsToReadAgain(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.keepAll = true
	w.read()
	at := w.log.Pos()
	w.write(1) // held back from here on
	w.read()
	w.rename()
	w.write(5)
	w.read()
	held := len(w.lines)
	saved := w.log.AppendPosition(nil, at)
	w.log.Close()
	w.log = New(Options{Path: w.path})
	w.check(w.log.Resume(saved, at))
	first := w.lines[10:held]
	w.lines = w.lines[:10:10]
	w.write(2)
	w.read()
	if !slices.Equal(w.lines[10:held], first) {
		t.Errorf("read again %q, before %q", w.lines[10:], first)
	}
	w.complete()
}

func TestResumeIsStable(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.write(20)
		w.read()
		pos := w.log.Pos()
		a := w.log.AppendPosition(nil, pos)
		l := New(Options{Path: w.path})
		w.check(l.Resume(a, pos))
		if b := l.AppendPosition(nil, pos); !bytes.Equal(a, b) {
			t.Fatalf("%x became %x", a, b)
		}
		if i%3 == 0 {
			w.rename()
		}
	}
}

func FuzzResume(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add([]byte{positionVersion, 0, 0, 0, 0}, int64(0))
	l := New(Options{Path: "x"})
	a := &file{id: fileID{1, 2}, off: 300, seen: 400, head: digest{300, 7}, before: digest{256, 8}}
	b := &file{id: fileID{1, 3}, off: 50, seen: 50, head: digest{50, 9}, before: digest{50, 9}, final: true}
	l.files, l.pos, l.at = []*file{a, b}, 350, 350
	l.runs = []run{{a, 100, 100}, {b, 300, 0}}
	f.Add(l.AppendPosition(nil, 350), int64(350))
	f.Add(l.AppendPosition(nil, 120), int64(120))
	f.Fuzz(func(t *testing.T, in []byte, at int64) {
		l := New(Options{Path: "x"})
		if l.Resume(in, at) != nil {
			return
		}
		if at := l.Pos(); at < 0 || at > l.pos {
			t.Fatalf("reading from %d of %d", at, l.pos)
		}
		out := l.AppendPosition(nil, l.Pos())
		again := New(Options{Path: "x"})
		if err := again.Resume(out, l.Pos()); err != nil {
			t.Fatalf("%x became %x: %v", in, out, err)
		}
		if third := again.AppendPosition(nil, l.Pos()); !bytes.Equal(third, out) {
			t.Fatalf("%x became %x", out, third)
		}
	})
}
