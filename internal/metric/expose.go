package metric

import (
	"math"
	"strconv"
	"strings"
)

// Format is one in which the numbers are shown.
type Format uint8

// The formats.
const (
	// Text is Prometheus' text format 0.0.4.
	Text Format = iota
	// OpenMetrics is OpenMetrics 1.0.0.
	OpenMetrics
	// Proto is Prometheus' protobuf format, delimited: the one that has the buckets of native
	// histograms.
	Proto
)

// ContentType returns the format's media type.
func (f Format) ContentType() string {
	switch f {
	case OpenMetrics:
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	case Proto:
		return protoMedia + "; proto=" + protoMessage + "; encoding=" + protoEncoding
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// counterSuffix ends the names of counters; in OpenMetrics their families lack it.
const counterSuffix = "_total"

// Append collects, appends the whole registry in a format to dst and returns it. A family
// without series is left out. Cells of durable series are those of one commit throughout.
func (r *Registry) Append(dst []byte, format Format) []byte {
	if format == Proto {
		return r.appendProto(dst)
	}
	return r.AppendText(dst, format)
}

// AppendText is Append for the text formats. They show of a native histogram how many values
// there were and their sum.
func (r *Registry) AppendText(dst []byte, format Format) []byte {
	r.Collect()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.order {
		if len(f.sorted) == 0 && f.overflow == nil {
			continue
		}
		dst = f.appendHead(dst, format)
		for _, s := range f.sorted {
			dst = s.append(dst, format)
		}
		if f.overflow != nil {
			dst = f.overflow.append(dst, format)
		}
	}
	if format == OpenMetrics {
		dst = append(dst, "# EOF\n"...)
	}
	return dst
}

func (f *Family) appendHead(dst []byte, format Format) []byte {
	name, kind := f.desc.Name, f.desc.Kind.String()
	if format == OpenMetrics && f.desc.Kind == Counter {
		if f.untyped {
			kind = "unknown"
		} else {
			name = strings.TrimSuffix(name, counterSuffix)
		}
	}
	if f.desc.Help != "" {
		dst = append(append(append(dst, "# HELP "...), name...), ' ')
		dst = append(appendEscaped(dst, f.desc.Help, format == OpenMetrics), '\n')
	}
	dst = append(append(append(dst, "# TYPE "...), name...), ' ')
	return append(append(dst, kind...), '\n')
}

func (s *Series) append(dst []byte, format Format) []byte {
	name := s.family.desc.Name
	if s.family.desc.Kind != Histogram {
		dst = AppendValue(append(append(append(dst, name...), s.text...), ' '), s.Cell(0))
		if s.family.desc.Kind == Counter && !s.family.untyped {
			dst = s.appendExemplar(dst, 0, format)
		}
		return append(dst, '\n')
	}
	open := "{" // of the labels before le
	if s.text != "" {
		open = s.text[:len(s.text)-1]
	}
	count, sparse := 0.0, s.native() != nil
	if sparse {
		count = s.Count()
	}
	for i, le := range s.family.buckets[format] {
		if !sparse {
			count += s.Cell(i)
		}
		dst = append(append(append(dst, name...), "_bucket"...), open...)
		if s.text != "" {
			dst = append(dst, ',')
		}
		dst = append(append(dst, le...), "} "...)
		dst = append(s.appendExemplar(AppendValue(dst, count), i, format), '\n')
	}
	dst = append(append(append(dst, name...), "_sum"...), s.text...)
	dst = append(AppendValue(append(dst, ' '), s.Sum()), '\n')
	dst = append(append(append(dst, name...), "_count"...), s.text...)
	return append(AppendValue(append(dst, ' '), count), '\n')
}

// maxPlain is the bound below which every integer is a float64 and prints as one.
const maxPlain = 1 << 53

// AppendValue appends v as the text formats have it: an integer plainly, anything else in
// the shortest form that reads back as v.
func AppendValue(dst []byte, v float64) []byte {
	switch {
	case v == math.Trunc(v) && math.Abs(v) < maxPlain:
		return strconv.AppendInt(dst, int64(v), 10)
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendEscaped appends s with backslashes and line feeds escaped, and quotes if asked.
func appendEscaped(dst []byte, s string, quotes bool) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\\', c == '"' && quotes:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// labelText returns the labels of a series as every exposition has them, so that it is
// made once. Nil values are those of the overflow series.
func (f *Family) labelText(values []string) string {
	var b []byte
	label := func(name, value string) {
		b = append(append(append(b, ','), name...), `="`...)
		b = append(appendEscaped(b, value, true), '"')
	}
	for _, l := range f.reg.constant {
		label(l.Name, l.Value)
	}
	for i, v := range values {
		switch {
		case !f.desc.Free:
			label(f.desc.Labels[i], v)
		case i%2 == 1:
			label(values[i-1], v)
		}
	}
	if values == nil {
		label(OverflowLabel, "true")
	}
	if len(b) == 0 {
		return ""
	}
	b[0] = '{'
	return string(append(b, '}'))
}

// bucketLabels returns the le labels of a histogram, +Inf last, by Format.
func bucketLabels(limits []float64) (le [2][]string) {
	for _, limit := range limits {
		text := formatLimit(limit)
		le[Text] = append(le[Text], `le="`+text+`"`)
		if !strings.ContainsAny(text, ".e") {
			text += ".0" // OpenMetrics wants to see that it is a float
		}
		le[OpenMetrics] = append(le[OpenMetrics], `le="`+text+`"`)
	}
	for format := range le {
		le[format] = append(le[format], `le="+Inf"`)
	}
	return le
}

func formatLimit(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
