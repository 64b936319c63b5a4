package metric

import (
	"math"
	"strings"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/codec/protobuf"
)

// The media type of Proto, with its parameters.
const (
	protoMedia    = "application/vnd.google.protobuf"
	protoMessage  = "io.prometheus.client.MetricFamily"
	protoEncoding = "delimited"
)

// The fields of io.prometheus.client's messages.
const (
	familyName, familyHelp, familyType, familyMetric        = 1, 2, 3, 4
	metricLabel, metricGauge, metricCounter                 = 1, 2, 3
	metricHistogram                                         = 7
	labelName, labelValue                                   = 1, 2
	valueValue, counterExemplar, counterCreated             = 1, 2, 3
	histogramCount, histogramSum, histogramBucket           = 1, 2, 3
	histogramCountFloat, histogramCreated                   = 4, 15
	histogramExemplar                                       = 16
	bucketCount, bucketBound, bucketExemplar                = 1, 2, 3
	bucketCountFloat                                        = 4
	exemplarLabel, exemplarValue, exemplarTime              = 1, 2, 3
	timeSeconds, timeNanos                                  = 1, 2
	protoCounter, protoGauge, protoHistogram         uint64 = 0, 1, 4
)

// protoType returns the kind as the format numbers it.
func (k Kind) protoType() uint64 { return [...]uint64{protoCounter, protoGauge, protoHistogram}[k] }

// appendProto appends the next family in the protobuf format. Names are those of the text
// format: a counter's has its suffix.
func (t *shot) appendProto(dst []byte) []byte {
	f := t.series[t.next].family
	dst, at := protobuf.Begin(dst)
	dst, name := protobuf.Open(dst, familyName)
	dst = protobuf.Close(f.AppendName(dst), name)
	d := &f.shape.desc
	if subject := f.Subject(); d.Help != "" || subject != "" {
		var help int
		dst, help = protobuf.Open(dst, familyHelp)
		dst = append(dst, d.Help...)
		if subject != "" {
			dst = append(append(append(dst, ' '), subject...), '.')
		}
		dst = protobuf.Close(dst, help)
	}
	dst = protobuf.AppendNumber(dst, familyType, d.Kind.protoType())
	for t.next < len(t.series) && t.series[t.next].family == f {
		s := t.take()
		dst = s.appendProto(dst)
	}
	return protobuf.Close(dst, at)
}

func (t *shown) appendProto(dst []byte) []byte {
	dst, at := protobuf.Open(dst, familyMetric)
	dst = t.series.appendProtoLabels(dst)
	var value int
	switch t.series.family.shape.desc.Kind {
	case Gauge:
		dst, value = protobuf.Open(dst, metricGauge)
		dst = protobuf.AppendFloat(dst, valueValue, t.cells[0])
	case Counter:
		dst, value = protobuf.Open(dst, metricCounter)
		dst = protobuf.AppendFloat(dst, valueValue, t.cells[0])
		dst = t.appendProtoExemplar(dst, counterExemplar, 0)
		dst = t.series.appendCreated(dst, counterCreated)
	default:
		dst, value = protobuf.Open(dst, metricHistogram)
		if t.native != nil {
			dst = t.appendProtoNative(dst)
		} else {
			dst = t.appendProtoBuckets(dst)
		}
		dst = t.series.appendCreated(dst, histogramCreated)
	}
	return protobuf.Close(protobuf.Close(dst, value), at)
}

// appendProtoLabels leaves out empty labels, which are absent ones.
func (s *Series) appendProtoLabels(dst []byte) []byte {
	d, joined := &s.family.shape.desc, s.key()
	for _, l := range s.family.shape.reg.constant {
		dst = appendProtoLabel(dst, metricLabel, l.Name, l.Value)
	}
	var name, value string
	switch {
	case joined == overflowKey:
		dst = appendProtoLabel(dst, metricLabel, OverflowLabel, "true")
	case d.Free:
		for joined != "" {
			name, joined, _ = strings.Cut(joined, separator)
			value, joined, _ = strings.Cut(joined, separator)
			dst = appendProtoLabel(dst, metricLabel, name, value)
		}
	default:
		for _, name = range d.Labels {
			value, joined, _ = strings.Cut(joined, separator)
			dst = appendProtoLabel(dst, metricLabel, name, value)
		}
	}
	return dst
}

func appendProtoLabel(dst []byte, field uint32, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst, at := protobuf.Open(dst, field)
	return protobuf.Close(protobuf.AppendText(protobuf.AppendText(dst, labelName, name), labelValue, value), at)
}

// appendCreated appends when counting began.
func (s *Series) appendCreated(dst []byte, field uint32) []byte {
	return appendProtoTime(dst, field, s.Created().UnixMilli())
}

// appendProtoTime appends a google.protobuf.Timestamp of Unix milliseconds.
func appendProtoTime(dst []byte, field uint32, ms int64) []byte {
	seconds, rest := ms/1000, ms%1000
	if rest < 0 {
		seconds, rest = seconds-1, rest+1000
	}
	dst, at := protobuf.Open(dst, field)
	dst = protobuf.AppendNumber(dst, timeSeconds, uint64(seconds))
	return protobuf.Close(protobuf.AppendNumber(dst, timeNanos, uint64(rest)*1e6), at)
}

// appendProtoNative appends a native histogram, and beside its buckets one that has
// everything, as the text formats have it.
func (t *shown) appendProtoNative(dst []byte) []byte {
	h := t.native
	dst = appendProtoCount(dst, histogramCount, histogramCountFloat, h.Count)
	if !h.Whole() { // then the buckets are floats as well
		dst = protobuf.AppendFloat(dst, histogramCountFloat, h.Count)
	}
	dst = protobuf.AppendFloat(dst, histogramSum, h.Sum)
	dst, at := protobuf.Open(dst, histogramBucket)
	dst = appendProtoCount(dst, bucketCount, bucketCountFloat, h.Count)
	dst = t.appendProtoExemplar(protobuf.AppendFloat(dst, bucketBound, math.Inf(1)), bucketExemplar, 0) // older readers look here
	dst = native.Append(protobuf.Close(dst, at), native.Exposition, h)
	return t.appendProtoExemplars(dst)
}

func (t *shown) appendProtoBuckets(dst []byte) []byte {
	total := 0.0
	for _, n := range t.cells[:len(t.cells)-1] {
		total += n
	}
	dst = appendProtoCount(dst, histogramCount, histogramCountFloat, total)
	dst = protobuf.AppendFloat(dst, histogramSum, t.cells[len(t.cells)-1])
	limits := t.series.family.shape.desc.Buckets
	count := 0.0
	for i := range len(limits) + 1 {
		count += t.cells[i]
		limit := math.Inf(1)
		if i < len(limits) {
			limit = limits[i]
		}
		var at int
		dst, at = protobuf.Open(dst, histogramBucket)
		dst = appendProtoCount(dst, bucketCount, bucketCountFloat, count)
		dst = t.appendProtoExemplar(protobuf.AppendFloat(dst, bucketBound, limit), bucketExemplar, i)
		dst = protobuf.Close(dst, at)
	}
	return dst
}

// appendProtoCount appends a count. One that is not whole, because samples stand for others,
// has a field of its own, and is rounded for those who do not know it.
func appendProtoCount(dst []byte, field, float uint32, count float64) []byte {
	whole := math.Round(max(count, 0))
	dst = protobuf.AppendNumber(dst, field, uint64(min(whole, math.MaxInt64)))
	if whole != count {
		dst = protobuf.AppendFloat(dst, float, count)
	}
	return dst
}
