package api

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
)

// out is an answer in the making.
type out struct {
	buf   []byte
	none  bool   // there is nothing to answer, not even an empty list
	query string // for the places that annotations name
	notes annotations.Annotations
}

func (o *out) raw(text string) { o.buf = append(o.buf, text...) }

const hexDigits = "0123456789abcdef"

// string writes s as JSON, with what is not UTF-8 replaced.
func (o *out) string(s string) {
	b := append(o.buf, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	o.buf = append(b, '"')
}

func (o *out) strings(list []string) {
	o.raw("[")
	for i, s := range list {
		if i > 0 {
			o.raw(",")
		}
		o.string(s)
	}
	o.raw("]")
}

func (o *out) labels(set labels.Labels) {
	o.raw("{")
	first := true
	set.Range(func(l labels.Label) {
		if !first {
			o.raw(",")
		}
		first = false
		o.string(l.Name)
		o.raw(":")
		o.string(l.Value)
	})
	o.raw("}")
}

// time writes Unix milliseconds as seconds, with three decimals where they are not whole.
func (o *out) time(ms int64) {
	if ms < 0 {
		o.raw("-")
		ms = -ms
	}
	o.buf = strconv.AppendInt(o.buf, ms/1000, 10)
	if rest := ms % 1000; rest != 0 {
		o.buf = append(o.buf, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
}

// The bounds beyond which Prometheus writes a number with an exponent.
const (
	smallest = 1e-6
	greatest = 1e21
)

// point writes a time and a value.
func (o *out) point(ms int64, v float64) {
	o.raw("[")
	o.time(ms)
	o.raw(",")
	o.value(v)
	o.raw("]")
}

// value writes a number as the text that Prometheus makes of it.
func (o *out) value(v float64) {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < smallest || abs >= greatest) {
		format = 'e'
	}
	o.raw(`"`)
	o.buf = append(strconv.AppendFloat(o.buf, v, format, -1, 64), '"')
}

// histogram writes a time and a native histogram, of which empty buckets are left out.
func (o *out) histogram(ms int64, h *histogram.FloatHistogram) {
	o.raw("[")
	o.time(ms)
	o.raw(`,{"count":`)
	o.value(h.Count)
	o.raw(`,"sum":`)
	o.value(h.Sum)
	between := `,"buckets":[`
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		o.raw(between)
		between = ","
		o.raw([...]string{"[2,", "[1,", "[0,", "[3,"}[bit(b.LowerInclusive)|bit(b.UpperInclusive)<<1])
		for i, v := range [...]float64{b.Lower, b.Upper, b.Count} {
			if i > 0 {
				o.raw(",")
			}
			o.value(v)
		}
		o.raw("]")
	}
	if between == "," {
		o.raw("]")
	}
	o.raw("}]")
}

func bit(set bool) int {
	if set {
		return 1
	}
	return 0
}

func (o *out) vector(v promql.Vector) {
	o.raw("[")
	for i := range v {
		if i > 0 {
			o.raw(",")
		}
		o.raw(`{"metric":`)
		o.labels(v[i].Metric)
		if v[i].H != nil {
			o.raw(`,"histogram":`)
			o.histogram(v[i].T, v[i].H)
		} else {
			o.raw(`,"value":`)
			o.point(v[i].T, v[i].F)
		}
		o.raw("}")
	}
	o.raw("]")
}

func (o *out) matrix(m promql.Matrix) {
	o.raw("[")
	for i := range m {
		if i > 0 {
			o.raw(",")
		}
		o.series(&m[i])
	}
	o.raw("]")
}

func (o *out) series(s *promql.Series) {
	o.raw(`{"metric":`)
	o.labels(s.Metric)
	for k, p := range s.Floats {
		if k == 0 {
			o.raw(`,"values":[`)
		} else {
			o.raw(",")
		}
		o.point(p.T, p.F)
	}
	if len(s.Floats) > 0 {
		o.raw("]")
	}
	for k, p := range s.Histograms {
		if k == 0 {
			o.raw(`,"histograms":[`)
		} else {
			o.raw(",")
		}
		o.histogram(p.T, p.H)
	}
	if len(s.Histograms) > 0 {
		o.raw("]")
	}
	o.raw("}")
}

// maxNotes is how many warnings, and how many infos, an answer has, as in Prometheus.
const maxNotes = 10

// annotations writes what the engine or we have to say about the answer.
func (o *out) annotations() {
	warnings, infos := o.notes.AsStrings(o.query, maxNotes, maxNotes)
	if len(warnings) > 0 {
		o.raw(`,"warnings":`)
		o.strings(warnings)
	}
	if len(infos) > 0 {
		o.raw(`,"infos":`)
		o.strings(infos)
	}
}
