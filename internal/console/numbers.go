package console

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/record"
)

// Numbers prints the answer to a query for numbers: a table with a column a label. Series
// over time are a row each on a terminal, with their course, and a row a point to a program.
func (p *Printer) Numbers(res *logql.Result) error {
	all := res.Series
	if res.Kind == logql.Scalar {
		all = []logql.Series{{Points: []logql.Point{res.Scalar}}}
	}
	switch {
	case p.opts.Form == JSON || p.opts.Form == Logfmt:
		for i := range all {
			if p.opts.Form == JSON {
				p.seriesJSON(&all[i])
			} else {
				p.seriesLogfmt(&all[i])
			}
		}
	case res.Kind != logql.Matrix:
		p.table(all, []string{"VALUE"}, func(s *logql.Series) [][]string { return [][]string{{number(s.Points[0].Value)}} })
	case p.opts.Terminal:
		p.courses(all)
	default:
		p.table(all, []string{"TIME", "VALUE"}, func(s *logql.Series) (rows [][]string) {
			for _, at := range s.Points {
				rows = append(rows, []string{time.Unix(0, at.Time).UTC().Format(time.RFC3339Nano), number(at.Value)})
			}
			return rows
		})
	}
	p.flush()
	return p.err
}

// table prints rows of a series' labels and what values makes of it.
func (p *Printer) table(all []logql.Series, heads []string, values func(*logql.Series) [][]string) {
	if len(all) == 0 {
		return
	}
	labels := labelNames(all)
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(cells []string) {
		for i, cell := range cells {
			if i > 0 {
				_, _ = w.Write([]byte{'\t'})
			}
			_, _ = w.Write(bytes.ReplaceAll(AppendHarmless(nil, cell), []byte("\t"), []byte(`\t`)))
		}
		_, _ = w.Write([]byte{'\n'})
	}
	row(append(slices.Clone(labels), heads...))
	for i := range all {
		cells := labelValues(all[i].Labels, labels)
		for _, value := range values(&all[i]) {
			row(append(slices.Clone(cells), value...))
		}
	}
	_ = w.Flush() // to memory
	head, rest, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	p.styled(dim, string(head))
	p.buf = append(append(p.buf, '\n'), rest...)
}

func labelNames(all []logql.Series) (names []string) {
	for i := range all {
		for _, l := range all[i].Labels {
			if !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func labelValues(labels record.Labels, names []string) []string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = labels.Get(name)
	}
	return values
}

// number writes a value as people do, with all its digits.
func number(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// courseColumns is how long a course is drawn at most.
const courseColumns = 60

// courses prints a row a series, with its course from the first time to the last.
func (p *Printer) courses(all []logql.Series) {
	f := frameOf(all)
	if f.columns == 0 {
		return
	}
	at := func(ns int64) string { return time.Unix(0, ns).In(p.opts.Location).Format("2 Jan 15:04:05") }
	p.styled(dim, "--- "+at(f.from)+" to "+at(f.to)+" ---")
	p.buf = append(p.buf, '\n')
	p.table(all, []string{"LAST", "MIN", "MAX", "COURSE"}, func(s *logql.Series) [][]string {
		if len(s.Points) == 0 {
			return nil
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, point := range s.Points {
			low, high = min(low, point.Value), max(high, point.Value)
		}
		return [][]string{{
			rounded(s.Points[len(s.Points)-1].Value), rounded(low), rounded(high), f.course(s.Points, high),
		}}
	})
}

// frame is the range of time that courses are drawn over.
type frame struct {
	from, to int64
	columns  int
}

// frameOf returns the frame for all points of series: a column for each moment, as long as
// there is room.
func frameOf(all []logql.Series) (f frame) {
	f.from, f.to = math.MaxInt64, math.MinInt64
	step := int64(math.MaxInt64)
	for i := range all {
		for k, point := range all[i].Points {
			f.from, f.to = min(f.from, point.Time), max(f.to, point.Time)
			if k > 0 && point.Time > all[i].Points[k-1].Time {
				step = min(step, point.Time-all[i].Points[k-1].Time)
			}
		}
	}
	if f.from <= f.to {
		f.columns = int(min((f.to-f.from)/step+1, courseColumns))
	}
	return f
}

// rounded writes a value with the digits that matter at a glance.
func rounded(v float64) string {
	if math.Abs(v) < 1e15 && math.Abs(v) >= 1e4 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 5, 64)
}

// course draws values against zero and high. A column shows the greatest of its values, and
// is blank where there is none.
func (f frame) course(points []logql.Point, high float64) string {
	steps := [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}
	greatest := make([]float64, f.columns)
	for i := range greatest {
		greatest[i] = math.NaN()
	}
	for _, point := range points {
		i := 0
		if f.to > f.from {
			i = int(math.Round(float64(point.Time-f.from) / float64(f.to-f.from) * float64(f.columns-1)))
		}
		if !(greatest[i] >= point.Value) {
			greatest[i] = point.Value
		}
	}
	drawn := make([]rune, f.columns)
	for i, v := range greatest {
		switch {
		case math.IsNaN(v):
			drawn[i] = ' '
		case high <= 0 || v <= 0:
			drawn[i] = steps[0]
		default:
			drawn[i] = steps[min(int(v/high*float64(len(steps))), len(steps)-1)]
		}
	}
	return string(drawn)
}

// seriesJSON prints {"labels":{…},"values":[["time",value],…]}; what is no number is text.
func (p *Printer) seriesJSON(s *logql.Series) {
	p.buf = append(p.buf, `{"labels":{`...)
	for i, l := range s.Labels {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = lines.AppendString(p.buf, l.Name)
		p.buf = lines.AppendString(append(p.buf, ':'), l.Value)
	}
	p.buf = append(p.buf, `},"values":[`...)
	for i, point := range s.Points {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = append(p.buf, `["`...)
		p.buf = time.Unix(0, point.Time).UTC().AppendFormat(p.buf, time.RFC3339Nano)
		p.buf = append(p.buf, `",`...)
		if math.IsNaN(point.Value) || math.IsInf(point.Value, 0) {
			p.buf = lines.AppendString(p.buf, number(point.Value))
		} else {
			p.buf = append(p.buf, number(point.Value)...)
		}
		p.buf = append(p.buf, ']')
	}
	p.buf = append(p.buf, "]}\n"...)
}

func (p *Printer) seriesLogfmt(s *logql.Series) {
	for _, point := range s.Points {
		p.buf = time.Unix(0, point.Time).UTC().AppendFormat(p.buf, "time="+time.RFC3339Nano)
		for _, l := range s.Labels {
			p.pair(l.Name, l.Value)
		}
		p.pair("value", number(point.Value))
		p.buf = append(p.buf, '\n')
	}
}
