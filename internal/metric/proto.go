package metric

import (
	"math"

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

// appendProto is Append for the protobuf format. Names are those of the text format: a
// counter's family has its suffix.
func (r *Registry) appendProto(dst []byte) []byte {
	r.Collect()
	var scratch native.Histogram
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.order {
		if len(f.sorted) == 0 && f.overflow == nil {
			continue
		}
		var at int
		dst, at = protobuf.Begin(dst)
		dst = protobuf.AppendText(dst, familyName, f.desc.Name)
		if f.desc.Help != "" {
			dst = protobuf.AppendText(dst, familyHelp, f.desc.Help)
		}
		dst = protobuf.AppendNumber(dst, familyType, f.desc.Kind.protoType())
		for _, s := range f.sorted {
			dst = s.appendProto(dst, &scratch)
		}
		if f.overflow != nil {
			dst = f.overflow.appendProto(dst, &scratch)
		}
		dst = protobuf.Close(dst, at)
	}
	return dst
}

func (s *Series) appendProto(dst []byte, scratch *native.Histogram) []byte {
	dst, at := protobuf.Open(dst, familyMetric)
	dst = s.appendProtoLabels(dst)
	var value int
	switch s.family.desc.Kind {
	case Gauge:
		dst, value = protobuf.Open(dst, metricGauge)
		dst = protobuf.AppendFloat(dst, valueValue, s.Value())
	case Counter:
		dst, value = protobuf.Open(dst, metricCounter)
		dst = protobuf.AppendFloat(dst, valueValue, s.Value())
		dst = s.appendProtoExemplar(dst, counterExemplar, 0)
		dst = s.appendCreated(dst, counterCreated)
	default:
		dst, value = protobuf.Open(dst, metricHistogram)
		if s.ReadNative(scratch) {
			dst = s.appendProtoNative(dst, scratch)
		} else {
			dst = s.appendProtoBuckets(dst)
		}
		dst = s.appendCreated(dst, histogramCreated)
	}
	return protobuf.Close(protobuf.Close(dst, value), at)
}

// appendProtoLabels leaves out empty labels, which are absent ones.
func (s *Series) appendProtoLabels(dst []byte) []byte {
	for _, l := range s.family.reg.constant {
		dst = appendProtoLabel(dst, metricLabel, l.Name, l.Value)
	}
	for i, v := range s.values {
		switch {
		case !s.family.desc.Free:
			dst = appendProtoLabel(dst, metricLabel, s.family.desc.Labels[i], v)
		case i%2 == 1:
			dst = appendProtoLabel(dst, metricLabel, s.values[i-1], v)
		}
	}
	if s.IsOverflow() {
		dst = appendProtoLabel(dst, metricLabel, OverflowLabel, "true")
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
	return appendProtoTime(dst, field, s.created.UnixMilli())
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
func (s *Series) appendProtoNative(dst []byte, h *native.Histogram) []byte {
	dst = appendProtoCount(dst, histogramCount, histogramCountFloat, h.Count)
	if !h.Whole() { // then the buckets are floats as well
		dst = protobuf.AppendFloat(dst, histogramCountFloat, h.Count)
	}
	dst = protobuf.AppendFloat(dst, histogramSum, h.Sum)
	dst, at := protobuf.Open(dst, histogramBucket)
	dst = appendProtoCount(dst, bucketCount, bucketCountFloat, h.Count)
	dst = s.appendProtoExemplar(protobuf.AppendFloat(dst, bucketBound, math.Inf(1)), bucketExemplar, 0) // older readers look here
	dst = native.Append(protobuf.Close(dst, at), native.Exposition, h)
	return s.appendProtoExemplars(dst)
}

func (s *Series) appendProtoBuckets(dst []byte) []byte {
	dst = appendProtoCount(dst, histogramCount, histogramCountFloat, s.Count())
	dst = protobuf.AppendFloat(dst, histogramSum, s.Sum())
	limits := s.family.desc.Buckets
	count := 0.0
	for i := range len(limits) + 1 {
		count += s.Cell(i)
		limit := math.Inf(1)
		if i < len(limits) {
			limit = limits[i]
		}
		var at int
		dst, at = protobuf.Open(dst, histogramBucket)
		dst = appendProtoCount(dst, bucketCount, bucketCountFloat, count)
		dst = s.appendProtoExemplar(protobuf.AppendFloat(dst, bucketBound, limit), bucketExemplar, i)
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
