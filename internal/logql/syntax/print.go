package syntax

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/logql/unit"
)

// String returns the query on one line.
func (q *LogQuery) String() string {
	parts := []string{selectorString(q.Matchers)}
	for _, s := range q.Stages {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, " ")
}

func selectorString(matchers []Matcher) string {
	parts := make([]string, len(matchers))
	for i := range matchers {
		parts[i] = matchers[i].String()
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// String returns the matcher as in a selector.
func (m *Matcher) String() string { return m.Name + string(m.Op) + strconv.Quote(m.Value) }

// String returns the call with its grouping.
func (r *RangeAgg) String() string {
	parts := []string{r.Log.String()}
	if r.Unwrap != nil {
		parts = append(parts, r.Unwrap.strings()...)
	}
	return string(r.Op) + "(" + r.param() + strings.Join(parts, " ") + " " + r.window() + ")" + r.Grouping.after()
}

// param returns what stands before the log query.
func (r *RangeAgg) param() string {
	if r.Op != QuantileOverTime {
		return ""
	}
	return number(r.Param) + ", "
}

// window returns the range and its offset.
func (r *RangeAgg) window() string {
	s := "[" + unit.FormatDuration(r.Range) + "]"
	if r.Offset != 0 {
		s += " offset " + unit.FormatDuration(r.Offset)
	}
	return s
}

// strings returns the unwrap and each of its filters.
func (u *Unwrap) strings() []string {
	s := "| unwrap " + u.Label
	if u.Convert != ToNumber {
		s = "| unwrap " + string(u.Convert) + "(" + u.Label + ")"
	}
	list := []string{s}
	for _, f := range u.Filters {
		list = append(list, (&LabelFilterStage{f}).String())
	}
	return list
}

// String returns by (…) or without (…).
func (g *Grouping) String() string {
	if g.Without {
		return "without (" + strings.Join(g.Labels, ", ") + ")"
	}
	return "by (" + strings.Join(g.Labels, ", ") + ")"
}

// after returns the grouping as it stands after parentheses, if there is one.
func (g *Grouping) after() string {
	if g == nil {
		return ""
	}
	return " " + g.String()
}

// String returns the call with its grouping before the parentheses.
func (v *VectorAgg) String() string { return v.head() + v.param() + v.Inner.String() + ")" }

// head returns all up to the opening parenthesis.
func (v *VectorAgg) head() string {
	if v.Grouping == nil {
		return string(v.Op) + "("
	}
	return string(v.Op) + v.Grouping.after() + " ("
}

func (v *VectorAgg) param() string {
	if v.K == 0 {
		return ""
	}
	return strconv.Itoa(v.K) + ", "
}

// String returns the operation with as few parentheses as will do.
func (b *BinOp) String() string {
	side := func(e Expr, parentheses bool) string {
		if parentheses {
			return "(" + e.String() + ")"
		}
		return e.String()
	}
	left, right := b.parentheses()
	return side(b.Left, left) + " " + b.operator() + " " + side(b.Right, right)
}

// parentheses tells which operands need them.
func (b *BinOp) parentheses() (left, right bool) {
	binds := b.Op.precedence()
	if l, ok := b.Left.(*BinOp); ok {
		left = l.Op.precedence() < binds || l.Op.precedence() == binds && b.Op == Pow
	}
	if r, ok := b.Right.(*BinOp); ok {
		right = r.Op.precedence() < binds || r.Op.precedence() == binds && b.Op != Pow
	}
	return left, right
}

// operator returns the operator with its modifiers.
func (b *BinOp) operator() string {
	s := string(b.Op)
	if b.Bool {
		s += " bool"
	}
	m := b.Matching
	if m == nil {
		return s
	}
	if m.On {
		s += " on ("
	} else {
		s += " ignoring ("
	}
	s += strings.Join(m.Labels, ", ") + ")"
	if m.Group != OneToOne {
		s += " " + string(m.Group)
		if len(m.Include) > 0 {
			s += " (" + strings.Join(m.Include, ", ") + ")"
		}
	}
	return s
}

// String returns the call.
func (r *LabelReplace) String() string {
	return "label_replace(" + r.Inner.String() + r.arguments() + ")"
}

// arguments returns all but the first.
func (r *LabelReplace) arguments() string {
	var b strings.Builder
	for _, s := range []string{r.Dst, r.Replacement, r.Src, r.Pattern} {
		b.WriteString(", " + strconv.Quote(s))
	}
	return b.String()
}

// String returns vector(n).
func (v *Vector) String() string { return "vector(" + number(v.Value) + ")" }

// String returns the number in the shortest form that means the same.
func (n *Number) String() string { return number(n.Value) }

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// String returns the filter with all its terms.
func (s *LineFilter) String() string {
	terms := make([]string, len(s.Terms))
	for i, t := range s.Terms {
		terms[i] = strconv.Quote(t.Text)
		if t.IP != nil {
			terms[i] = "ip(" + terms[i] + ")"
		}
	}
	return string(s.Op) + " " + strings.Join(terms, " or ")
}

// String returns the condition after a pipe.
func (s *LabelFilterStage) String() string {
	text := s.Filter.String()
	// json != "a" after a pipe is a parser and a line filter.
	if name, op := leading(s.Filter); slices.Contains(stageNames, name) && (op == "!=" || op == "!~") {
		return "| (" + text + ")"
	}
	return "| " + text
}

// leading returns the label and the operator that a condition begins with, unless it
// begins with a parenthesis.
func leading(f LabelFilter) (name, op string) {
	switch f := f.(type) {
	case *StringFilter:
		return f.Matcher.Name, string(f.Matcher.Op)
	case *CompareFilter:
		return f.Label, string(f.Op)
	case *IPFilter:
		return f.Label, f.operator()
	case *LogicFilter:
		if left, _ := f.parentheses(); !left {
			return leading(f.Left)
		}
	}
	return "", ""
}

// String returns the parser with what it extracts.
func (s *JSON) String() string { return "| json" + extractionsString(s.Fields) }

// String returns the parser with its flags and what it extracts.
func (s *Logfmt) String() string {
	text := "| logfmt"
	if s.Strict {
		text += " --strict"
	}
	if s.KeepEmpty {
		text += " --keep-empty"
	}
	return text + extractionsString(s.Fields)
}

func extractionsString(list []Extraction) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.Label
		if e.Path != e.Label {
			parts[i] += "=" + strconv.Quote(e.Path)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, ", ")
}

// String returns the parser with its expression.
func (s *Regexp) String() string { return "| regexp " + strconv.Quote(s.Text) }

// String returns the parser with its pattern.
func (s *Pattern) String() string { return "| pattern " + strconv.Quote(s.Text) }

// String returns the stage's name after a pipe.
func (*Unpack) String() string { return "| unpack" }

// String returns the stage's name after a pipe.
func (*Decolorize) String() string { return "| decolorize" }

// String returns the stage with its template.
func (s *LineFormat) String() string { return "| line_format " + strconv.Quote(s.Text) }

// String returns the stage with all it sets.
func (s *LabelFormat) String() string {
	parts := make([]string, len(s.Items))
	for i, item := range s.Items {
		if parts[i] = item.Dst + "=" + item.Src; item.Template != nil {
			parts[i] = item.Dst + "=" + strconv.Quote(item.Text)
		}
	}
	return "| label_format " + strings.Join(parts, ", ")
}

// String returns the stage with its labels.
func (s *Drop) String() string { return "| drop " + picksString(s.Items) }

// String returns the stage with its labels.
func (s *Keep) String() string { return "| keep " + picksString(s.Items) }

func picksString(items []LabelPick) string {
	parts := make([]string, len(items))
	for i, item := range items {
		if parts[i] = item.Name; item.Matcher != nil {
			parts[i] = item.Matcher.String()
		}
	}
	return strings.Join(parts, ", ")
}

// String returns the condition.
func (f *StringFilter) String() string { return f.Matcher.String() }

// String returns the condition with the literal as it was written.
func (f *CompareFilter) String() string { return f.Label + " " + string(f.Op) + " " + f.Text }

// String returns the condition.
func (f *IPFilter) String() string {
	return f.Label + " " + f.operator() + " ip(" + strconv.Quote(f.Range.Text) + ")"
}

func (f *IPFilter) operator() string {
	if f.Not {
		return "!="
	}
	return "="
}

// String returns both conditions, with parentheses where and would tear an or apart.
func (f *LogicFilter) String() string {
	side := func(f LabelFilter, parentheses bool) string {
		if parentheses {
			return "(" + f.String() + ")"
		}
		return f.String()
	}
	word := " and "
	if f.Or {
		word = " or "
	}
	left, right := f.parentheses()
	return side(f.Left, left) + word + side(f.Right, right)
}

// parentheses tells which sides need them.
func (f *LogicFilter) parentheses() (left, right bool) {
	l, _ := f.Left.(*LogicFilter)
	r, _ := f.Right.(*LogicFilter)
	return !f.Or && l != nil && l.Or, !f.Or && r != nil && r.Or
}
