package statsd

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// part is which number of a series is meant. The numbers are a part of what is kept over
// restarts.
type part byte

const (
	value part = iota // of a counter
	count             // of the values that a histogram took
	sum               // of these values
	level             // of a gauge
	size              // of a set, in the source's last interval
	stat              // of a timer, in the source's last interval: upper, mean_90
)

func (p part) of(s *metric.Series) float64 {
	switch p {
	case count:
		return s.Count()
	case sum:
		return s.Sum()
	}
	return s.Value()
}

// suffix stands behind the name where there is one name for all.
func (p part) suffix() string { return [...]string{"", ".count", ".sum", "", ".count", ""}[p] }

// isLevel tells whether the number is as it is, and does not grow.
func (p part) isLevel() bool { return p >= level }

// point is one number of a series on its way out. bound-base is what is sent; of a level bound
// alone is.
type point struct {
	series  *metric.Series
	part    part
	kind    byte    // on the wire of StatsD
	scale   float64 // of what is sent, to the unit of whoever counted it
	shard   uint8   // which of the export's states has it
	id      string  // over restarts, see pointID
	text    text
	stat    string  // of a stat, its name
	mate    *point  // of a sum: the count that goes with it
	now     float64 // the value when last gathered
	bound   float64 // the value at the last boundary of windows
	base    float64 // the value up to which all was sent, or given up
	sent    float64 // if parted: the value up to which a part of the window was sent that has not ended
	parted  bool
	silent  uint64 // how many windows in a row brought nothing
	changed int64  // of a level that was sent or waits for it: when the series had changed, Unix seconds
	pending bool   // bound-base waits to be sent
	round   uint64 // of the last gathering that saw the series
}

type pointKey struct {
	series *metric.Series
	part   part
}

// compareText orders points so that those that look alike on the wire are neighbours.
func compareText(a, b *point) int {
	return cmp.Or(strings.Compare(a.text.name, b.text.name), strings.Compare(a.text.tags, b.text.tags), cmp.Compare(a.part, b.part), strings.Compare(a.stat, b.stat))
}

// give says that what stands between the baseline and v is not sent any more, and returns how
// many records that are. The sum of a histogram is about records that its count has counted already.
func (p *point) give(v float64) float64 {
	from := p.base
	if p.parted {
		from = p.sent
	}
	p.base, p.parted = v, false
	if n := v - from; p.part != sum && n > 0 {
		return n
	}
	return 0
}

// valueOf returns what points that look alike come to, and whether some of it waits to be sent.
func valueOf(points []*point) (v float64, pending bool) {
	for _, p := range points {
		switch {
		case !p.pending:
		case p.part.isLevel():
			v, pending = p.bound*p.scale, true
		default:
			v, pending = v+(p.bound-p.base)*p.scale, true
		}
	}
	return v, pending
}

// matesOf returns what the counts come to that go with these sums.
func matesOf(points []*point) (n float64) {
	for _, p := range points {
		if p.mate != nil {
			n += p.mate.bound - p.mate.base
		}
	}
	return n
}

// setTime is within which a gauge has the value for which it was made: the next commit sets it.
const setTime = 5 * time.Second

// unset tells whether a level has only been made so far, which is as 0. A source sets its numbers about
// intervals when the first one ends, gauges with its next commit.
func (p *point) unset() bool {
	made := p.series.Created()
	return p.now == 0 && p.series.Changed().Unix() == made.Unix() && (p.part != level || time.Since(made) < setTime)
}

// absent tells whether v is no number that could be sent.
func absent(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
