package metric

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/codec/native"
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

// shot is what an exposition shows: the series in order, and the cells of all that they had at one
// moment. To make it takes a moment, too, so that commits wait neither for the text nor for
// who reads it.
type shot struct {
	series  []*Series
	values  []float64
	untyped []*Family // those that are, in order
	// natives are the native histograms among the series, exemplified those with exemplars.
	natives     []native.Histogram
	counts      []float64 // of their buckets
	spans       []native.Span
	exemplified []exemplified

	// Where the text has come to.
	next, value, passed int // passed: of untyped
	native, exemplar    int
	family              *Family
	name                []byte // its
}

// exemplified is a series with its exemplars, which stay as they are.
type exemplified struct {
	series *Series
	all    []Exemplar
}

// shown is a series with what it has at the moment.
type shown struct {
	series    *Series
	name      []byte // of its family
	cells     []float64
	native    *native.Histogram // nil: it is none
	exemplars []Exemplar
	untyped   bool // OpenMetrics has no name for the type of its family
}

// maxSpareShot is for how many values a shot's memory is kept for the next exposition, however many that has.
const maxSpareShot = 16 << 10

// maxSpareCounts is for how many buckets of native histograms it is kept.
const maxSpareCounts = 128 << 10

// shoot collects and returns what there is, until it is given to free.
func (r *Registry) shoot() *shot {
	r.Collect()
	t := r.spare.Swap(nil)
	if t == nil {
		t = new(shot)
	}
	writing := r.lockOrdered()
	defer r.unlockOrdered(writing)
	t.series, t.values = slices.Grow(t.series, len(r.order)), slices.Grow(t.values, len(r.order))
	for _, f := range r.order {
		if f.fate&untyped != 0 {
			t.untyped = append(t.untyped, f)
		}
		if f.many == nil {
			if f.first.family != nil {
				t.add(&f.first)
			}
			continue
		}
		for _, s := range f.many.sorted {
			t.add(s)
		}
		if f.many.overflow != nil {
			t.add(f.many.overflow)
		}
	}
	return t
}

func (t *shot) add(s *Series) {
	if s.IsUnset() {
		return
	}
	t.series = append(t.series, s)
	t.addMore(s)
	t.values = append(t.values, s.Value())
	for i := 1; i < s.Cells(); i++ {
		t.values = append(t.values, s.Cell(i))
	}
}

// addMore adds what few series have.
func (t *shot) addMore(s *Series) {
	if n := s.native(); n != nil {
		t.addNative(s, n)
	}
	if r := s.family.shape.reg; len(r.exemplars) > 0 {
		if all := r.exemplars[s]; len(all) > 0 {
			t.exemplified = append(t.exemplified, exemplified{s, all})
		}
	}
}

// wasteful tells whether memory is more than may be spare, and little of it was used.
func wasteful(room, used, spare int) bool { return room > spare && used < room/4 }

// free gives t back, without what would keep series from being freed.
func (r *Registry) free(t *shot) {
	if wasteful(cap(t.values), len(t.values), maxSpareShot) || wasteful(cap(t.counts), len(t.counts), maxSpareCounts) {
		return
	}
	clear(t.series)
	clear(t.untyped)
	clear(t.exemplified)
	clear(t.natives) // they may have memory of before there was more
	*t = shot{
		series: t.series[:0], values: t.values[:0], untyped: t.untyped[:0],
		natives: t.natives[:0], counts: t.counts[:0], spans: t.spans[:0], exemplified: t.exemplified[:0], name: t.name[:0],
	}
	r.spare.Store(t)
}

// AppendText collects, appends the whole registry in a format to dst and returns it. A
// family without series is left out. Cells of durable series are those of one commit
// throughout. The text formats show of a native histogram how many values there were and
// their sum.
func (r *Registry) AppendText(dst []byte, format Format) []byte {
	t := r.shoot()
	defer r.free(t)
	for t.next < len(t.series) {
		dst = t.appendNext(dst, format)
	}
	return appendEnd(dst, format)
}

// WriteText is AppendText for who passes the text on: it writes pieces of it, which hold until write
// returns. All but the last are a series more than buf has room for, at most. It ends at write's first error.
func (r *Registry) WriteText(write func([]byte) error, buf []byte, format Format) error {
	t := r.shoot()
	defer r.free(t)
	most := cap(buf)
	buf = buf[:0]
	for t.next < len(t.series) {
		if buf = t.appendNext(buf, format); len(buf) < most {
			continue
		}
		if err := write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	return write(appendEnd(buf, format))
}

func appendEnd(dst []byte, format Format) []byte {
	if format == OpenMetrics {
		dst = append(dst, "# EOF\n"...)
	}
	return dst
}

// appendNext appends the next series, and before the first of a family what tells of that; of
// Proto a whole family, which says how long it is before it begins.
func (t *shot) appendNext(dst []byte, format Format) []byte {
	if format == Proto {
		return t.appendProto(dst)
	}
	last := t.family
	s := t.take()
	if t.family != last {
		dst = s.appendHead(dst, format)
	}
	return s.append(dst, format)
}

// take returns the next series.
func (t *shot) take() (s shown) {
	s.series = t.series[t.next]
	t.next++
	f := s.series.family
	if f != t.family {
		t.family, t.name = f, f.AppendName(t.name[:0])
		for t.passed < len(t.untyped) && compareNames(t.untyped[t.passed], f) < 0 {
			t.passed++
		}
	}
	s.name = t.name
	s.untyped = t.passed < len(t.untyped) && t.untyped[t.passed] == f
	n := s.series.Cells()
	s.cells = t.values[t.value : t.value+n]
	t.value += n
	if s.series.native() != nil {
		s.native = &t.natives[t.native]
		t.native++
	}
	if t.exemplar < len(t.exemplified) && t.exemplified[t.exemplar].series == s.series {
		s.exemplars = t.exemplified[t.exemplar].all
		t.exemplar++
	}
	return s
}

// appendHead appends what tells of the family.
func (t *shown) appendHead(dst []byte, format Format) []byte {
	f, name := t.series.family, t.name
	d := &f.shape.desc
	kind := d.Kind.String()
	if format == OpenMetrics && d.Kind == Counter {
		if t.untyped {
			kind = "unknown"
		} else {
			name = bytes.TrimSuffix(name, []byte(counterSuffix))
		}
	}
	if subject := f.Subject(); d.Help != "" || subject != "" {
		dst = append(append(append(dst, "# HELP "...), name...), ' ')
		dst = appendEscaped(dst, d.Help, format == OpenMetrics)
		if subject != "" {
			dst = append(appendEscaped(append(dst, ' '), subject, format == OpenMetrics), '.')
		}
		dst = append(dst, '\n')
	}
	dst = append(append(append(dst, "# TYPE "...), name...), ' ')
	return append(append(dst, kind...), '\n')
}

// append appends the samples of a series.
func (t *shown) append(dst []byte, format Format) []byte {
	s, f := t.series, t.series.family
	if f.shape.desc.Kind != Histogram {
		dst = s.appendLabels(append(dst, t.name...), "")
		dst = AppendValue(append(dst, ' '), t.cells[0])
		if f.shape.desc.Kind == Counter && !t.untyped {
			dst = t.appendExemplar(dst, 0, format)
		}
		return append(dst, '\n')
	}
	count := 0.0
	for i, le := range f.shape.buckets[format] {
		if t.native != nil {
			count = t.native.Count
		} else {
			count += t.cells[i]
		}
		dst = s.appendLabels(append(append(dst, t.name...), "_bucket"...), le)
		dst = append(t.appendExemplar(AppendValue(append(dst, ' '), count), i, format), '\n')
	}
	dst = s.appendLabels(append(append(dst, t.name...), "_sum"...), "")
	dst = append(AppendValue(append(dst, ' '), t.cells[len(t.cells)-1]), '\n')
	dst = s.appendLabels(append(append(dst, t.name...), "_count"...), "")
	return append(AppendValue(append(dst, ' '), count), '\n')
}

// appendLabels appends all labels of s and a last one, which may be none, with braces.
func (s *Series) appendLabels(dst []byte, last string) []byte {
	f, joined := s.family, s.key()
	open := len(dst)
	dst = append(append(dst, ','), f.shape.reg.labels...)
	if f.shape.reg.labels == "" {
		dst = dst[:open]
	}
	d := &f.shape.desc
	var name, value string
	switch {
	case joined == overflowKey:
		dst = append(dst, `,overflow="true"`...)
	case d.Free:
		for joined != "" {
			name, joined, _ = strings.Cut(joined, separator)
			value, joined, _ = strings.Cut(joined, separator)
			dst = appendLabel(append(dst, ','), name, value)
		}
	default:
		for _, name = range d.Labels {
			value, joined, _ = strings.Cut(joined, separator)
			dst = appendLabel(append(dst, ','), name, value)
		}
	}
	if last != "" {
		dst = append(append(dst, ','), last...)
	}
	if len(dst) == open {
		return dst
	}
	dst[open] = '{'
	return append(dst, '}')
}

func appendLabel(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), `="`...)
	return append(appendEscaped(dst, value, true), '"')
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
	plain := 0 // what is not appended yet and needs no escape
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\n':
			dst = append(append(dst, s[plain:i]...), `\n`...)
		case c == '\\', c == '"' && quotes:
			dst = append(append(dst, s[plain:i]...), '\\', c)
		default:
			continue
		}
		plain = i + 1
	}
	return append(dst, s[plain:]...)
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
