package statsd

import (
	"bytes"
	"log/slog"
	"testing"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
)

// still returns a worker of a source that does not run.
func still(t testing.TB, listen string) *worker {
	t.Helper()
	reg, log := metric.New(), slog.New(slog.DiscardHandler)
	l, err := ledger.New(reg, log)
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Listen, c.MaxLine, c.MaxSeries = []string{listen}, minLine, 1000
	s, err := New(c, flow.Deps{Name: "app", Log: log, Ledger: l.Component("source", "app", "statsd"), Metrics: reg, Batches: flow.NewPool(1)})
	if err != nil {
		t.Fatal(err)
	}
	return s.listeners[0].workers[0]
}

// feed gives text to a stream of w in reads of at most so many bytes, and its end.
func feed(w *worker, text []byte, most int) {
	s := &stream{worker: w, maxLine: int(w.source.cfg.MaxLine), buf: make([]byte, 0, firstBuffer)}
	for len(text) > 0 {
		n := copy(s.buf[len(s.buf):cap(s.buf)], text[:min(most, len(text))])
		if n == 0 {
			panic("there is no room to read")
		}
		text = text[n:]
		if !s.took(n) {
			return
		}
	}
	s.finish(true)
}

// fate of a whole line, in the obvious way.
func slowly(w *worker, text []byte) {
	segments := bytes.Split(text, []byte("\n"))
	for _, line := range segments {
		if len(line) > minLine {
			w.end(tooLong, line)
		} else {
			w.line(line)
		}
	}
}

// FuzzStream: in whatever pieces a stream comes, its lines have the fates that they have when
// the whole is cut at its line feeds; and packets with lengths have those of one piece.
func FuzzStream(f *testing.F) {
	long := bytes.Repeat([]byte("x"), 300)
	for _, seed := range []string{
		"a:1|c\nb:2|g\n", "a:1|c", "\n\r\n", "\x00\xff\n", string(long) + "\na:1|c\n", string(long), "a:1|c\n" + string(long),
		"\x05\x00\x00\x00a:1|c\x06\x00\x00\x00a:1|c\n", "\x05\x00\x00\x00a:1", "\x00\x00\x00\x00\xff\xff\xff\xff", "\x05\x00",
		"_e{1,1}:a|b\n_sc|a|0\n",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(7))
	}
	f.Fuzz(func(t *testing.T, text []byte, most uint8) {
		if len(text) > 1<<16 {
			return
		}
		for _, dialect := range []wire.Dialect{wire.StatsD, wire.DogStatsD} {
			got, want := still(t, "tcp://127.0.0.1:1"), still(t, "tcp://127.0.0.1:1")
			got.parser.Dialect, want.parser.Dialect = dialect, dialect
			feed(got, text, int(most)+1)
			slowly(want, text)
			if got.tally.fates != want.tally.fates || got.tally.samples != want.tally.samples {
				t.Fatalf("%q by %d: fates %v, want %v", text, int(most)+1, got.tally.fates, want.tally.fates)
			}
		}
		got, want := still(t, "unix:///x"), still(t, "unix:///x")
		feed(got, text, int(most)+1)
		feed(want, text, 1<<20)
		if got.tally.fates != want.tally.fates {
			t.Fatalf("unix: %q by %d: fates %v, want %v", text, int(most)+1, got.tally.fates, want.tally.fates)
		}
	})
}

// TestExpiry: a series without lines goes, is told, and begins anew when it comes back.
func TestExpiry(t *testing.T) {
	w := still(t, "tcp://127.0.0.1:1")
	s := w.source
	s.cfg.Expiry, s.cfg.MaxSeriesPerName = leastExpiry, 1
	take := func() string {
		s.pending = w.take(s.pending)
		s.deps.Metrics.Apply(s.pending)
		s.pending = s.pending[:0]
		return string(s.deps.Metrics.AppendText(nil, metric.Text))
	}
	w.packet([]byte("gone:1|c\nstays:1|c\ngone:1|c|@2\nbusy:1|c\ngone:1|c|#over:bound"))
	take()
	for i := range 70 {
		w.packet([]byte("stays:1|c"))
		if i == 69 {
			w.packet([]byte("busy:1|c")) // since the last commit, and before the look
			break
		}
		take()
	}
	now := s.flushed.Add(24 * 3600e9)
	s.expire(now)                                   // the slots
	s.expire(now.Add(leastExpiry + commitInterval)) // the series
	text := take()
	for sample, there := range map[string]bool{"gone_total 1.5": false, `gone_total{overflow="true"} 1`: false, "stays_total 71": true, "busy_total 2": true} {
		if bytes.Contains([]byte(text), []byte("\n"+sample+"\n")) != there || s.names.retired != 2 {
			t.Errorf("%s is there: %v, and %d are retired\n%s", sample, !there, s.names.retired, text)
		}
	}
	w.packet([]byte("gone:1|c\nstays:1|c"))
	if text = take(); !bytes.Contains([]byte(text), []byte("\ngone_total 1\n")) || !bytes.Contains([]byte(text), []byte("\nstays_total 72\n")) {
		t.Errorf("after it came back:\n%s", text)
	}
}
