package docker

import (
	"fmt"
	"testing"
	"time"
)

// newEngineWith returns an engine of the newest API and a container whose log is rotated.
func newEngineWith(t *testing.T, size, files string) (*fakeEngine, *fakeContainer) {
	e := newEngine(t, "")
	e.version = "1.56"
	return e, e.run("web", func(c *fakeContainer) {
		c.options = map[string]string{"max-size": size, "max-file": files}
		c.untold = map[int]bool{}
	})
}

// Of a log with large files the stream is followed. When it has much to tell, what it leaves
// out is fetched, and when it has not, it is followed again.
func TestBusy(t *testing.T) {
	for _, end := range []bool{false, true} {
		t.Run(fmt.Sprint("ends ", end), func(t *testing.T) {
			e, web := newEngineWith(t, "10m", "3")
			j := newJournal(t)
			e.writeLines(web, 0, 10)
			start(t, e, j, nil)
			j.untilCount("docker/web", web, 10)
			e.followed(0)
			e.lock(func() {
				for i := 5000; i < 6000; i++ { // an engine has told more by then than is read of it
					web.untold[i] = true
				}
				for i := 10; i < 7000; i++ {
					web.records = append(web.records, fakeRecord{time: e.now(), text: fmt.Sprintf("line %d\n", i)})
				}
			})
			if end {
				e.end(web)
			}
			j.exactly("docker/web", web, e.all(web))
			if end {
				j.until("web is read", func() bool { c, _ := decodeCursor(j.has("docker/web", web).pos.Source); return c.ended })
				return
			}
			e.followed(2) // of which one rang while it was busy
			checkStreamed(t, e, j, web)
		})
	}
}

// checkStreamed checks that what is written is read without a fetch.
func checkStreamed(t *testing.T, e *fakeEngine, j *journal, c *fakeContainer) {
	t.Helper()
	fetches, n := e.fetches.Load(), len(c.records)
	for i := range 20 {
		e.writeLines(c, n+i, n+i+1)
		j.untilCount("docker/web", c, n+i+1)
	}
	if more := e.fetches.Load() - fetches; more > 0 {
		t.Errorf("%d fetches of a calm log", more)
	}
}

// Which streams are followed, and which only ring.
func TestStreams(t *testing.T) {
	for _, test := range []struct {
		version, size, files string
		streams              bool
	}{
		{"1.24", "", "", true}, {"1.41", "", "", true}, {"1.56", "", "", true}, {"1.56", "", "5", true},
		{"1.41", "10m", "3", false}, {"1.42", "10m", "3", true}, {"1.56", "1m", "2", true},
		{"1.56", "100k", "5", false}, {"1.56", "10m", "1", false}, {"1.56", "10m", "", false},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			t.Parallel()
			e, web := newEngineWith(t, test.size, test.files)
			e.lock(func() { e.version = test.version })
			j := newJournal(t)
			e.writeLines(web, 0, 10)
			start(t, e, j, nil)
			j.untilCount("docker/web", web, 10)
			if test.streams {
				e.followed(0)
				checkStreamed(t, e, j, web)
				return
			}
			e.lock(func() { web.untold[10] = true }) // rotated twice before the stream came to it
			e.writeLines(web, 10, 12)
			j.exactly("docker/web", web, e.all(web))
		})
	}
}

// Where a file may be missing, and where not though there was time for one.
func TestMissingFile(t *testing.T) {
	const size = 2 * largeFile
	at := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		name     string
		capacity int64
		ahead    time.Duration // the engine's clock
		written  time.Duration // after the message before, when the next file begins
		told     time.Duration // after the message before, when that came
		gaps     int
	}{
		{"no time for a file", size, 0, time.Millisecond, time.Second, 0},
		{"the stream was late", size, 0, time.Second, 2 * time.Second, 1},
		{"the stream had told all", size, 0, time.Second, time.Millisecond, 0},
		{"a small file, all told", largeFile / 2, 0, time.Second, time.Millisecond, 1},
		{"the stream was late, the engine's clock is ahead", size, time.Hour, time.Second, 2 * time.Second, 1},
		{"the stream had told all, the engine's clock is ahead", size, time.Hour, time.Second, time.Millisecond, 0},
		{"the engine's clock is behind", size, -time.Hour, time.Second, time.Millisecond, 1},
		{"the clock was set back", size, 0, -time.Second, time.Millisecond, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine := at.Add(test.ahead)
			s := stretch{told: at.Add(test.told), found: true}
			s.clock.see(engine.UnixNano(), at)
			s.words = []heard{{}}
			s.words[0].Time = engine.Add(test.written).UnixNano()
			f := fill{capacity: test.capacity, bytes: test.capacity}
			if gaps := f.missing(&cursor{time: engine.UnixNano()}, s); len(gaps) != test.gaps {
				t.Errorf("gaps %v, want %d", gaps, test.gaps)
			}
		})
	}
}
