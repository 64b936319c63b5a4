package otlp

import (
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// How much of what senders say is kept.
const (
	// maxName is how long the name of a metric may be, and maxHelp where its description is cut.
	maxName = 1 << 10
	maxHelp = 1 << 10
	// maxText is where the name or the value of a label is cut.
	maxText = 1 << 10
	// maxLabelBytes is how long the labels of a series may be together.
	maxLabelBytes = 16 << 10
	// seriesBytes is how much memory series have that may be: so many bytes each, and spareBytes,
	// all of them together.
	seriesBytes = 4 << 10
	spareBytes  = 1 << 20
)

// What a series, a family, a cell and a bucket take, about, beside what they are called.
const (
	eachBytes   = 512
	limitBytes  = 100 // of a histogram's limit: it is written in two formats
	cellsBytes  = 32  // in the registry, in a track and in its state
	bucketBytes = 50  // the same; half of those that there may be are
	keyCopies   = 3
)

// extent is what a family takes.
type extent struct {
	series int // that it has
	bytes  int // of the family alone
}

// extentOf returns what a family takes, and a series of it whose name and labels have that length.
func (n *numbers) extentOf(f *metric.Family, key int) (family, series int) {
	d := f.Desc()
	family = eachBytes + 2*len(d.Name) + len(d.Help) + limitBytes*len(d.Buckets)
	series = eachBytes + keyCopies*key + cellsBytes
	switch {
	case d.Native != nil:
		series += bucketBytes * n.cfg.MaxBuckets
	case d.Kind == metric.Histogram:
		series += cellsBytes * (len(d.Buckets) + 1)
	}
	return family, series
}

// newSeries returns a series that f does not have yet.
func (n *numbers) newSeries(f *metric.Family, values []string) (*metric.Series, error) {
	length := len(f.Name()) + 1
	for _, v := range values {
		length += len(v) + 1
	}
	if length > maxLabelBytes {
		return nil, errLabels
	}
	family, series := n.extentOf(f, length)
	if n.families[f] == nil {
		series += family
	}
	if len(n.tracks) >= n.cfg.MaxSeries || n.bytes+series > seriesBytes*n.cfg.MaxSeries+spareBytes {
		return nil, errSeries
	}
	s := f.Within(values...)
	if s == nil {
		return nil, errSeries
	}
	return s, nil
}

// track begins to follow a series.
func (n *numbers) track(key string, s *metric.Series) {
	f := s.Family()
	family, series := n.extentOf(f, len(key))
	has := n.families[f]
	if has == nil {
		has = &extent{bytes: family}
		n.families[f] = has
		n.bytes += family
	}
	has.series++
	n.bytes += series
	n.tracks[key] = &track{series: s, key: key, state: stateKey(key), bytes: series, used: time.Now().Unix()}
}

// untrack ends that.
func (n *numbers) untrack(t *track) {
	f := t.series.Family()
	delete(n.tracks, t.key)
	n.bytes -= t.bytes
	if has := n.families[f]; has != nil {
		if has.series--; has.series == 0 {
			delete(n.families, f)
			n.bytes -= has.bytes
		}
	}
}
