// Package remotewrite writes the bodies of Prometheus' remote write: prometheus.WriteRequest
// of version 1 and io.prometheus.write.v2.Request of version 2, before they are packed.
//
//	var w remotewrite.V2
//	w.Add(&series)
//	body := w.Body() // valid until the next Reset
//	w.Reset()
//
// The zero value of V1 and V2 is ready; each belongs to one goroutine and keeps its memory.
// The package leaves out packing, HTTP, exemplars and native histograms. What reads the
// bodies again is for tests: remotewritetest.
package remotewrite

import (
	"encoding/binary"
	"math"
)

// Label is a name and a value.
type Label struct{ Name, Value string }

// Sample is a value at a time in Unix milliseconds.
type Sample struct {
	Time  int64
	Value float64
}

// Type is what kind of metric a series belongs to, as version 2 numbers them.
type Type uint64

// The types that weir has.
const (
	Unknown Type = iota
	Counter
	Gauge
	Histogram
)

// Series is one series with samples in the order of time. Version 1 has its labels and
// samples alone.
type Series struct {
	Labels  []Label // sorted by name
	Samples []Sample
	Type    Type
	Help    string
	// Start is when a counter began, in Unix milliseconds; 0 where that is not known. It is
	// left out of samples that are older.
	Start int64
}

// The wire types of protobuf.
const (
	varint = 0
	fixed  = 1
	packed = 2 // bytes with their length before them
)

// The fields of both versions.
const (
	v1Series, v1Labels, v1Samples        = 1, 1, 2
	labelName, labelValue                = 1, 2
	sampleValue, sampleTime, sampleStart = 1, 2, 3
	v2Symbols, v2Series                  = 4, 5
	v2LabelRefs, v2Samples, v2Metadata   = 1, 2, 5
	metadataType, metadataHelp           = 1, 3
)

// V1 writes a prometheus.WriteRequest.
type V1 struct {
	body   []byte
	series []byte // the one that is written
	part   []byte
}

// Reset begins a new body.
func (w *V1) Reset() { w.body = w.body[:0] }

// Body returns what was added. It is valid until Reset.
func (w *V1) Body() []byte { return w.body }

// Add appends a series.
func (w *V1) Add(s *Series) {
	w.series = w.series[:0]
	for _, l := range s.Labels {
		w.part = appendText(appendText(w.part[:0], labelName, l.Name), labelValue, l.Value)
		w.series = appendBytes(w.series, v1Labels, w.part)
	}
	for _, sample := range s.Samples {
		w.part = appendSample(w.part[:0], sample)
		w.series = appendBytes(w.series, v1Samples, w.part)
	}
	w.body = appendBytes(w.body, v1Series, w.series)
}

// V2 writes an io.prometheus.write.v2.Request.
type V2 struct {
	known   map[string]uint64 // texts by their places among the symbols
	symbols []byte            // as fields of the body
	all     []byte            // the series, as fields of the body
	body    []byte
	series  []byte // the one that is written
	part    []byte
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
		w.symbols = appendText(w.symbols, v2Symbols, "")
	}
	ref, ok := w.known[text]
	if !ok {
		ref = uint64(len(w.known))
		w.known[text] = ref
		w.symbols = appendText(w.symbols, v2Symbols, text)
	}
	return ref
}

// Add appends a series.
func (w *V2) Add(s *Series) {
	w.part = w.part[:0]
	for _, l := range s.Labels {
		w.part = binary.AppendUvarint(w.part, w.symbol(l.Name))
		w.part = binary.AppendUvarint(w.part, w.symbol(l.Value))
	}
	w.series = appendBytes(w.series[:0], v2LabelRefs, w.part)
	for _, sample := range s.Samples {
		w.part = appendSample(w.part[:0], sample)
		if s.Start != 0 && s.Start <= sample.Time {
			w.part = appendNumber(w.part, sampleStart, uint64(s.Start))
		}
		w.series = appendBytes(w.series, v2Samples, w.part)
	}
	w.part = appendNumber(w.part[:0], metadataType, uint64(s.Type))
	if s.Help != "" {
		w.part = appendNumber(w.part, metadataHelp, w.symbol(s.Help))
	}
	w.series = appendBytes(w.series, v2Metadata, w.part)
	w.all = appendBytes(w.all, v2Series, w.series)
}

// appendSample writes what both versions have of a sample.
func appendSample(dst []byte, s Sample) []byte {
	dst = append(dst, sampleValue<<3|fixed)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Value))
	return appendNumber(dst, sampleTime, uint64(s.Time))
}

func appendNumber(dst []byte, field byte, n uint64) []byte {
	return binary.AppendUvarint(append(dst, field<<3|varint), n)
}

func appendBytes(dst []byte, field byte, b []byte) []byte {
	return append(binary.AppendUvarint(append(dst, field<<3|packed), uint64(len(b))), b...)
}

func appendText(dst []byte, field byte, text string) []byte {
	return append(binary.AppendUvarint(append(dst, field<<3|packed), uint64(len(text))), text...)
}
