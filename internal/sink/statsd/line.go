package statsd

import (
	"math"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// text is what a metric's line has around its value. It is made once for a series.
type text struct {
	name string // with prefix; in the plain dialect with the labels
	tags string // "#status:200,path:/" or ""
}

// format is how numbers are written.
type format interface {
	// text returns what stands around the numbers of p, whose name is given.
	text(name string, p *point) text
	// append appends the lines of points that look alike, without the end of the last.
	append(dst []byte, e *export, points []*point, value float64) []byte
}

// statsdFormat writes lines of StatsD.
type statsdFormat struct{ writer writer }

func (f statsdFormat) text(name string, p *point) text {
	suffix := p.part.suffix()
	if p.part == stat {
		suffix = "." + p.stat
	}
	return f.writer.labelled(name, suffix, labelsOf(p))
}

func (f statsdFormat) append(dst []byte, _ *export, points []*point, value float64) []byte {
	return f.writer.append(dst, points[0].text, value, points[0].kind)
}

// writer makes lines.
type writer struct {
	prefix string
	plain  bool
}

// text returns the text of series s under a name. Only what is safe passes: no label can
// end a line, start another field or another tag.
func (w writer) text(name, suffix string, s *metric.Series) text {
	return w.labelled(name, suffix, labelsOf(&point{series: s}))
}

func (w writer) labelled(name, suffix string, labels record.Labels) text {
	t := text{name: safe(name, false)}
	if prefix := strings.TrimSuffix(w.prefix, "."); prefix != "" {
		t.name = safe(prefix, false) + "." + t.name
	}
	var b strings.Builder
	for i, l := range labels {
		switch {
		case w.plain && l.Value == "":
			b.WriteString("." + l.Name + "._") // an empty part would end or merge names
		case w.plain:
			b.WriteString("." + l.Name + "." + safe(l.Value, true))
		case i == 0:
			b.WriteString("#" + l.Name + ":" + safe(l.Value, false))
		default:
			b.WriteString("," + l.Name + ":" + safe(l.Value, false))
		}
	}
	if w.plain {
		t.name += b.String()
	} else {
		t.tags = b.String()
	}
	t.name += suffix
	return t
}

// safe replaces what has a meaning on the wire, and, if asked, what has one in a dotted name.
func safe(s string, part bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r == 0x7f, strings.ContainsRune(":|#,@", r), part && strings.ContainsRune(" ./", r):
			return '_'
		}
		return r
	}, s)
}

// append appends the line of one metric, without its end.
func (w writer) append(dst []byte, t text, value float64, kind byte) []byte {
	if w.plain && kind == 'g' && value < 0 {
		// Servers of this dialect take a signed gauge as a change: set 0, then take it off.
		dst = append(append(dst, t.name...), ":0|g\n"...)
	}
	dst = append(append(dst, t.name...), ':')
	dst = append(appendNumber(dst, value), '|', kind)
	if t.tags != "" {
		dst = append(append(dst, '|'), t.tags...)
	}
	return dst
}

// appendNumber writes v without an exponent where that is not absurd: not every server
// reads one.
func appendNumber(dst []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-9 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}
