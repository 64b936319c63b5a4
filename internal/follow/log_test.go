package follow

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	w := newWorld(t)
	for range 50 {
		w.write(7)
		w.read()
	}
	w.complete()
}

func TestHalfLine(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	io.WriteString(w.out, "line 3 of ")
	w.read()
	if len(w.lines) != 3 || w.log.Unread() {
		t.Fatalf("%d lines, unread %v", len(w.lines), w.log.Unread())
	}
	w.restart()
	w.read()
	io.WriteString(w.out, "the log, xxx\n")
	w.next++
	w.read()
	w.complete()
}

func TestRename(t *testing.T) {
	for between := range 6 {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(between, restart), func(t *testing.T) {
				w := newWorld(t)
				w.write(40)
				w.read()
				for range between {
					w.write(20)
					w.rename()
				}
				w.write(5)
				if restart {
					w.restart()
				}
				w.read()
				w.complete()
			})
		}
	}
}

func TestLateWrites(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.read()
	old := w.out
	w.out = nil
	w.check(os.Rename(w.path, w.path+".1"))
	w.reopen()
	w.write(2)
	w.read()
	w.out, old = old, w.out
	w.write(3)
	w.read()
	io.WriteString(w.out, "line 15 of the log, "+strings.Repeat("x", 15))
	w.next++
	w.out.Close()
	w.out = old
	w.write(3)
	w.read()
	if len(w.log.files) != 2 {
		t.Fatalf("%d files are open", len(w.log.files))
	}
	w.now = w.now.Add(6 * time.Second)
	w.read()
	w.read()
	if len(w.log.files) != 1 {
		t.Errorf("%d files are open", len(w.log.files))
	}
	w.exact() // the last line of the old file is whole without its end
}

func TestManyRotations(t *testing.T) {
	w := newWorld(t)
	w.write(1)
	w.read()
	for range 25 {
		w.write(3)
		w.rename()
	}
	w.write(1)
	w.read()
	w.complete()
}

func TestRotatedAway(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.read()
	w.write(10) // of the known file: held open while running
	w.rename()
	w.write(5)
	w.rename()
	w.check(os.Remove(w.path + ".2"))
	w.read()
	w.complete()

	w.write(1)
	w.read()
	w.restart()
	w.now = w.now.Add(time.Minute)
	w.rename()
	w.write(5)
	w.rename()
	w.check(os.Remove(w.path + ".2"))
	w.read()
	w.exact()
	if !slices.Equal(w.gaps, []Gap{{-1, gapRotated}}) {
		t.Errorf("gaps %v", w.gaps)
	}
}

func TestDeleteAndCreate(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		w.write(10)
		w.read()
		w.out.Close()
		if restart {
			w.restart() // then nobody holds the inode, and its number is free
		} else {
			w.write2(4)
		}
		w.check(os.Remove(w.path))
		w.reopen()
		w.write(20)
		w.read()
		w.exact()
		if want := restart; (len(w.gaps) > 0) != want {
			t.Errorf("restart %v: gaps %v", restart, w.gaps)
		}
	}
}

// write2 writes lines with a handle of its own.
func (w *world) write2(n int) {
	w.reopen()
	w.write(n)
}

func TestCopyTruncate(t *testing.T) {
	for between := 1; between < 5; between++ {
		for _, unread := range []int{0, 30} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprint(between, unread, restart), func(t *testing.T) {
					w := newWorld(t)
					w.write(40)
					w.read()
					w.now = w.now.Add(time.Minute)
					w.write(unread)
					for range between {
						w.copyTruncate()
						w.write(60)
					}
					if restart {
						w.restart()
					}
					w.read()
					w.exact()
				})
			}
		}
	}
}

func TestCopyOfNothingRead(t *testing.T) {
	w := newWorld(t)
	w.read()
	w.write(10)
	w.rename()
	w.read()
	w.now = w.now.Add(time.Minute)
	w.read()
	w.read()
	w.restart() // with nothing read of the newest file
	w.write(10)
	w.copyTruncate()
	w.write(1)
	w.copyTruncate()
	w.write(1)
	w.read()
	w.exact()
}

func TestShortCopy(t *testing.T) {
	w := newWorld(t)
	w.write(100)
	b, err := os.ReadFile(w.path)
	w.check(err)
	w.check(os.WriteFile(w.path+".1", b, 0o644))
	w.write(10) // after the copy, before the truncation
	w.read()
	w.check(os.Truncate(w.path, 0))
	w.write(3)
	w.read()
	w.exact()
	if !slices.Equal(w.gaps, []Gap{{-1, gapTruncated}}) {
		t.Errorf("gaps %v", w.gaps)
	}
}

func TestTruncateWithoutCopy(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.read()
	w.check(os.Truncate(w.path, 0))
	w.write(100) // beyond where it was
	w.read()
	w.exact()
	if !slices.Equal(w.gaps, []Gap{{-1, gapTruncated}}) {
		t.Errorf("gaps %v", w.gaps)
	}
}

func TestTruncateUnderWriterWithOffset(t *testing.T) {
	w := newWorld(t)
	w.out.Close()
	f, err := os.OpenFile(w.path, os.O_WRONLY, 0)
	w.check(err)
	w.out = f
	w.write(2000)
	w.read()
	w.check(os.Truncate(w.path, 0))
	w.write(3) // far behind a hole
	w.read()
	w.exact()
}

func TestCompressed(t *testing.T) {
	for _, unread := range []int{0, 30} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(unread, restart), func(t *testing.T) {
				w := newWorld(t)
				w.write(500)
				w.read()
				w.write(unread)
				if restart {
					w.restart()
				}
				w.rename()
				w.gzip(w.path + ".1")
				w.write(20)
				w.rename()
				w.gzip(w.path + ".1")
				w.write(20)
				w.rename()
				w.write(1)
				w.read()
				w.complete()
				w.now = w.now.Add(time.Minute)
				w.read()
				w.gzip(w.path + ".1")
				w.rename()
				w.write(5)
				w.read()
				w.complete()
			})
		}
	}
}

func TestDamagedCompressed(t *testing.T) {
	w := newWorld(t)
	w.write(1000)
	w.read()
	w.restart()
	w.write(1000)
	w.rename()
	w.gzip(w.path + ".1")
	b, err := os.ReadFile(w.path + ".1.gz")
	w.check(err)
	w.check(os.WriteFile(w.path+".1.gz", b[:len(b)-100], 0o644))
	w.write(1)
	w.read()
	if !slices.Equal(w.gaps, []Gap{{-1, gapDamaged}}) {
		t.Errorf("gaps %v", w.gaps)
	}
	if len(w.lines) < 1000 || lineNumber(w.lines[len(w.lines)-1]) != 2000 {
		t.Errorf("%d lines, the last %q", len(w.lines), w.lines[len(w.lines)-1])
	}
}

func TestDated(t *testing.T) {
	for _, name := range []string{"-%s", "-%s.gz", ".2026-11-%.2s", "_%s-1200"} {
		t.Run(strings.ReplaceAll(name, "%", ""), func(t *testing.T) {
			w := newWorld(t)
			w.write(10)
			w.read()
			w.restart()
			for _, day := range []string{"20261108", "20261109", "20261110"} {
				w.write(10)
				if strings.Contains(name, "%.2s") {
					day = day[6:]
				}
				old := fmt.Sprintf(w.path+strings.TrimSuffix(name, ".gz"), day)
				w.check(os.Rename(w.path, old))
				if strings.HasSuffix(name, ".gz") {
					w.gzip(old)
				}
				w.reopen()
			}
			w.write(3)
			w.read()
			w.complete()
		})
	}
}

func TestFreeName(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.read()
	w.restart()
	w.write(10)
	w.check(os.Rename(w.path, filepath.Join(filepath.Dir(w.path), "put-aside")))
	w.reopen()
	w.write(3)
	w.read()
	w.complete()
}

func TestSymlink(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		link := filepath.Join(filepath.Dir(w.path), "current")
		w.log = New(Options{Path: link})
		target := func(i int) {
			w.path = filepath.Join(filepath.Dir(link), fmt.Sprintf("%d.log", i))
			w.reopen()
			os.Remove(link)
			w.check(os.Symlink(w.path, link))
		}
		target(9)
		w.write(10)
		w.read()
		if restart {
			pos := w.log.AppendPosition(nil, w.log.Pos())
			at := w.log.Pos()
			w.log.Close()
			w.log = New(Options{Path: link})
			w.check(w.log.Resume(pos, at))
		}
		for i := 10; i < 13; i++ {
			w.write(5)
			target(i)
		}
		w.write(5)
		w.read()
		w.complete()
	}
}

func TestMissing(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.read()
	w.check(os.Rename(w.path, w.path+".1"))
	w.write(1)
	w.read()
	if w.log.Absent(w.now) == 0 {
		t.Error("the path is not missing")
	}
	w.restart()
	w.write(1)
	w.read()
	w.now = w.now.Add(time.Hour)
	w.read()
	w.write(1)
	w.read()
	w.reopen()
	w.write(3)
	w.read()
	w.complete()
	if w.log.Absent(w.now) != 0 {
		t.Error("the path is missing")
	}
}

func TestAppearsLater(t *testing.T) {
	w := newWorld(t)
	w.check(os.Remove(w.path))
	w.read()
	w.reopen()
	w.write(3)
	w.read()
	w.complete()
}

// seeds is how many random histories TestRandom tries.
const seeds = 60

// TestRandom does what administrators do, in random order, with looks and restarts in
// between. As long as nothing is deleted nothing may be lost or doubled.
func TestRandom(t *testing.T) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			w.write(rnd.IntN(50))
			copies := seed%3 == 2
			w.read()
			var did []string
			for range 40 {
				op := rnd.IntN(10)
				switch {
				case op < 3:
					w.write(1 + rnd.IntN(60))
					did = append(did, "write")
				case op == 3 && copies && w.log.Pos() > 0:
					w.write(1 + rnd.IntN(30)) // an empty one cannot be told from its copy
					w.copyTruncate()
					w.write(1 + rnd.IntN(30))
					did = append(did, "copy")
				case op == 3 && !copies || op == 4 && !copies:
					w.rename()
					did = append(did, "rename")
				case op == 5:
					w.gzip(fmt.Sprintf("%s.%d", w.path, 1+rnd.IntN(3)))
					did = append(did, "gzip")
				case op == 6:
					w.restart()
					did = append(did, "restart")
				case op == 7:
					w.now = w.now.Add(time.Duration(rnd.IntN(10)) * time.Second)
					did = append(did, "wait")
				case op == 8:
					w.check(w.log.Look(w.now))
					w.step()
					did = append(did, "step")
				default:
					w.read()
					did = append(did, "read")
				}
			}
			w.read()
			t.Log(did)
			w.exact()
		})
	}
}

func TestCompressedAlone(t *testing.T) {
	w := newWorld(t)
	w.write(500)
	w.gzip(w.path)
	w.log = New(Options{Path: w.path + ".gz"})
	w.check(w.log.Look(w.now))
	w.step()
	pos := w.log.AppendPosition(nil, w.log.Pos())
	at := w.log.Pos()
	w.log.Close()
	w.log = New(Options{Path: w.path + ".gz"})
	w.check(w.log.Resume(pos, at))
	w.read()
	w.complete()
}
