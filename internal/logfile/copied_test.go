package logfile

import (
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// copyTruncate is what logrotate does: pause after the copy, then the truncation.
func (b *bench) copyTruncate(between string) {
	b.t.Helper()
	content, err := os.ReadFile(b.path)
	if err == nil {
		err = os.WriteFile(b.path+".1", content, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("%s", between)
	if err := os.Truncate(b.path, 0); err != nil {
		b.t.Fatal(err)
	}
}

// calm makes it a minute ago that the file was written to.
func (b *bench) calm() {
	b.t.Helper()
	then := time.Now().Add(-time.Minute)
	if err := os.Chtimes(b.path, then, then); err != nil {
		b.t.Fatal(err)
	}
}

// A line that a quiet file's copy ends within goes on in the truncated file, whenever weir
// is killed.
func TestLineInTwoFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.write("one\nthe fir")
		b.bell.do = []func(){
			b.calm,
			func() { b.copyTruncate("") },
			func() { time.Sleep(time.Hour) },
			func() { b.write("st ha") },
			func() { b.write("lf and the second\nthree\n") },
		}
		b.run(Start{})
		b.want("one", "the first half and the second", "three")
		whole := b.line
		for n := range whole.commits {
			if n < 3 {
				continue // before the truncation: nobody knows that the file was quiet by then
			}
			b.line = whole.crash(n)
			b.run(Start{})
			b.want(whole.all()...)
		}
		for _, c := range whole.commits {
			if len(c.gaps) > 0 {
				t.Errorf("gaps %v", c.gaps)
			}
		}
	})
}

// A gap stands between the records that it is between: what the copy of a file had, and
// what was written after the truncation.
func TestGapStandsInItsPlace(t *testing.T) {
	b := newBench(t)
	b.write("one\n")
	b.bell.do = []func(){func() { b.write("two\nhal"); b.copyTruncate("f\nlost\n"); b.write("three\n") }}
	b.run(Start{})
	b.want("one", "two", "three")
	whole := b.line
	for n := 1; n < len(whole.commits); n++ {
		b.line = whole.crash(n)
		b.run(Start{})
		b.want("one", "two", "three")
		var read []string
		for _, c := range b.line.commits {
			for _, g := range c.gaps {
				if want := (record.Gap{Bytes: -1, Reason: "truncated"}); g != want || !slices.Equal(read, []string{"one", "two"}) {
					t.Errorf("after commit %d: gap %v after %q", n, g, read)
				}
				read = append(read, "gap")
			}
			read = append(read, c.records...)
		}
		if !slices.Contains(read, "gap") {
			t.Errorf("after commit %d: no gap", n)
		}
	}
}
