package filter_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

// lines returns n different texts.
func lines(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return all
}

// TestSampleOfEachGroup: of each n records one is kept, at another place each time, and the
// weights add up.
func TestSampleOfEachGroup(t *testing.T) {
	const n = 10
	w := newWorld(t, filter.Config{Sample: &filter.Sample{OneIn: n}})
	places := map[int]int{}
	for from := 0; from < 10000; from += 500 { // groups do not mind batches
		b := w.batch(lines(500)...)
		w.write(b)
		weight, group := uint32(0), 0
		for i, r := range b.Records {
			if i%n == 0 {
				group = 0
			}
			if r.Flags&record.Dropped == 0 {
				group++
				weight += r.Weight
				places[i%n]++
			}
			if i%n == n-1 && group != 1 {
				t.Fatalf("%d records are kept of the %d before %d", group, n, i)
			}
		}
		if weight != 500 || w.counted(2) != 450 {
			t.Errorf("500 records weigh %d, %v dropped", weight, w.counted(2))
		}
	}
	for place := range n {
		if places[place] < 50 || places[place] > 150 {
			t.Errorf("place %d is kept %d times of 1000", place, places[place])
		}
	}
}

// TestSampleIsTheSameAgain: nothing but the stream decides.
func TestSampleIsTheSameAgain(t *testing.T) {
	kept := func(stream string) string {
		w := newWorld(t, filter.Config{Sample: &filter.Sample{OneIn: 7}})
		w.at.Stream = stream
		w.open(filter.Config{Sample: &filter.Sample{OneIn: 7}})
		return fmt.Sprint(w.write(w.batch(lines(1000)...)))
	}
	if first := kept("a"); first != kept("a") || first == kept("b") {
		t.Error("a stream is sampled in different ways, or two in the same")
	}
}

func TestSampleByField(t *testing.T) {
	c := filter.Config{Sample: &filter.Sample{OneIn: 4, By: "id"}}
	fill := func(w *world) *record.Batch {
		b := w.batch(lines(4000)...)
		for i := range b.Records {
			b.Values = append(b.Values, b.Append(fmt.Appendf(nil, "request-%d", i%1000)))
		}
		return b
	}
	w := newWorld(t, c, "id")
	b := fill(w)
	w.write(b)
	kept := 0
	for i, r := range b.Records {
		if r.Flags&record.Dropped == 0 {
			kept++
			if r.Weight != 4 {
				t.Fatalf("weight %d", r.Weight)
			}
		}
		if r.Flags&record.Dropped != b.Records[i%1000].Flags&record.Dropped {
			t.Fatalf("a request is divided at %d", i)
		}
	}
	if kept < 4000/4*8/10 || kept > 4000/4*12/10 || kept%4 != 0 {
		t.Errorf("%d of 4000 kept", kept)
	}
	other := newWorld(t, c, "id")
	other.at.Stream = "other"
	other.open(c)
	b2 := fill(other)
	other.write(b2)
	for i := range b.Records {
		if b.Records[i].Flags != b2.Records[i].Flags {
			t.Fatal("another stream keeps other requests")
		}
	}
	// Without the field they are sampled all the same.
	w = newWorld(t, c)
	if kept := w.write(w.batch(lines(400)...)); len(kept) != 100 {
		t.Errorf("%d of 400 without the field", len(kept))
	}
}

func TestSampleOf(t *testing.T) {
	w := newWorld(t, filter.Config{Sample: &filter.Sample{OneIn: 10, Of: &filter.Condition{Levels: []string{"debug"}}}})
	b := w.batch(lines(200)...)
	for i := range b.Records {
		b.Records[i].Level = record.LevelError
		if i%2 == 0 {
			b.Records[i].Level = record.LevelDebug
		}
	}
	w.write(b)
	weights := map[record.Level]uint32{}
	for _, r := range b.Records {
		if r.Flags&record.Dropped == 0 {
			weights[r.Level] += max(r.Weight, 1)
		}
	}
	if weights[record.LevelError] != 100 || weights[record.LevelDebug] != 100 || w.counted(2) != 90 {
		t.Errorf("weights %v, %v dropped", weights, w.counted(2))
	}
}

// TestTwoSamples: weights multiply, and two samples by one field are not the same sample.
func TestTwoSamples(t *testing.T) {
	c := filter.Config{Sample: &filter.Sample{OneIn: 10, By: "id"}}
	first := newWorld(t, c, "id")
	second := newWorld(t, c, "id")
	second.at.Samples = 1
	second.open(c)
	b := first.batch(lines(100000)...)
	for i := range b.Records {
		b.Values = append(b.Values, b.Records[i].Body)
	}
	first.write(b)
	kept := len(second.write(b))
	if kept < 850 || kept > 1150 {
		t.Errorf("%d of 100000 pass two samples of a tenth", kept)
	}
	b.Records[0] = record.Record{Rules: 1 << 3, Weight: math.MaxUint32 / 2}
	one := newWorld(t, filter.Config{Sample: &filter.Sample{OneIn: 1}})
	one.write(b)
	if b.Records[0].Weight != math.MaxUint32/2 {
		t.Errorf("one in 1 weighs %d", b.Records[0].Weight)
	}
	for _, r := range b.Records[1:] {
		if r.Flags&record.Dropped == 0 && r.Weight != 100 {
			t.Fatalf("weight %d", r.Weight)
		}
	}
}

func TestWeightHasABound(t *testing.T) {
	w := newWorld(t, filter.Config{Sample: &filter.Sample{OneIn: 3}})
	b := w.batch(lines(3)...)
	for i := range b.Records {
		b.Records[i].Weight = math.MaxUint32 / 2
	}
	w.write(b)
	for _, r := range b.Records {
		if r.Flags&record.Dropped == 0 && r.Weight != math.MaxUint32 {
			t.Errorf("weight %d", r.Weight)
		}
	}
}
