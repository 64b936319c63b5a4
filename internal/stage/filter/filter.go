// Package filter takes records out of a line, after they were counted: what is dropped is
// not kept, and is counted all the same.
//
//	stage, err := filter.New(filter.Config{DropLevels: []string{"debug", "trace"}}, filter.Line{Rule: 0, Slots: slots})
//
// A stage sets record.Dropped and removes nothing, so that later stages and the journal see
// the same records; a record that it keeps as a sample has its weight in Record.Weight. What
// it drops it counts by reason, as deltas of the batch. It belongs to one line and is called
// by one goroutine at a time.
package filter

import (
	"context"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Limited is the reason of the gaps that say what a rate left out.
const Limited = "rate limited"

// Line is what a filter has to know of the line that it stands in.
type Line struct {
	// Stream is the identity of the stream, which decides the places of samples.
	Stream string
	// Rule is the bit in Record.Rules of the rule whose filter it is.
	Rule int
	// Slots are those of the line's batches.
	Slots []string
	// Samples is how many filters before this one take samples.
	Samples int
	Series  Series
}

// Series are the durable series that count dropped records by reason.
type Series struct{ Drop, Sample, Rate uint32 }

// New returns the stage of a valid c.
func New(c Config, l Line) (flow.Stage, error) {
	s, err := newStage(c, l)
	if err != nil {
		return nil, err
	}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			s.filter(b)
			return next.Write(ctx, b)
		})
	}, nil
}

// reason is why a record was dropped.
type reason uint8

const (
	kept reason = iota
	dropped
	sampled
	limited
	reasons
)

// stage filters the records of a line.
type stage struct {
	rule       uint64 // bit
	leveled    bool
	levels     levels
	drop, only []*condition
	sample     *sampler // nil: none
	limit      *limiter // nil: none
	reader     reader
	counts     [reasons]int // in the present batch
	series     [reasons]uint32
}

func newStage(c Config, l Line) (*stage, error) {
	s := &stage{rule: 1 << l.Rule, leveled: len(c.DropLevels) > 0, levels: levelsOf(c.DropLevels)}
	s.series = [reasons]uint32{dropped: l.Series.Drop, sampled: l.Series.Sample, limited: l.Series.Rate}
	var err error
	if s.drop, err = compileAll(c.Drop, l.Slots); err != nil {
		return nil, err
	}
	if s.only, err = compileAll(c.Only, l.Slots); err != nil {
		return nil, err
	}
	if c.Sample != nil {
		if s.sample, err = newSampler(*c.Sample, l); err != nil {
			return nil, err
		}
	}
	if c.Rate.Records > 0 {
		s.limit = newLimiter(c)
	}
	return s, nil
}

// filter marks the records of b that go.
func (s *stage) filter(b *record.Batch) {
	if s.limit != nil {
		s.limit.begin(b, time.Now())
	}
	for i := range b.Records {
		r := &b.Records[i]
		if r.Rules&s.rule == 0 || r.Flags&record.Dropped != 0 {
			continue
		}
		if why := s.judge(b, i); why != kept {
			r.Flags |= record.Dropped
			s.counts[why]++
		}
	}
	if s.limit != nil {
		s.limit.end(b)
	}
	for why, n := range s.counts {
		if n > 0 {
			b.Deltas = append(b.Deltas, record.Delta{Series: s.series[why], Add: float64(n)})
			s.counts[why] = 0
		}
	}
}

// judge says what becomes of record i.
func (s *stage) judge(b *record.Batch, i int) reason {
	switch {
	case s.condition(b, i) != "":
		return dropped
	case s.sample != nil && !s.sample.keeps(&s.reader, b, i):
		return sampled
	case s.limit != nil && !s.limit.passes(&b.Records[i]):
		return limited
	}
	return kept
}

// condition returns the key of what drops record i, "" for nothing.
func (s *stage) condition(b *record.Batch, i int) (key string) {
	if s.leveled && s.levels[b.Records[i].Level] {
		return "drop_levels"
	}
	if s.anyHolds(s.drop, b, i) >= 0 {
		return "drop"
	}
	if len(s.only) > 0 && s.anyHolds(s.only, b, i) < 0 {
		return "only"
	}
	return ""
}

// anyHolds returns the place of the first condition that holds for record i, or -1.
func (s *stage) anyHolds(all []*condition, b *record.Batch, i int) int {
	for k, c := range all {
		if c.holds(&s.reader, b, i) {
			return k
		}
	}
	return -1
}
