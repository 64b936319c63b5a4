package remotewrite

import (
	"bytes"
	"context"
	"slices"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/remotewrite"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/tsdb"
)

// encoder writes the body of a request.
type encoder interface {
	Reset()
	Add(s *remotewrite.Series)
	// Body returns what was added since Reset, until the next call.
	Body() []byte
}

// request is one that is ready to be sent.
type request struct {
	body    []byte
	samples int
	oldest  int64 // time of the oldest sample
}

// span is a time from one millisecond to another, both included.
type span struct{ from, until int64 }

// window is the requests for all samples of a time. They are made before any is sent, so
// that the history is not held while a receiver is waited for.
type window struct {
	requests []request

	encoder    encoder
	maxSamples int
	labels     []remotewrite.Label // for all series, sorted by name
	described  map[string]metric.Desc
	detailed   bool // with types and helps
	exemplars  bool // they are sent, too
	histograms bool // native ones are
	series     remotewrite.Series
	now        request // the one that is made
	bytes      int     // about what its body has
	packed     []byte
}

// maxBody bounds a body before it is packed; one series with its samples of a window may
// pass it.
const maxBody = 4 << 20

func newWindow(c Config) window {
	w := window{maxSamples: c.MaxSamples, encoder: new(remotewrite.V1), exemplars: c.SendExemplars, histograms: c.SendNativeHistograms}
	if c.Protocol == V2 {
		w.encoder, w.detailed = new(remotewrite.V2), true
	}
	for name, value := range c.Labels {
		w.labels = append(w.labels, remotewrite.Label{Name: name, Value: value})
	}
	slices.SortFunc(w.labels, byName)
	return w
}

func byName(a, b remotewrite.Label) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

func (w *window) reset() {
	w.requests = w.requests[:0]
	w.begin()
}

// begin begins a request.
func (w *window) begin() {
	w.encoder.Reset()
	w.now, w.bytes = request{}, 0
}

// fill makes the requests for what the history has of a time.
func (w *window) fill(ctx context.Context, d Deps, s span) error {
	w.reset()
	if w.detailed {
		w.described = d.Describe()
	}
	if err := d.History.Read(ctx, s.from, s.until, w.add); err != nil {
		return err
	}
	w.flush()
	return nil
}

// add puts a series into the requests, as many as it takes.
func (w *window) add(s *tsdb.Series) {
	w.series.Labels = w.merge(w.series.Labels[:0], s.Labels)
	if w.detailed {
		desc := w.described[s.Name()]
		w.series.Type, w.series.Help, w.series.Start = remotewrite.Unknown, desc.Help, s.Created
		if desc.Name != "" {
			w.series.Type = types[desc.Kind]
		}
	}
	size := 0
	for _, l := range w.series.Labels {
		size += len(l.Name) + len(l.Value)
	}
	histograms := s.Histograms
	if !w.histograms {
		histograms = nil
	}
	exemplars := w.convert(s.Exemplars)
	for rest := s.Samples; len(rest) > 0; {
		n := w.room(len(rest))
		for _, x := range rest[:n] {
			w.series.Samples = append(w.series.Samples, remotewrite.Sample(x))
		}
		if n == len(rest) && len(histograms) == 0 {
			w.series.Exemplars = exemplars
		}
		w.put(rest[0].Time, n, size+n*sampleBytes)
		rest = rest[n:]
	}
	for rest := histograms; len(rest) > 0; {
		n, bytes := w.room(len(rest)), size
		for _, x := range rest[:n] {
			w.series.Histograms = append(w.series.Histograms, remotewrite.Histogram(x))
			bytes += histogramBytes + bucketBytes*(len(x.Value.Positive.Counts)+len(x.Value.Negative.Counts))
		}
		if n == len(rest) {
			w.series.Exemplars = exemplars
		}
		w.put(rest[0].Time, n, bytes)
		rest = rest[n:]
	}
}

// About what parts of a body take.
const (
	sampleBytes    = 20
	histogramBytes = 60
	bucketBytes    = 10
)

// room makes room for some of n samples in the request, and returns for how many.
func (w *window) room(n int) int {
	if w.now.samples >= w.maxSamples || w.bytes > maxBody {
		w.flush()
	}
	w.series.Samples, w.series.Histograms, w.series.Exemplars = w.series.Samples[:0], w.series.Histograms[:0], nil
	return min(n, w.maxSamples-w.now.samples)
}

// put adds a piece of a series to the request, of so many samples from oldest on.
func (w *window) put(oldest int64, samples, bytes int) {
	w.encoder.Add(&w.series)
	if w.now.samples == 0 || oldest < w.now.oldest {
		w.now.oldest = oldest
	}
	w.now.samples += samples
	w.bytes += bytes
}

// convert returns exemplars as they are sent, none where they are not.
func (w *window) convert(all []tsdb.Exemplar) (sent []remotewrite.Exemplar) {
	if !w.exemplars {
		return nil
	}
	for _, e := range all {
		x := remotewrite.Exemplar{Value: e.Value, Time: e.Time}
		for _, l := range e.Labels {
			x.Labels = append(x.Labels, remotewrite.Label(l))
		}
		sent = append(sent, x)
	}
	return sent
}

// types are those of the registry's families.
var types = map[metric.Kind]remotewrite.Type{
	metric.Counter: remotewrite.Counter, metric.Gauge: remotewrite.Gauge, metric.Histogram: remotewrite.HistogramType,
}

// merge appends the labels of a series, and those for all that it does not have.
func (w *window) merge(dst []remotewrite.Label, own []tsdb.Label) []remotewrite.Label {
	extra := w.labels
	for _, l := range own {
		for len(extra) > 0 && extra[0].Name <= l.Name {
			if extra[0].Name < l.Name {
				dst = append(dst, extra[0])
			}
			extra = extra[1:]
		}
		dst = append(dst, remotewrite.Label(l))
	}
	return append(dst, extra...)
}

// flush ends the request that is made.
func (w *window) flush() {
	if w.now.samples > 0 {
		w.packed = compress.AppendSnappy(w.packed[:0], w.encoder.Body())
		w.now.body = bytes.Clone(w.packed) // packing takes more room than it leaves
		w.requests = append(w.requests, w.now)
	}
	w.begin()
}
