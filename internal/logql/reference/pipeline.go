package reference

import (
	"regexp"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/template"
	"github.com/weirlog/weir/internal/record"
)

// state is an entry on its way through a pipeline.
type state struct {
	time   int64
	line   string
	labels map[string]string
	// stream has the names of its stream's labels, whether or not a stage dropped them since,
	// and came those of what else it came with, its level and its stored fields, and still has
	// as it was.
	stream, came map[string]bool
	// extracted has the names that a parser or label_format has set. The first value stays,
	// whatever a parser finds then and whether or not a stage dropped it.
	extracted map[string]bool
	// err and details are __error__ and __error_details__. A later error takes the place of
	// an earlier one.
	err, details string
	// kept says that a filter on __error__ asked for this entry: its error is wanted.
	kept bool
}

func newState(e ordered) *state {
	s := &state{time: e.Time, line: e.Line, labels: map[string]string{}, stream: map[string]bool{}, came: map[string]bool{}, extracted: map[string]bool{}}
	for _, l := range e.stream.Labels {
		s.labels[l.Name] = l.Value
		s.stream[l.Name] = true
	}
	stored := append([]record.Label{{Name: syntax.LevelLabel, Value: e.Level.String()}}, e.Fields...)
	for _, f := range stored {
		name := syntax.SanitizeName(f.Name)
		if _, taken := e.stream.labels()[name]; taken {
			name += syntax.ExtractedSuffix
		}
		if _, twice := s.labels[name]; !twice && name != "" && !syntax.IsErrorLabel(name) {
			s.labels[name] = f.Value
		}
	}
	for name := range s.labels {
		if !s.stream[name] {
			s.came[name] = true
		}
	}
	return s
}

func (s *Stream) labels() map[string]string {
	m := map[string]string{}
	for _, l := range s.Labels {
		m[l.Name] = l.Value
	}
	return m
}

// get returns a label, one of the errors', or "".
func (s *state) get(name string) string {
	switch name {
	case syntax.ErrorLabel:
		return s.err
	case syntax.ErrorDetailsLabel:
		return s.details
	}
	return s.labels[name]
}

// extract sets a label that a parser found.
func (s *state) extract(key, value string) {
	name := syntax.SanitizeName(key)
	if name == "" || syntax.IsErrorLabel(name) {
		return
	}
	if s.stream[name] || s.came[name] {
		name += syntax.ExtractedSuffix
	}
	if !s.extracted[name] {
		s.extracted[name] = true
		s.set(name, value)
	}
}

// set and remove make a label something that the record did not come with.
func (s *state) set(name, value string) {
	s.labels[name] = value
	delete(s.came, name)
}

func (s *state) remove(name string) {
	delete(s.labels, name)
	delete(s.came, name)
}

func (s *state) fail(name string, details string) { s.err, s.details = name, details }

// visible returns the labels and the errors.
func (s *state) visible() map[string]string {
	m := map[string]string{}
	for k, v := range s.labels {
		m[k] = v
	}
	if s.err != "" {
		m[syntax.ErrorLabel] = s.err
	}
	if s.details != "" {
		m[syntax.ErrorDetailsLabel] = s.details
	}
	return m
}

// all returns the labels and the errors, also those that are empty.
func (s *state) all() (labels record.Labels) {
	m := s.visible()
	for _, name := range sortedNames(m) {
		labels = append(labels, record.Label{Name: name, Value: m[name]})
	}
	return labels
}

// pipeline is a list of stages with the runners of their templates.
type pipeline struct {
	stages  []syntax.Stage
	runners map[*template.Template]*template.Runner
}

func newPipeline(stages []syntax.Stage) *pipeline {
	return &pipeline{stages, map[*template.Template]*template.Runner{}}
}

// run tells whether the entry passes.
func (p *pipeline) run(s *state) bool {
	for _, stage := range p.stages {
		if !p.stage(stage, s) {
			return false
		}
	}
	return true
}

func (p *pipeline) stage(stage syntax.Stage, s *state) bool {
	switch stage := stage.(type) {
	case *syntax.LineFilter:
		return lineFilter(stage, s.line)
	case *syntax.LabelFilterStage:
		return labelFilter(stage.Filter, s)
	case *syntax.JSON:
		if len(stage.Fields) == 0 {
			parseJSON(s)
		} else {
			parseJSONFields(stage.Fields, s)
		}
	case *syntax.Logfmt:
		parseLogfmt(stage, s)
	case *syntax.Regexp:
		parseRegexp(stage.Re, s)
	case *syntax.Pattern:
		parsePattern(stage.Parts, s)
	case *syntax.Unpack:
		unpack(s)
	case *syntax.Decolorize:
		s.line = escapes.ReplaceAllString(s.line, "")
	case *syntax.LineFormat:
		if text, ok := p.apply(stage.Template, s, s.visible()); ok {
			s.line = text
		}
	case *syntax.LabelFormat:
		p.labelFormat(stage, s)
	case *syntax.Drop:
		drop(stage.Items, s)
	case *syntax.Keep:
		keep(stage.Items, s)
	}
	return true
}

var escapes = regexp.MustCompile(syntax.EscapeSequence)

// apply runs a template. After an error the entry stays as it was.
func (p *pipeline) apply(t *template.Template, s *state, labels map[string]string) (string, bool) {
	if p.runners[t] == nil {
		p.runners[t] = t.NewRunner()
	}
	r := p.runners[t]
	r.Line, r.Time = s.line, time.Unix(0, s.time).UTC()
	out, err := r.Append(nil, labels)
	if err != nil {
		s.fail(syntax.TemplateFormatErr, err.Error())
		return "", false
	}
	return string(out), true
}

// labelFormat sets one label after the other. Templates see the labels as they were when
// the first of them ran: renames before it have happened, what templates set is not seen.
func (p *pipeline) labelFormat(stage *syntax.LabelFormat, s *state) {
	var seen map[string]string
	for _, item := range stage.Items {
		if item.Template == nil {
			if v, ok := s.labels[item.Src]; ok && item.Src != item.Dst {
				s.set(item.Dst, v)
				s.extracted[item.Dst] = true
				s.remove(item.Src)
			}
			continue
		}
		if seen == nil {
			seen = s.visible()
		}
		if text, ok := p.apply(item.Template, s, seen); ok {
			s.set(item.Dst, text)
			s.extracted[item.Dst] = true
		}
	}
}

func drop(items []syntax.LabelPick, s *state) {
	for _, item := range items {
		if item.Matcher != nil && !item.Matcher.Matches(s.get(item.Name)) {
			continue
		}
		switch item.Name {
		case syntax.ErrorLabel:
			s.err = ""
		case syntax.ErrorDetailsLabel:
			s.details = ""
		}
		s.remove(item.Name)
	}
}

// keep leaves the errors alone.
func keep(items []syntax.LabelPick, s *state) {
	for name, value := range s.labels {
		wanted := false
		for _, item := range items {
			wanted = wanted || item.Name == name && (item.Matcher == nil || item.Matcher.Matches(value))
		}
		if !wanted {
			s.remove(name)
		}
	}
}

// lineFilter tells whether a line passes.
func lineFilter(f *syntax.LineFilter, line string) bool {
	found := false
	for i := range f.Terms {
		found = found || termMatches(f.Op, &f.Terms[i], line)
	}
	return found != f.Op.Negated()
}

func termMatches(op syntax.LineOp, t *syntax.LineTerm, line string) bool {
	switch {
	case t.IP != nil:
		return hasAddress(t.IP, line)
	case t.Re != nil:
		return t.Re.MatchString(line)
	case t.Pattern != nil:
		return linePattern(t.Pattern.Parts, line)
	}
	return strings.Contains(line, t.Text)
}

// linePattern matches a whole line: literals are looked for from left to right, each at
// its first place, and a capture stands for one byte at least. There is no going back.
func linePattern(parts []syntax.PatternPart, line string) bool {
	if len(parts) == 0 {
		return line == ""
	}
	rest, capture := line, false
	for _, part := range parts {
		if part.Literal == "" {
			capture = true
			continue
		}
		at := strings.Index(rest, part.Literal)
		if at < 0 || capture && at == 0 || !capture && at > 0 {
			return false
		}
		rest, capture = rest[at+len(part.Literal):], false
	}
	return capture == (rest != "")
}
