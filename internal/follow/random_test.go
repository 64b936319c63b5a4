package follow

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// disorder is a world in which all happens in a random order that can be had again: what a
// writer does, copies that are truncated later, looks, reads and crashes.
type disorder struct {
	*world
	rnd     *rand.Rand
	ties    int    // how many things happen in a tick of the file system's clock
	half    string // what is left of the line that is being written
	copying bool
	empties int    // how often the file was truncated
	held    []byte // the position of the last commit
	heldPos int64
}

// TestCopiedAtRandom is TestCopiedWhileWritten with crashes between any two steps, which
// lose all since the last commit, and with a clock that may be too coarse to tell which file
// came first.
func TestCopiedAtRandom(t *testing.T) {
	seeds := 50
	if testing.Short() {
		seeds = 5
	}
	for _, crashes := range []bool{false, true} {
		for _, ties := range []int{2, 16} {
			for seed := range seeds {
				t.Run(fmt.Sprintf("crashes %v, ties %d, seed %d", crashes, ties, seed), func(t *testing.T) {
					d := &disorder{world: newWorld(t), ties: ties, rnd: rand.New(rand.NewPCG(uint64(seed), 1))}
					d.run(crashes)
				})
			}
		}
	}
}

func (d *disorder) run(crashes bool) {
	d.touch(d.path)
	d.check(d.log.Look(d.now))
	d.commit()
	for range 300 {
		if d.rnd.IntN(d.ties) == 0 {
			d.now = d.now.Add(4 * time.Millisecond)
		}
		d.act(crashes)
	}
	d.finishLine()
	if d.copying {
		d.truncate()
	}
	d.now = d.now.Add(time.Minute)
	d.write(3)
	d.touch(d.path)
	d.read()
	if d.ties > 2 {
		d.copies = nil // one that nobody can tell the age of is not read, but stated
	}
	d.accounted()
	if len(d.gaps) > d.empties {
		d.t.Errorf("%d gaps for %d rotations", len(d.gaps), d.empties)
	}
}

func (d *disorder) act(crashes bool) {
	switch k := d.rnd.IntN(20); {
	case k < 8:
		for range 1 + d.rnd.IntN(20) {
			d.put()
		}
	case k < 10 && d.copying:
		d.finishLine() // as it was written in one go: its two halves cannot be in two files
		d.truncate()
	case k < 10:
		d.copy()
	case k < 14:
		d.check(d.log.Look(d.now))
	case k < 18:
		gaps := len(d.gaps)
		if n := d.step(); n > 0 || len(d.gaps) > gaps || d.log.Learned() {
			d.commit()
		}
	case k == 18 && crashes:
		d.log.Close()
		d.log = New(Options{Path: d.path})
		d.check(d.log.Resume(d.held, d.heldPos))
	case k == 19 && d.rnd.IntN(10) == 0:
		d.now = d.now.Add(time.Minute)
		d.put()
	}
}

// put writes a line, or a part of one.
func (d *disorder) put() {
	line := d.half
	if line == "" {
		line = fmt.Sprintf("line %d of the log, %s\n", d.next, strings.Repeat("x", d.next%71))
	}
	n := len(line)
	if d.rnd.IntN(4) == 0 {
		n = 1 + d.rnd.IntN(n)
	}
	_, err := io.WriteString(d.out, line[:n])
	d.check(err)
	if d.half = line[n:]; d.half == "" {
		d.next++
	}
	d.touch(d.path)
}

func (d *disorder) finishLine() {
	for d.half != "" {
		d.put()
	}
}

// copy copies the file, unless it is too short to be known by its first bytes.
func (d *disorder) copy() {
	b, err := os.ReadFile(d.path)
	d.check(err)
	if len(b) <= headBytes {
		return
	}
	d.shift("")
	d.check(os.WriteFile(d.path+".1", b, 0o644))
	d.touch(d.path + ".1")
	d.copies = append(d.copies, b)
	d.copying = true
}

func (d *disorder) truncate() {
	d.check(os.Truncate(d.path, 0))
	d.touch(d.path)
	d.copying = false
	d.empties++
}

// touch makes a file's time the world's.
func (d *disorder) touch(path string) { d.check(os.Chtimes(path, d.now, d.now)) }

func (d *disorder) commit() {
	d.heldPos = d.log.Pos()
	d.held = d.log.AppendPosition(nil, d.heldPos)
}
