// Package pipeline sends kept records through the stages of a LogQL query, block by block:
//
//	p := pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: pipeline.All})
//	r := p.NewRunner()
//	r.Stream(labels)
//	r.Block(text)
//	for r.Next() {
//		if r.Process() {
//			dst = append(dst, r.Line()...)
//		}
//	}
//
// Line filters run first, over the whole text of a block and in its escaped form, as far as
// no stage before them changes the line; only lines that pass are looked at closer. Of what
// parsers find only that is kept which Spec.Need or a later stage asks for.
//
// A Program does not change and may be used concurrently, a Runner belongs to one
// goroutine. What a Runner returns is valid until its next line. Records' times and the
// reading of blocks are the caller's business.
package pipeline

import (
	"slices"

	"github.com/weirlog/weir/internal/logql/syntax"
)

// Need says which labels of a record are wanted after the pipeline.
type Need struct {
	// All wants every label; then Names does not matter.
	All bool
	// Names are those wanted; none if a count is all that is.
	Names []string
}

func (n *Need) has(name string) bool { return n.All || slices.Contains(n.Names, name) }

func (n *Need) add(name string) {
	if !n.has(name) {
		n.Names = append(n.Names, name)
	}
}

// Spec is what a Program does.
type Spec struct {
	Stages []syntax.Stage
	// Unwrap may be nil: then records have no value.
	Unwrap *syntax.Unwrap
	// Need says what the caller asks of a record's labels.
	Need Need
	// Metric leaves out gap records and those without an unwrapped value.
	Metric bool
}

// Program is a compiled pipeline.
type Program struct {
	filters []lineFilter // over the bodies as they were kept
	driver  driver       // finds lines that may pass filters
	decides int          // the filter that the driver alone decides; -1 for none
	stages  []stage
	unwrap  *unwrap
	need    Need
	metric  bool
	clauses []clause
	// inLine tells whether anything but the filters looks at the line.
	inLine bool
	// leading are conditions on labels that each record came with.
	leading []condition
	// looks are the names of labels that stages look at or change.
	looks []string
	// looksAll: it cannot be said which they are.
	looksAll bool
	// alike: see Outcome. Then parser is the first stage, if that is one.
	alike  bool
	parser *parsed
}

// stage is one step of a pipeline.
type stage interface {
	// run tells whether the record passes.
	run(r *Runner) bool
}

// Compile returns the program for a spec, whose stages have to come from package syntax.
func Compile(s Spec) *Program {
	p := &Program{need: Need{All: s.Need.All, Names: slices.Clone(s.Need.Names)}, metric: s.Metric, decides: -1}
	for _, st := range s.Stages {
		p.noteUse(st)
	}
	if s.Unwrap != nil {
		p.look(s.Unwrap.Label)
		for _, f := range s.Unwrap.Filters {
			p.noteFilter(f)
		}
	}
	if p.looksAll {
		p.need.All = true
	}
	for _, name := range p.looks {
		p.need.add(name)
	}
	changed := false // the line
	came := true     // the labels are those that the record came with
	for _, st := range s.Stages {
		if f, ok := st.(*syntax.LineFilter); ok && !changed {
			p.addFilter(f)
			continue
		}
		compiled := p.compile(st)
		p.stages = append(p.stages, compiled)
		if f, ok := compiled.(*labelFilterStage); ok && came {
			p.leading = append(p.leading, f.condition)
		} else if _, filter := st.(*syntax.LineFilter); !filter {
			came = false
		}
		switch st.(type) {
		case *syntax.Unpack, *syntax.Decolorize, *syntax.LineFormat:
			changed = true
		}
	}
	if s.Unwrap != nil {
		p.unwrap = newUnwrap(s.Unwrap)
	}
	p.noteAlike()
	p.chooseDriver()
	return p
}

func (p *Program) look(name string) {
	if !slices.Contains(p.looks, name) {
		p.looks = append(p.looks, name)
	}
}

// noteUse notes which labels a stage looks at, and whether it looks at the line.
func (p *Program) noteUse(st syntax.Stage) {
	switch st := st.(type) {
	case *syntax.LabelFilterStage:
		p.noteFilter(st.Filter)
	case *syntax.LabelFormat:
		for _, item := range st.Items {
			p.look(item.Dst)
			if item.Template != nil {
				p.looksAll, p.inLine = true, true
			} else {
				p.look(item.Src)
			}
		}
	case *syntax.Drop:
		p.notePicks(st.Items)
	case *syntax.Keep:
		p.notePicks(st.Items)
	case *syntax.LineFormat:
		p.looksAll, p.inLine = true, true
	default:
		p.inLine = true
	}
}

func (p *Program) notePicks(items []syntax.LabelPick) {
	for _, item := range items {
		if item.Matcher != nil {
			p.look(item.Name)
		}
	}
}

func (p *Program) noteFilter(f syntax.LabelFilter) {
	switch f := f.(type) {
	case *syntax.LogicFilter:
		p.noteFilter(f.Left)
		p.noteFilter(f.Right)
	case *syntax.StringFilter:
		p.look(f.Matcher.Name)
	case *syntax.CompareFilter:
		p.look(f.Label)
	case *syntax.IPFilter:
		p.look(f.Label)
	}
}

// LabelsOnly tells whether the outcome for a record depends on nothing but the labels it
// came with, and returns those that matter for it beside the ones in Spec.Need.
func (p *Program) LabelsOnly() (names []string, ok bool) {
	if p.inLine || p.looksAll || p.unwrap != nil || len(p.filters) > 0 {
		return nil, false
	}
	return p.looks, true
}

// Values tells which values labels can have.
type Values interface {
	// Values returns all values that a label can have, "" among them if it can be missing;
	// known is false if it can have any.
	Values(name string) (list []string, known bool)
}

// Conditions tells whether MayPass can say anything.
func (p *Program) Conditions() bool { return len(p.leading) > 0 }

// MayPass tells whether a record can pass that came with labels of such values.
func (p *Program) MayPass(v Values) bool {
	failed := false
	for _, c := range p.leading {
		var pass bool
		if pass, failed = c.possible(v, failed); !pass {
			return false
		}
	}
	return true
}

func (p *Program) compile(st syntax.Stage) stage {
	switch st := st.(type) {
	case *syntax.LineFilter:
		f := newLineFilter(st)
		return &changedLineFilter{f}
	case *syntax.LabelFilterStage:
		return &labelFilterStage{newLabelFilter(st.Filter)}
	case *syntax.JSON:
		if len(st.Fields) > 0 {
			return newJSONFields(st, &p.need)
		}
		return &jsonStage{}
	case *syntax.Logfmt:
		return newLogfmt(st, &p.need)
	case *syntax.Regexp:
		return newRegexp(st, &p.need)
	case *syntax.Pattern:
		return newPattern(st, &p.need)
	case *syntax.Unpack:
		return &unpackStage{}
	case *syntax.Decolorize:
		return newDecolorize()
	case *syntax.LineFormat:
		return &lineFormat{st}
	case *syntax.LabelFormat:
		return &labelFormat{st}
	case *syntax.Drop:
		return &dropStage{st.Items}
	case *syntax.Keep:
		return &keepStage{st.Items}
	}
	panic("pipeline: a stage that syntax has and this package has not")
}
