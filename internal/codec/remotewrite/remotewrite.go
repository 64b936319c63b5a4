// Package remotewrite writes the bodies of Prometheus' remote write: prometheus.WriteRequest
// of version 1 and io.prometheus.write.v2.Request of version 2, before they are packed.
//
//	var w remotewrite.V2
//	w.Add(&series)
//	body := w.Body() // valid until the next Reset
//	w.Reset()
//
// The zero value of V1 and V2 is ready; each belongs to one goroutine and keeps its memory.
// The package leaves out packing and HTTP. What reads the bytes again is for tests:
// remotewritetest.
package remotewrite

import (
	"encoding/binary"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/codec/protobuf"
)

// Label is a name and a value.
type Label struct{ Name, Value string }

// Sample is a value at a time in Unix milliseconds.
type Sample struct {
	Time  int64
	Value float64
}

// Histogram is a native histogram at a time in Unix milliseconds.
type Histogram struct {
	Time  int64
	Value native.Histogram
}

// Exemplar is a value that samples count, with labels that lead to where it comes from.
type Exemplar struct {
	Labels []Label // sorted by name
	Value  float64
	Time   int64
}

// Type is what kind of metric a series belongs to, as version 2 numbers them.
type Type uint64

// The types that weir has.
const (
	Unknown Type = iota
	Counter
	Gauge
	HistogramType
)

// Series is one series with samples in the order of time: values, or native histograms. Version
// 1 has neither Type nor Help nor Start.
type Series struct {
	Labels     []Label // sorted by name
	Samples    []Sample
	Histograms []Histogram
	Exemplars  []Exemplar
	Type       Type
	Help       string
	// Start is when a counter began, in Unix milliseconds; 0 where that is not known. It is
	// left out of samples that are older.
	Start int64
}

// The fields of both versions.
const (
	v1Series, v1Labels, v1Samples, v1Exemplars, v1Histograms = 1, 1, 2, 3, 4
	labelName, labelValue                                    = 1, 2
	sampleValue, sampleTime, sampleStart                     = 1, 2, 3
	exemplarLabels, exemplarValue, exemplarTime              = 1, 2, 3
	countWhole, countFloat, histogramSum                     = 1, 2, 3
	histogramTime, histogramStart                            = 15, 17
	v2Symbols, v2Series                                      = 4, 5
	v2LabelRefs, v2Samples, v2Histograms, v2Exemplars        = 1, 2, 3, 4
	v2Metadata                                               = 5
	metadataType, metadataHelp                               = 1, 3
)

// V1 writes a prometheus.WriteRequest.
type V1 struct{ body []byte }

// Reset begins a new body.
func (w *V1) Reset() { w.body = w.body[:0] }

// Body returns what was added. It is valid until Reset.
func (w *V1) Body() []byte { return w.body }

// Add appends a series.
func (w *V1) Add(s *Series) {
	b, series := w.begin(s)
	for _, sample := range s.Samples {
		var at int
		b, at = protobuf.Open(b, v1Samples)
		b = protobuf.Close(appendSample(b, sample), at)
	}
	for i := range s.Histograms {
		var at int
		b, at = protobuf.Open(b, v1Histograms)
		b = protobuf.Close(appendHistogram(b, &s.Histograms[i]), at)
	}
	if len(s.Histograms) > 0 && len(s.Exemplars) > 0 {
		// Prometheus looks at exemplars before histograms, and does not know the series yet.
		w.body = protobuf.Close(b, series)
		b, series = w.begin(s)
	}
	for _, e := range s.Exemplars {
		var at int
		b, at = protobuf.Open(b, v1Exemplars)
		for _, l := range e.Labels {
			b = appendLabel(b, exemplarLabels, l)
		}
		b = protobuf.AppendFloat(b, exemplarValue, e.Value)
		b = protobuf.Close(protobuf.AppendNumber(b, exemplarTime, uint64(e.Time)), at)
	}
	w.body = protobuf.Close(b, series)
}

// begin opens a series with its labels.
func (w *V1) begin(s *Series) (b []byte, at int) {
	b, at = protobuf.Open(w.body, v1Series)
	for _, l := range s.Labels {
		b = appendLabel(b, v1Labels, l)
	}
	return b, at
}

func appendLabel(dst []byte, field uint32, l Label) []byte {
	dst, at := protobuf.Open(dst, field)
	return protobuf.Close(protobuf.AppendText(protobuf.AppendText(dst, labelName, l.Name), labelValue, l.Value), at)
}

// V2 writes an io.prometheus.write.v2.Request.
type V2 struct {
	known   map[string]uint64 // texts by their places among the symbols
	symbols []byte            // as fields of the body
	all     []byte            // the series, as fields of the body
	body    []byte
}

// Reset begins a new body.
func (w *V2) Reset() {
	clear(w.known)
	w.symbols, w.all = w.symbols[:0], w.all[:0]
}

// Body returns what was added. It is valid until Reset or Add.
func (w *V2) Body() []byte {
	w.symbol("")
	w.body = append(append(w.body[:0], w.symbols...), w.all...)
	return w.body
}

// symbol returns the place of a text. The first is the empty one, as the receiver expects.
func (w *V2) symbol(text string) uint64 {
	if w.known == nil {
		w.known = map[string]uint64{}
	}
	if len(w.known) == 0 {
		w.known[""] = 0
		w.symbols = protobuf.AppendText(w.symbols, v2Symbols, "")
	}
	ref, ok := w.known[text]
	if !ok {
		ref = uint64(len(w.known))
		w.known[text] = ref
		w.symbols = protobuf.AppendText(w.symbols, v2Symbols, text)
	}
	return ref
}

// Add appends a series.
func (w *V2) Add(s *Series) {
	b, series := protobuf.Open(w.all, v2Series)
	b = w.appendLabels(b, v2LabelRefs, s.Labels)
	var at int
	for _, sample := range s.Samples {
		b, at = protobuf.Open(b, v2Samples)
		b = appendSample(b, sample)
		b = protobuf.Close(s.appendStart(b, sampleStart, sample.Time), at)
	}
	for i := range s.Histograms {
		b, at = protobuf.Open(b, v2Histograms)
		b = appendHistogram(b, &s.Histograms[i])
		b = protobuf.Close(s.appendStart(b, histogramStart, s.Histograms[i].Time), at)
	}
	for _, e := range s.Exemplars {
		b, at = protobuf.Open(b, v2Exemplars)
		b = w.appendLabels(b, exemplarLabels, e.Labels)
		b = protobuf.AppendFloat(b, exemplarValue, e.Value)
		b = protobuf.Close(protobuf.AppendNumber(b, exemplarTime, uint64(e.Time)), at)
	}
	b, at = protobuf.Open(b, v2Metadata)
	b = protobuf.AppendNumber(b, metadataType, uint64(s.Type))
	if s.Help != "" {
		b = protobuf.AppendNumber(b, metadataHelp, w.symbol(s.Help))
	}
	w.all = protobuf.Close(protobuf.Close(b, at), series)
}

// appendLabels appends labels as places of symbols.
func (w *V2) appendLabels(dst []byte, field uint32, labels []Label) []byte {
	dst, at := protobuf.Open(dst, field)
	for _, l := range labels {
		dst = binary.AppendUvarint(dst, w.symbol(l.Name))
		dst = binary.AppendUvarint(dst, w.symbol(l.Value))
	}
	return protobuf.Close(dst, at)
}

// appendStart appends when counting began, to a sample that is not older.
func (s *Series) appendStart(dst []byte, field uint32, time int64) []byte {
	if s.Start == 0 || s.Start > time {
		return dst
	}
	return protobuf.AppendNumber(dst, field, uint64(s.Start))
}

// appendSample appends what both versions have of a sample.
func appendSample(dst []byte, s Sample) []byte {
	return protobuf.AppendNumber(protobuf.AppendFloat(dst, sampleValue, s.Value), sampleTime, uint64(s.Time))
}

// appendHistogram appends what both versions have of a native histogram.
func appendHistogram(dst []byte, h *Histogram) []byte {
	if h.Value.Whole() {
		dst = protobuf.AppendNumber(dst, countWhole, uint64(h.Value.Count))
	} else {
		dst = protobuf.AppendFloat(dst, countFloat, h.Value.Count)
	}
	dst = protobuf.AppendFloat(dst, histogramSum, h.Value.Sum)
	dst = native.Append(dst, native.RemoteWrite, &h.Value)
	return protobuf.AppendNumber(dst, histogramTime, uint64(h.Time))
}
