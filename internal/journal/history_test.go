package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// history is a world in which everything happens that can: inputs are read, forgotten and
// found again, a sink stores what it has seen, a rule goes and comes back, generations
// begin, the disk fails, fills and crashes.
type history struct {
	*world
	fs    disk.Faulty
	rnd   *rand.Rand
	sums  *metric.Family
	rule  *metric.Family
	level *metric.Family     // a gauge that has what the counter has
	fine  *metric.Family     // a native histogram that has seen as many values as the counter has
	shown map[string]float64 // what the outside has seen, by series
}

var ruleDesc = metric.Desc{Name: "rule_total", Labels: []string{"input"}, Durable: true, Owner: "rule", MaxSeries: 2}

// fineDesc has few buckets, so that they become wider all the time.
var fineDesc = metric.Desc{Name: "fine", Kind: metric.Histogram, Native: &metric.Native{Schema: 8, MaxBuckets: 12}, Labels: []string{"input"}, Durable: true, Owner: "test"}

func (h *history) open() {
	h.t.Helper()
	h.world = open(h.t, &h.fs)
	var err error
	if h.sums, err = h.reg.Family(metric.Desc{Name: "sum", Labels: []string{"input"}, Durable: true, Owner: "test"}); err != nil {
		h.t.Fatal(err)
	}
	if h.rule, err = h.reg.Family(ruleDesc); err != nil {
		h.t.Fatal(err)
	}
	if h.level, err = h.reg.Family(metric.Desc{Name: "level", Kind: metric.Gauge, Free: true, Durable: true, Owner: "test"}); err != nil {
		h.t.Fatal(err)
	}
	if h.fine, err = h.reg.Family(fineDesc); err != nil {
		h.t.Fatal(err)
	}
	h.reg.DropUnclaimed()
	h.look()
}

// look compares what is shown with what was, and position with counts.
func (h *history) look() {
	h.t.Helper()
	h.reg.Each(func(f *metric.Family, s *metric.Series) bool {
		name := f.Desc().Name + fmt.Sprint(s.Values())
		if was := h.shown[name]; s.Count() < was {
			h.t.Fatalf("%s went back from %v to %v", name, was, s.Count())
		}
		h.shown[name] = s.Count()
		return true
	})
	if b := h.journal.Load("sink"); b != nil {
		base := math.Float64frombits(binary.LittleEndian.Uint64(b))
		if now := h.lines.Series("input0").Value(); now < base {
			h.t.Fatalf("a sink's baseline is %v, the counter %v", base, now)
		}
	}
}

// agree compares positions and counts, once nothing is pending.
func (h *history) agree() {
	h.t.Helper()
	for i := range 3 {
		name := fmt.Sprint("input", i)
		p := h.journal.Input(inputOf(name)).Position()
		if got := int(h.lines.Series(name).Value()); got != position(p)+int(h.rest(name)) {
			h.t.Fatalf("%s: position %d and %d lines of before, but %d lines counted", name, position(p), int(h.rest(name)), got)
		}
		if level := int(h.level.Series("input", name).Value()); level != position(p)+int(h.rest(name)) {
			h.t.Fatalf("%s: position %d and %d lines of before, but a level of %d", name, position(p), int(h.rest(name)), level)
		}
		if seen := int(h.fine.Series(name).Count()); seen != position(p)+int(h.rest(name)) {
			h.t.Fatalf("%s: position %d and %d lines of before, but %d values seen", name, position(p), int(h.rest(name)), seen)
		}
	}
}

// rest returns how many lines were counted before the input was last forgotten, which a
// state keeps: it is committed with the position that goes.
func (h *history) rest(name string) uint64 {
	n, _ := binary.Uvarint(h.journal.Load("rest/" + name))
	return n
}

func (h *history) readAll(name string, n int) {
	in := h.journal.Input(inputOf(name))
	at := position(in.Position()) + n
	b := &record.Batch{Position: record.Position{Source: binary.AppendUvarint(nil, uint64(at))}}
	b.Deltas = append(b.Deltas,
		record.Delta{Series: h.lines.Series(name).ID(), Add: float64(n)},
		record.Delta{Series: h.sums.Series(name).ID(), Add: h.rnd.Float64()},
		record.Delta{Series: h.rule.Series(name).ID(), Add: float64(n)},
		h.raise(name, n))
	var tally metric.Tally
	for range n {
		tally.Add(fineDesc.Native.CellOf(math.Exp(10*h.rnd.NormFloat64())), 1)
	}
	b.Deltas = tally.AppendTo(b.Deltas, h.fine.Series(name))
	if err := in.Write(h.t.Context(), b); err != nil {
		h.t.Fatal(err)
	}
}

// raise returns a delta that adds n to the level, or sets it to what it is then.
func (h *history) raise(name string, n int) record.Delta {
	d := record.Delta{Series: h.level.Series("input", name).ID(), Add: float64(n)}
	if h.rnd.IntN(2) == 0 {
		d.Cell = record.SetCell
		d.Add += float64(h.rest(name)) + float64(position(h.journal.Input(inputOf(name)).Position()))
	}
	return d
}

func (h *history) forget(name string) {
	in := h.journal.Input(inputOf(name))
	gone := h.rest(name) + uint64(position(in.Position()))
	in.Forget()
	if h.rnd.IntN(2) == 0 {
		h.journal.Input(inputOf(name))
	}
	h.journal.Store("rest/"+name, binary.AppendUvarint(nil, gone))
}

func (h *history) reload() {
	if h.sync() != nil {
		return
	}
	h.reg.Forget(ruleDesc.Name)
	for i := range 4 {
		delete(h.shown, ruleDesc.Name+fmt.Sprintf("[input%d]", i))
	}
	delete(h.shown, ruleDesc.Name+"[]")
	var err error
	if h.rule, err = h.reg.Family(ruleDesc); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) breakDisk() {
	op, n, times := []string{"write", "sync", "allocate"}[h.rnd.IntN(3)], h.rnd.IntN(3), 1+h.rnd.IntN(4)
	h.fs.FailWith(func(o string) error {
		if o != op {
			return nil
		}
		if n--; n < 0 && n >= -times {
			return errors.New("broken disk")
		}
		return nil
	})
}

func (h *history) step() {
	name := fmt.Sprint("input", h.rnd.IntN(3))
	switch h.rnd.IntN(16) {
	case 0, 1, 2, 3:
		h.readAll(name, 1+h.rnd.IntN(5))
	case 4, 5:
		h.write()
	case 6, 7:
		if h.sync() == nil {
			h.agree()
		}
	case 8:
		h.breakDisk()
	case 9:
		h.forget(name)
	case 10:
		h.journal.Store("sink", binary.LittleEndian.AppendUint64(nil, math.Float64bits(h.lines.Series("input0").Value())))
	case 11:
		h.reload()
	case 12:
		_ = h.journal.commit.begin(h.journal)
	case 13:
		h.fs.Limit(int64(h.rnd.IntN(2) * 3000))
	case 14:
		for range h.rnd.IntN(8) {
			h.readAll(name, 1)
			h.write()
		}
	case 15:
		h.fs.FailWith(nil)
		h.fs.Limit(0)
		if h.rnd.IntN(3) == 0 {
			h.journal.Close()
		}
		h.fs.Crash(func(i, size int) int {
			return []int{0, size, h.rnd.IntN(size + 1)}[h.rnd.IntN(3)]
		})
		h.open()
		h.agree()
	}
	h.look()
}

func TestHistories(t *testing.T) {
	for seed := range uint64(200) {
		h := &history{world: &world{t: t}, rnd: rand.New(rand.NewPCG(seed, 2)), shown: map[string]float64{}}
		h.open()
		for i := range 120 {
			func() {
				defer func() {
					if t.Failed() {
						t.Logf("seed %d, step %d", seed, i)
					}
				}()
				h.step()
			}()
		}
	}
}
