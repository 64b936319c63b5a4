package logfile

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestLineTime(t *testing.T) {
	zone := time.FixedZone("test", 3600)
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, zone)
	at := time.Date(2026, 11, 20, 10, 7, 46, 0, time.UTC)
	good := func(line string, want time.Time) {
		t.Helper()
		if got, ok := lineTime([]byte(line), now); !ok || got != want.UnixNano() {
			t.Errorf("%q: %v, %v; want %v", line, time.Unix(0, got).UTC(), ok, want)
		}
	}
	good("2026-11-20T10:07:46Z hello", at)
	good("2026-11-20T11:07:46.123456+01:00 hello", at)
	good(`{"level":30,"time":"2026-11-20T10:07:46.123Z"}`, at)
	good("2026-11-20 11:07:46,123 INFO local", at)
	good("2026/11/20 11:07:46 [error] nginx", at)
	good("[2026-11-20 11:07:46 +0100] gunicorn", at)
	good(`1.2.3.4 - - [20/Nov/2026:10:07:46 +0000] "GET / HTTP/1.1" 200 5`, at)
	good("Nov 20 11:07:46 host prog[1]: text", at)
	good("Dec 31 23:59:59 host prog[1]: text", time.Date(2025, 12, 31, 22, 59, 59, 0, time.UTC))
	good("Nov  5 11:07:46 host", time.Date(2026, 11, 5, 10, 7, 46, 0, time.UTC))
	bad := func(line string) {
		t.Helper()
		if got, ok := lineTime([]byte(line), now); ok {
			t.Errorf("%q: %v", line, got)
		}
	}
	bad("")
	bad("no time in here 12:30")
	bad("2026-99-20 11:07:46")
	bad("Foo 20 11:07:46")
}

func FuzzLineTime(f *testing.F) {
	f.Add([]byte("2026-11-20T10:07:46Z"))
	f.Add([]byte("[20/Nov/2026:10:07:46 +0000]"))
	f.Add([]byte("Nov 20 11:07:46"))
	f.Fuzz(func(t *testing.T, line []byte) { lineTime(line, time.Unix(1_800_000_000, 0)) })
}

// TestStartSince begins at every second of a log whose lines are a second apart, some with
// lines without a time behind them.
func TestStartSince(t *testing.T) {
	first := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for _, form := range []string{"raw", "docker"} {
		b := newBench(t)
		var starts []int
		var all []string
		for i := range 120 {
			at := first.Add(time.Duration(i) * time.Second)
			starts = append(starts, len(all))
			if form == "docker" {
				b.write(`{"log":"line %d\n","stream":"stdout","time":"%s"}`+"\n", i, at.Format(time.RFC3339Nano))
				all = append(all, fmt.Sprintf("line %d", i))
				if i%3 == 0 {
					b.write(`{"log":"of no time\n"}` + "\n")
					all = append(all, "of no time")
				}
				continue
			}
			line := fmt.Sprintf("%s line %d %s", at.Format(time.RFC3339), i, strings.Repeat("w", i*7%300))
			b.write("%s\n", line)
			all = append(all, line)
			for j := range i % 3 {
				b.write("   at %d of %d\n", j, i)
				all = append(all, fmt.Sprintf("   at %d of %d", j, i))
			}
		}
		for i := range 120 {
			b.line = &fakeLine{}
			b.run(Start{Since: first.Add(time.Duration(i) * time.Second)})
			b.want(all[starts[i]:]...)
		}
		b.line = &fakeLine{}
		b.run(Start{Since: first.Add(time.Hour)})
		b.want()
		b.write("the next line\n")
	}
}

func TestStartSinceReachesIntoRotated(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.write("%s old\n%s a\n", now.Add(-time.Hour).Format(time.RFC3339), now.Add(-30*time.Second).Format(time.RFC3339))
	os.Rename(b.path, b.path+".1")
	b.write("%s b\n", now.Format(time.RFC3339))
	b.run(Start{Since: now.Add(-time.Minute)})
	if got := b.line.all(); len(got) != 2 || !strings.HasSuffix(got[0], " a") || !strings.HasSuffix(got[1], " b") {
		t.Errorf("got %q", got)
	}
}

func TestStartWithoutTimesIsTheEnd(t *testing.T) {
	b := newBench(t)
	b.write("one\ntwo\nha")
	b.bell.do = []func(){func() { b.write("lf\nthree\n") }}
	b.run(Start{Since: time.Now().Add(-time.Hour)})
	b.want("half", "three")
}

func TestStartAtEndHolds(t *testing.T) {
	b := newBench(t)
	b.write("one\n")
	b.run(Start{End: true})
	b.write("two\n")
	b.run(Start{})
	b.want("two")
}

func TestStartRotated(t *testing.T) {
	b := newBench(t)
	b.write("one\n")
	os.Rename(b.path, b.path+".2")
	b.write("two\n")
	os.Rename(b.path, b.path+".1")
	b.write("three\n")
	b.run(Start{Rotated: true})
	b.want("one", "two", "three")
}
