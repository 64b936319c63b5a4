package logfile

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

func TestRawLines(t *testing.T) {
	b := newBench(t)
	b.write("one\r\n\ntwo\xff\nthree\r\r\nhalf")
	b.bell.do = []func(){func() { b.write(" is whole\n") }}
	b.run(Start{})
	b.want("one", "", "two\xff", "three\r", "half is whole")
}

func TestDockerLines(t *testing.T) {
	b := newBench(t)
	b.write(`{"log":"a \"b\"\n","stream":"stdout","time":"2026-11-20T18:07:46.5Z"}` + "\n")
	b.write("not json\n")
	b.write(`{"log":"of no time\n"}` + "\n")
	b.write(`{"log":"c\n","stream":"stderr","time":"2026-11-20T18:07:46.6Z"}` + "\n")
	b.run(Start{})
	b.want(`a \"b\"`, "of no time", "Ec")
}

func TestCRILines(t *testing.T) {
	b := newBench(t)
	b.write("2026-11-20T18:07:46.5Z stdout F one\n2026-11-20T18:07:46.5Z stderr P two\n2026-11-20T18:07:46.5Z stderr F \n")
	b.run(Start{})
	b.want("one", "Etwo", "E")
}

// Applications, too, write objects with a log in them.
func TestObjectsWithoutTimesAreRaw(t *testing.T) {
	const line = `{"log":"a","level":"info"}`
	b := newBench(t)
	b.write(line + "\n")
	b.run(Start{})
	b.want(line)
}

func TestFormatIsDecidedByFile(t *testing.T) {
	b := newBench(t)
	b.write("raw\n")
	b.bell.do = []func(){func() {
		os.Rename(b.path, b.path+".1")
		b.write(`{"log":"a\n","stream":"stdout","time":"2026-11-20T18:07:46.5Z"}` + "\n")
	}}
	b.run(Start{})
	b.want("raw", "a")
	b.write(`{"log":"b\n","stream":"stdout","time":"2026-11-20T18:07:46.5Z"}` + "\n")
	b.run(Start{})
	b.want("raw", "a", "b")
}

func TestRecordPositionsGrowOverRotations(t *testing.T) {
	b := newBench(t)
	var last int64
	check := func() {
		for _, c := range b.line.commits {
			if c.position.Resume[0] < last {
				t.Errorf("resume at %d after %d", c.position.Resume[0], last)
			}
			last = c.position.Resume[0]
		}
	}
	b.write("one\n")
	b.bell.do = []func(){
		func() { os.Rename(b.path, b.path+".1"); b.write("two\n") },
		func() { os.Rename(b.path, b.path+".2"); b.write("three\n") },
	}
	b.run(Start{})
	check()
	b.want("one", "two", "three")
	if last != int64(len("one\ntwo\nthree\n")) {
		t.Errorf("the last position is %d", last)
	}
}

func TestLongLines(t *testing.T) {
	b := newBench(t)
	b.opt.MaxLineBytes = 400 << 10
	fits, over := strings.Repeat("f", 400<<10), strings.Repeat("o", 3<<20)
	b.write("a\n%s\nb\n%s\nc\n%s", fits, over, over)
	b.bell.do = []func(){func() { b.write("o") }, func() { b.write("\nd\n") }}
	b.run(Start{})
	cut := over[:400<<10] + "…"
	b.want("a", fits, "b", cut, "c", cut, "d")
	whole := b.line
	for n := range whole.commits {
		b.line = whole.crash(n)
		b.run(Start{})
		b.want(whole.all()...)
	}
}

func TestShortLimit(t *testing.T) {
	b := newBench(t)
	b.opt.MaxLineBytes = 5
	b.write("12345\n123456\n1\n")
	b.run(Start{})
	b.want("12345", "12345…", "1")
}

// pieces is a Docker log whose two streams both have long messages in pieces, one after
// another and mixed.
func pieces(n int) (file string, joined []string) {
	var f strings.Builder
	open := map[string]string{}
	for i := range n {
		stream := []string{"stdout", "stderr"}[(i/3+i%2)%2]
		s := fmt.Sprintf("%d-%s;", i, strings.Repeat("z", i%50))
		end := `\n`
		if i%4 == 1 || i%7 == 2 {
			end = ""
		}
		fmt.Fprintf(&f, `{"log":"%s%s","stream":"%s","time":"2026-11-20T18:07:46.5Z"}`+"\n", s, end, stream)
		open[stream] += s
		if end != "" {
			joined = append(joined, strings.Replace(stream[3:], "out", "", 1)+open[stream])
			open[stream] = ""
		}
	}
	for i, j := range joined {
		joined[i] = strings.Replace(j, "err", "E", 1)
	}
	return f.String(), joined
}

// TestCrashes crashes at every commit of a log that is rotated, and while the line holds
// back pieces of messages of both streams.
func TestCrashes(t *testing.T) {
	content, want := pieces(400)
	rows := strings.SplitAfter(content, "\n")
	b := newBench(t)
	b.line.join = true
	next := 0
	for next < 400 {
		b.bell.do = append(b.bell.do, func() {
			for range 13 {
				if next < 400 {
					b.write("%s", rows[next])
					next++
				}
			}
			if next%3 == 0 {
				for i := 40; i > 0; i-- {
					os.Rename(fmt.Sprintf("%s.%d", b.path, i), fmt.Sprintf("%s.%d", b.path, i+1))
				}
				os.Rename(b.path, b.path+".1")
			}
		})
		if len(b.bell.do) > 40 {
			break
		}
	}
	b.write("")
	b.run(Start{})
	unstderr := func(ss []string) []string {
		out := make([]string, len(ss))
		for i, s := range ss {
			first, rest, _ := strings.Cut(s, ";")
			out[i] = first + ";" + strings.ReplaceAll(rest, "E", "")
		}
		return out
	}
	if got := unstderr(b.line.all()); !slices.Equal(got, unstderr(want)) {
		t.Fatalf("got %d records, want %d\n%q\n%q", len(got), len(want), got, want)
	}
	whole := b.line
	for n := 1; n < len(whole.commits); n++ {
		b.line = whole.crash(n)
		b.run(Start{})
		if got := b.line.all(); !slices.Equal(got, whole.all()) {
			t.Fatalf("after a crash at commit %d: %d records, want %d\n%q", n, len(got), len(want), got)
		}
	}
}

func TestHeldIsWrittenEmpty(t *testing.T) {
	b := newBench(t)
	b.line.join = true
	b.write(`{"log":"half","stream":"stdout","time":"2026-11-20T18:07:46.5Z"}` + "\n")
	b.run(Start{})
	if n := len(b.bell.waits); n != 1 || b.bell.waits[0] <= 0 || b.bell.waits[0] > heldPeriod {
		t.Fatalf("waits %v", b.bell.waits)
	}
	tail := New(b.opt)
	line := b.line.crash(len(b.line.commits))
	if err := tail.Open(t.Context(), line, Start{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tail.pass(t.Context(), line); err != nil {
		t.Fatal(err)
	}
	tail.wrote = time.Now().Add(-time.Minute)
	n := len(line.commits)
	if _, err := tail.pass(t.Context(), line); err != nil {
		t.Fatal(err)
	}
	if len(line.commits) != n+1 || line.commits[n].position.Resume != [2]int64{0, 65} {
		t.Errorf("%d commits, position %+v", len(line.commits)-n, line.Position().Resume)
	}
	tail.Close()
}

func TestDrain(t *testing.T) {
	b := newBench(t)
	b.write("one\nno line end")
	tail := New(b.opt)
	tail.Drain()
	if err := tail.Open(t.Context(), b.line, Start{}); err != nil {
		t.Fatal(err)
	}
	if err := tail.Run(t.Context(), b.line); err != nil {
		t.Fatal(err)
	}
	b.want("one", "no line end")
	if tail.Behind() != 0 {
		t.Errorf("%d bytes behind", tail.Behind())
	}
}

func TestGone(t *testing.T) {
	b := newBench(t)
	b.opt.Gone = time.Nanosecond
	b.write("one\n")
	tail := New(b.opt)
	b.bell.do = []func(){func() { os.Remove(b.path) }, func() {}}
	if err := tail.Run(t.Context(), b.line); err != ErrGone {
		t.Fatal(err)
	}
	b.want("one")
	if at := LastWrite(b.line.Position()); time.Since(at) > time.Minute {
		t.Errorf("last written to %v", at)
	}
}

func TestLineFails(t *testing.T) {
	b := newBench(t)
	b.write("one\n")
	b.line.fail = os.ErrClosed
	tail := New(b.opt)
	if err := tail.Run(t.Context(), b.line); err != os.ErrClosed {
		t.Fatal(err)
	}
	tail.Close()
	b.line.fail = nil
	b.run(Start{})
	b.want("one")
}

func TestUnreadable(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(b.path, 0o755); err != nil {
		t.Fatal(err)
	}
	var reports []bool
	b.opt.Report = func(err error) { reports = append(reports, err == nil) }
	b.bell.do = []func(){func() {}, func() { os.Remove(b.path); b.write("one\n") }}
	tail := New(b.opt)
	if err := tail.Run(t.Context(), b.line); err != nil {
		t.Fatal(err)
	}
	b.want("one")
	if !slices.Equal(reports, []bool{false, true}) {
		t.Errorf("reports %v", reports)
	}
}

func TestGapsAreWritten(t *testing.T) {
	b := newBench(t)
	b.write("one\ntwo\n")
	b.bell.do = []func(){func() { os.Truncate(b.path, 0) }}
	b.run(Start{})
	last := b.line.commits[len(b.line.commits)-1]
	if !slices.Equal(last.gaps, []record.Gap{{Bytes: -1, Reason: "truncated"}}) {
		t.Errorf("gaps %v", last.gaps)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	b := newBench(t)
	var content bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&content, `{"log":"line %d\n","stream":"stdout","time":"2026-11-20T18:07:46.11701285Z"}`+"\n", i)
	}
	b.write("%s", content.String())
	tail := New(b.opt)
	if err := tail.log.Look(time.Now()); err != nil {
		t.Fatal(err)
	}
	batch := new(record.Batch)
	fill := func() {
		batch.Reset(&tail.opt.Stream)
		if ok, err := tail.fill(batch); err != nil || !ok {
			t.Fatal(ok, err)
		}
		tail.log.Keep(tail.log.Pos())
	}
	fill()
	if n := testing.AllocsPerRun(3, fill); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	tail.Close()
}

func TestPositionOfAnotherVersion(t *testing.T) {
	b := newBench(t)
	b.write("one\n")
	b.line.commits = []commit{{position: record.Position{Source: []byte{99, 1, 2}, Resume: [2]int64{7, 7}}}}
	reported := 0
	b.opt.Report = func(err error) { reported++ }
	b.run(Start{})
	b.want("one")
	if reported == 0 {
		t.Error("not reported")
	}
}
