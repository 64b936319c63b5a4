package docker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
)

// oneFile is a container of whose log the engine keeps one file of 4 kB, and what it writes:
// a message in a microsecond.
type oneFile struct {
	t  *testing.T
	e  *fakeEngine
	j  *journal
	c  *fakeContainer
	n  int
	at time.Time
}

func newOneFile(t *testing.T) *oneFile {
	o := &oneFile{t: t, e: newEngine(t, ""), j: newJournal(t)}
	o.at = o.e.now()
	o.c = o.e.run("web", func(c *fakeContainer) {
		c.capacity, c.options = 4000, map[string]string{"max-size": "4k"}
		c.untold = map[int]bool{}
	})
	start(t, o.e, o.j, nil)
	o.write(5)
	o.settle()
	return o
}

// write writes n messages, each after a microsecond.
func (o *oneFile) write(n int) {
	for range n {
		o.at = o.at.Add(time.Microsecond)
		o.e.put(o.c, o.at, o.n%7 == 3, fmt.Sprintf("<line> \"%d\"\n", o.n))
		o.n++
	}
}

// fill writes until the next message begins a new file.
func (o *oneFile) fill() {
	for first := o.c.first; o.c.filled < o.c.capacity || o.c.first == first && o.c.filled == 0; {
		o.write(1)
	}
}

// settle waits until all that was written is read, but for some that are lost.
func (o *oneFile) settle(lost ...int) {
	o.t.Helper()
	want := len(o.c.records) - len(lost)
	o.j.untilCount("docker/web", o.c, want)
}

// late lets change happen between two fetches.
func (o *oneFile) late(change func()) {
	o.e.lock(func() { o.e.held = true })
	change()
	o.e.lock(func() { o.e.held = false })
}

// check checks that all but some was read once and in order, and which gaps were stated.
func (o *oneFile) check(gaps []string, lost ...int) {
	o.t.Helper()
	o.settle(lost...)
	var want []string
	for i, r := range o.c.records {
		if !slices.Contains(lost, i) {
			want = append(want, strings.TrimSuffix(r.text, "\n"))
		}
	}
	o.j.mu.Lock()
	defer o.j.mu.Unlock()
	i := o.j.has("docker/web", o.c)
	if !slices.Equal(i.got, want) {
		o.t.Errorf("%d records, want %d: %s", len(i.got), len(want), difference(i.got, want))
	}
	if !slices.Equal(i.gaps, gaps) {
		o.t.Errorf("gaps %q, want %q", i.gaps, gaps)
	}
}

func TestOneFile(t *testing.T) {
	t.Run("all is told", func(t *testing.T) {
		o := newOneFile(t)
		for files := range 4 {
			o.late(func() {
				for range files {
					o.fill()
				}
				o.write(3)
			})
			o.settle()
		}
		o.check(nil)
	})
	t.Run("messages are not told", func(t *testing.T) {
		o := newOneFile(t)
		untold := func() { o.e.lock(func() { o.c.untold[o.n] = true }); o.write(1) }
		o.late(func() {
			o.fill()
			o.write(1)
			untold() // but fetched
			o.write(1)
		})
		o.check(nil)
		var last int
		o.late(func() {
			for o.c.filled < o.c.capacity-100 {
				o.write(1)
			}
			last = o.n
			untold()
			o.fill()
			o.write(20)
		})
		o.check([]string{"-1 rotated away"}, last)
		o.late(func() { o.fill(); o.write(1) })
		o.check([]string{"-1 rotated away"}, last)
	})
	t.Run("time for a file", func(t *testing.T) {
		o := newOneFile(t)
		o.late(func() { o.fill(); o.at = o.at.Add(time.Second); o.write(5) })
		o.check([]string{"-1 perhaps rotated away"})
		o.late(func() { o.fill(); o.at = o.at.Add(-time.Hour); o.write(5) })
		o.check([]string{"-1 perhaps rotated away", "-1 perhaps rotated away"})
	})
	t.Run("a file is not told", func(t *testing.T) {
		o := newOneFile(t)
		var lost []int
		o.late(func() {
			o.fill()
			for old := o.c.first; o.c.first == old || o.c.filled < o.c.capacity; {
				lost = append(lost, o.n)
				o.e.lock(func() { o.c.untold[o.n] = true })
				o.write(1)
			}
			o.write(5)
		})
		o.check([]string{"-1 perhaps rotated away"}, lost...)
	})
	t.Run("removed", func(t *testing.T) {
		o := newOneFile(t)
		o.late(func() { o.fill(); o.write(5); o.e.remove(o.c) })
		o.check(nil)
	})
}

// What a resumed follower has not seen of a file is measured.
func TestOneFileResumed(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	o := &oneFile{t: t, e: e, j: j, at: e.now()}
	o.c = e.run("web", func(c *fakeContainer) { c.capacity, c.options = 4000, map[string]string{"max-size": "4k"} })
	stop, _ := start(t, e, j, nil)
	o.write(20)
	o.settle()
	stop()
	start(t, e, j, nil)
	for range 2 { // what is fetched second is fetched after measuring
		o.write(5)
		o.settle()
	}
	o.late(func() { o.fill(); o.write(3) })
	o.check(nil)
}

// A stream that tells nothing is opened anew.
func TestDeaf(t *testing.T) {
	o := newOneFile(t)
	o.e.lock(func() { o.c.stalled = true })
	follows := o.e.follows.Load()
	for o.e.follows.Load() == follows {
		o.write(1)
		o.settle()
	}
	o.check(nil)
}

func TestJSONSize(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UnixNano()
	for _, test := range []struct {
		m    dockerapi.Message
		line string
	}{
		{dockerapi.Message{Time: at}, `{"log":"\n","stream":"stdout","time":"2023-11-14T22:13:20Z"}`},
		{dockerapi.Message{Time: at + 5, Text: []byte("a<\t\"é\u2028 \x00\x7f")}, `{"log":"a\u003c\u0009\"é\u2028 \u0000` + "\x7f" + `\n","stream":"stdout","time":"2023-11-14T22:13:20.000000005Z"}`},
		{dockerapi.Message{Time: at + 120_000_000, Text: []byte("a"), Stderr: true, Return: true}, `{"log":"a\r\n","stream":"stderr","time":"2023-11-14T22:13:20.12Z"}`},
		{dockerapi.Message{Time: at + 10, Text: []byte(`a\b`), Partial: true}, `{"log":"a\\b","stream":"stdout","time":"2023-11-14T22:13:20.00000001Z"}`},
	} {
		if got := jsonSize(test.m); got != int64(len(test.line)+1) {
			t.Errorf("%s: %d bytes, want %d", test.line, got, len(test.line)+1)
		}
	}
}

func TestRotationOptions(t *testing.T) {
	for _, test := range []struct {
		driver, size, file string
		files              int
		bytes              int64
	}{
		{"json-file", "", "", 1, 0}, {"json-file", "-1", "3", 3, -1}, {"json-file", "10m", "", 1, 10e6}, {"json-file", "1.5kB", "2", 2, 1500},
		{"json-file", "1G", "x", 1, 1e9}, {"json-file", "junk", "", 1, 0}, {"local", "", "", 5, 20e6}, {"local", "1m", "2", 2, 1e6},
		{"fluentd", "1m", "2", 5, 20e6}, {"journald", "", "", 1, 0},
	} {
		d := dockerapi.Details{LogDriver: test.driver, LogOptions: map[string]string{"max-size": test.size, "max-file": test.file}}
		if files, size := rotation(&d); files != test.files || size != test.bytes {
			t.Errorf("%+v: %d files of %d bytes", test, files, size)
		}
	}
	d := dockerapi.Details{LogDriver: "json-file", LogOptions: map[string]string{"max-size": "10m", "labels": "a"}}
	if f := newFill(&d); f.capacity != 0 {
		t.Error("the size of a line with labels is not known")
	}
}
