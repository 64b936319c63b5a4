package reader

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// small is a bound that many lines are beyond at once.
var small = archive.Bound{Size: 64 << 10}

// much writes more of a stream than is kept, so that what came first is gone.
func (w *world) much(stream string) {
	w.t.Helper()
	for range 20 {
		w.write(stream, 3000, small)
	}
	w.retain(0)
}

// vanish has all text of a stream removed.
func (w *world) vanish(stream string) {
	w.t.Helper()
	s := w.archive.Find(stream)
	s.Seal(nil)
	if err := w.archive.Flush(); err != nil {
		w.t.Fatal(err)
	}
	w.archive.Show()
	for day := range 3 {
		w.retain(time.Duration(day) * 24 * time.Hour)
	}
	if _, text, _ := s.Size(); text > 0 {
		w.t.Fatalf("%d bytes of %s are left", text, stream)
	}
}

// counted returns options whose ledger tells what was dropped for a reason.
func (w *world) counted() (o Options, dropped func(reason string) int) {
	w.t.Helper()
	reg := metric.New()
	l, err := ledger.New(reg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	o = w.options()
	o.Ledger = l.Component("sink", "files", "file")
	return o, func(reason string) (n int) {
		reg.Each(func(f *metric.Family, s *metric.Series) bool {
			if v := s.Values(); f.Desc().Name == "weir_component_dropped_total" && len(v) == 2 && v[1] == reason {
				n += int(s.Value())
			}
			return true
		})
		return n
	}
}

// stated returns how many lines of a stream the sink has, and how many it was told that it
// has not, in words that end so.
func (w *world) stated(stream, words string) (lines, missing int) {
	w.t.Helper()
	for _, l := range w.sink.lines {
		rest, ok := strings.CutPrefix(l, stream+" ")
		if !ok {
			continue
		}
		n := 0
		if strings.HasSuffix(l, words) {
			if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
				w.t.Fatal(err)
			}
			missing += n
			continue
		}
		lines++
	}
	return lines, missing
}

const gone = "records were removed before they could be sent here"

// TestGapOfNew: what retention removed of a stream before the sink took any of it is a gap
// from its first record on, if the stream came after the sink, or the sink is to begin at
// the beginning.
func TestGapOfNew(t *testing.T) {
	for name, play := range map[string]func(w *world, o Options){
		"came after the sink": func(w *world, o Options) {
			w.during(o, func() {})
			w.much("a")
			w.during(o, func() {})
		},
		"from the beginning": func(w *world, o Options) {
			w.much("a")
			o.Start = -1
			w.during(o, func() {})
		},
		"nothing is left": func(w *world, o Options) {
			w.during(o, func() {})
			w.write("a", 1000, archive.Bound{Age: time.Hour})
			w.vanish("a")
			w.during(o, func() {})
		},
		"nothing is left from the beginning": func(w *world, o Options) {
			w.write("a", 1000, archive.Bound{Age: time.Hour})
			w.vanish("a")
			o.Start = -1
			w.during(o, func() {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				o, dropped := w.counted()
				play(w, o)
				lines, missing := w.stated("a", gone)
				if missing == 0 || lines+missing != w.written["a"] || !strings.HasSuffix(w.sink.lines[0], gone) {
					w.t.Errorf("%d lines came, %d are stated to be missing, of %d", lines, missing, w.written["a"])
				}
				if n := dropped("removed before it was sent"); n != missing {
					w.t.Errorf("%d are counted as dropped, %d stated", n, missing)
				}
			})
		})
	}
}

// TestNoGap: what was there before the sink was, and is outside of its start, is not missing;
// neither is what a stream had before it was forgotten, or before a selector matched it.
func TestNoGap(t *testing.T) {
	for name, play := range map[string]func(w *world, o Options){
		"there before": func(w *world, o Options) {
			w.much("a")
			w.during(o, func() { w.write("a", 10, small) })
		},
		"there before, within the start": func(w *world, o Options) {
			w.much("a")
			o.Start = time.Hour
			w.during(o, func() { w.write("a", 10, small) })
		},
		"there before, and gone": func(w *world, o Options) {
			w.write("a", 1000, archive.Bound{Age: time.Hour})
			w.vanish("a")
			w.during(o, func() { w.write("a", 10, small) })
		},
		"forgotten, by the sink too": func(w *world, o Options) {
			w.during(o, func() { w.write("a", 1000, archive.Bound{Age: time.Hour}) })
			w.archive.Find("a").Release()
			w.vanish("a")
			w.archive.Due(time.Now(), func(*archive.Stream, []byte) {})
			if err := w.archive.Checkpoint(); err != nil {
				w.t.Fatal(err)
			}
			w.archive.Forgotten()
			w.retain(0)
			if w.archive.Find("a") != nil {
				w.t.Fatal("the stream is still there")
			}
			delete(w.sink.next, "a")
			w.during(o, func() { w.write("a", 10, small) })
		},
		"another selector": func(w *world, o Options) {
			was := o.Match
			o.Match, o.Selector = func(record.Labels) bool { return false }, "none"
			w.during(o, func() {})
			w.much("a")
			o.Match, o.Selector = was, "all"
			w.during(o, func() { w.write("a", 10, small) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				o, dropped := w.counted()
				play(w, o)
				if lines, missing := w.stated("a", gone); missing > 0 || lines < 10 {
					w.t.Errorf("%d lines came, %d are stated to be missing", lines, missing)
				}
				if n := dropped("removed before it was sent"); n != 0 {
					w.t.Errorf("%d are counted as dropped", n)
				}
			})
		})
	}
}

// TestDropsAreCountedOnce: a gap that a sink does not take is counted when it does.
func TestDropsAreCountedOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		o, dropped := w.counted()
		w.during(o, func() {})
		w.much("a")
		w.sink.down.Store(true)
		w.during(o, func() { w.sink.down.Store(false) })
		if _, missing := w.stated("a", gone); dropped("removed before it was sent") != missing {
			w.t.Errorf("%d are counted as dropped, %d stated", dropped("removed before it was sent"), missing)
		}
	})
}

// TestDamaged: what cannot be read is stated to be damaged, and not to have been removed;
// blocks that follow each other in one line.
func TestDamaged(t *testing.T) {
	inBubble(t, func(w *world) {
		o, dropped := w.counted()
		w.during(o, func() {})
		for range 8 {
			w.write("a", 3000, archive.Bound{})
		}
		if err := w.archive.Checkpoint(); err != nil {
			w.t.Fatal(err)
		}
		if _, _, blocks := w.archive.Find("a").Size(); blocks < 4 {
			w.t.Fatalf("there are only %d blocks", blocks)
		}
		for _, name := range w.disk.Names() {
			if strings.HasSuffix(name, ".zst") {
				text := w.disk.Bytes(name)
				for i := len(text) / 4; i < len(text)*3/4; i += 100 {
					text[i] ^= 1
				}
				w.disk.SetBytes(name, text)
			}
		}
		w.during(o, func() {})
		lines, missing := w.stated("a", "records were damaged on disk before they could be sent here")
		if missing == 0 || lines+missing != w.written["a"] {
			w.t.Errorf("%d lines came, %d are stated to be damaged, of %d", lines, missing, w.written["a"])
		}
		if n := len(w.sink.lines) - lines; n != 1 {
			w.t.Errorf("%d lines say so", n)
		}
		if n := dropped("damaged before it was sent"); n != missing || dropped("removed before it was sent") != 0 {
			w.t.Errorf("%d are counted as damaged, %d stated; %d as removed", n, missing, dropped("removed before it was sent"))
		}
	})
}
