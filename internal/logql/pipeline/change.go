package pipeline

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/template"
	"github.com/weirlog/weir/internal/logql/unit"
)

// decolorize removes escape sequences from the line.
type decolorize struct{ re *regexp.Regexp }

func newDecolorize() *decolorize { return &decolorize{regexp.MustCompile(syntax.EscapeSequence)} }

func (s *decolorize) run(r *Runner) bool {
	line := r.Line()
	if mayHaveEscapes(line) {
		line = s.re.ReplaceAll(line, nil)
	}
	r.setLine(line)
	return true
}

// mayHaveEscapes looks for ESC and for the one-character form of ESC [, U+009B.
func mayHaveEscapes(line []byte) bool {
	for _, c := range line {
		if c == 0x1b || c == 0x9b {
			return true
		}
	}
	return false
}

// lineFormat replaces the line by what a template makes.
type lineFormat struct{ st *syntax.LineFormat }

func (s *lineFormat) run(r *Runner) bool {
	if text, ok := r.apply(s.st.Template, r.visible()); ok {
		r.setLine(text)
	}
	return true
}

// apply runs a template. After an error the record stays as it was.
func (r *Runner) apply(t *template.Template, labels map[string]string) (text []byte, ok bool) {
	run := r.forms[t]
	if run == nil {
		if r.forms == nil {
			r.forms = map[*template.Template]*template.Runner{}
		}
		run = t.NewRunner()
		r.forms[t] = run
	}
	run.Line, run.Time = string(r.Line()), time.Unix(0, r.Time()).UTC()
	from := len(r.scratch)
	out, err := run.Append(r.scratch, labels)
	if r.scratch = out; err != nil {
		r.fail(syntax.TemplateFormatErr, err.Error())
		return nil, false
	}
	return out[from:len(out):len(out)], true
}

// Time returns the time of the record in Unix nanoseconds.
func (r *Runner) Time() int64 { return r.clock.TimeOf(r.text[r.start:r.end]) }

// visible returns the labels and the errors as templates see them.
func (r *Runner) visible() map[string]string {
	if r.view == nil {
		r.view = map[string]string{}
	}
	clear(r.view)
	for i := range r.labels {
		r.view[r.labels[i].name] = string(r.labels[i].value)
	}
	if r.err != "" {
		r.view[syntax.ErrorLabel] = r.err
	}
	if r.details != "" {
		r.view[syntax.ErrorDetailsLabel] = r.details
	}
	return r.view
}

// labelFormat sets one label after the other. Templates see the labels as they were when
// the first of them ran: renames before it have happened, what templates set is not seen.
type labelFormat struct{ st *syntax.LabelFormat }

func (s *labelFormat) run(r *Runner) bool {
	var seen map[string]string
	for i := range s.st.Items {
		item := &s.st.Items[i]
		if item.Template == nil {
			r.rename(item.Dst, item.Src)
			continue
		}
		if seen == nil {
			seen = r.visible()
		}
		if text, ok := r.apply(item.Template, seen); ok {
			r.make(item.Dst, text)
		}
	}
	return true
}

func (r *Runner) rename(dst, src string) {
	at := r.find(src)
	if at < 0 || src == dst {
		return
	}
	value := r.labels[at].value
	r.remove(src)
	r.make(dst, value)
}

// make sets a label that no parser changes any more.
func (r *Runner) make(name string, value []byte) {
	if !r.hasExtracted(name) {
		r.extracted = append(r.extracted, name)
	}
	r.set(name, value, OfParsed)
}

// dropStage removes labels.
type dropStage struct{ items []syntax.LabelPick }

func (s *dropStage) run(r *Runner) bool {
	for i := range s.items {
		item := &s.items[i]
		if item.Matcher != nil && !matches(item.Matcher, r.get(item.Name)) {
			continue
		}
		switch item.Name {
		case syntax.ErrorLabel:
			r.err = ""
		case syntax.ErrorDetailsLabel:
			r.details = ""
		default:
			r.remove(item.Name)
		}
	}
	return true
}

// keepStage removes all labels but some. It leaves errors alone.
type keepStage struct{ items []syntax.LabelPick }

func (s *keepStage) run(r *Runner) bool {
	r.came = slices.DeleteFunc(r.came, func(name string) bool { return s.unwanted(name, r.get(name)) })
	r.labels = slices.DeleteFunc(r.labels, func(l label) bool { return s.unwanted(l.name, l.value) })
	r.indexed = 0
	return true
}

func (s *keepStage) unwanted(name string, value []byte) bool {
	for i := range s.items {
		if item := &s.items[i]; item.Name == name && (item.Matcher == nil || matches(item.Matcher, value)) {
			return false
		}
	}
	return true
}

// unwrap takes the value of a record from a label.
type unwrap struct {
	label   string
	convert syntax.Conversion
	filters []condition
}

func newUnwrap(u *syntax.Unwrap) *unwrap {
	out := &unwrap{label: u.Label, convert: u.Convert}
	for _, f := range u.Filters {
		out.filters = append(out.filters, newLabelFilter(f))
	}
	return out
}

// run tells whether the record has a value.
func (u *unwrap) run(r *Runner) bool {
	at := r.find(u.label)
	if at < 0 || len(r.labels[at].value) == 0 {
		return false
	}
	var err error
	r.value = 0
	switch text := r.labels[at].value; u.convert {
	case syntax.Duration, syntax.DurationSeconds:
		var d time.Duration
		d, err = time.ParseDuration(r.lasting(text))
		r.value = d.Seconds()
	case syntax.Bytes:
		var n uint64
		n, err = unit.ParseBytes(r.lasting(text))
		r.value = float64(n)
	default:
		r.value, err = strconv.ParseFloat(string(text), 64)
	}
	if err != nil {
		r.value = 0
		r.fail(syntax.SampleExtractionErr, err.Error())
	}
	for _, f := range u.filters {
		if !f.holds(r) {
			return false
		}
	}
	return true
}
