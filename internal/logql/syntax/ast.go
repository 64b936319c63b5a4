// Package syntax reads LogQL, the query language of Grafana Loki, into typed trees:
//
//	e, err := syntax.Parse(`sum by (status) (rate({app="shop"} | json [5m]))`)
//	agg := e.(*syntax.VectorAgg)
//
// A query is either a *LogQuery, whose answer is lines, or one of *RangeAgg, *VectorAgg,
// *BinOp, *LabelReplace, *Vector and *Number, whose answer is numbers. What Parse returns
// is checked whole: regular expressions, templates, patterns and paths are compiled,
// functions get the arguments they need. What is not supported is refused by name, with
// its place; Parse never guesses. Trees do not change and may be read concurrently;
// String of each node is LogQL that parses to the same tree.
//
// The package owns the language and the units of its literals. What a query means is the
// business of the engine and of the reference evaluator.
package syntax

import (
	"regexp"
	"time"

	"github.com/weirlog/weir/internal/logql/template"
)

// Expr is a whole query or a part of one that has an answer of its own: *LogQuery,
// *RangeAgg, *VectorAgg, *BinOp, *LabelReplace, *Vector or *Number.
type Expr interface {
	// String returns the expression as LogQL on one line.
	String() string
	expr()
}

// LogQuery selects streams and sends their lines through a pipeline.
type LogQuery struct {
	Matchers []Matcher // at least one refuses the empty string
	Stages   []Stage   // in the order they are applied
}

// RangeAgg reduces the entries of a sliding window (t-Offset-Range, t-Offset] to one
// number a series.
type RangeAgg struct {
	Op     RangeOp
	Param  float64 // φ of quantile_over_time
	Log    *LogQuery
	Unwrap *Unwrap // nil: entries are counted or measured, not read
	Range  time.Duration
	Offset time.Duration // may be negative
	// Grouping is nil when the series keep all their labels.
	Grouping *Grouping
}

// Unwrap takes the value of a sample from a label.
type Unwrap struct {
	Label   string
	Convert Conversion
	// Filters are applied after the conversion, mostly to its errors.
	Filters []LabelFilter
}

// Conversion says how the text of an unwrapped label becomes a number.
type Conversion string

// The conversions. DurationSeconds is the same as Duration, written otherwise.
const (
	ToNumber        Conversion = ""
	Duration        Conversion = "duration"
	DurationSeconds Conversion = "duration_seconds"
	Bytes           Conversion = "bytes"
)

// VectorAgg reduces the series of a moment to one a group, or picks some of them.
type VectorAgg struct {
	Op       VectorOp
	K        int // of topk and bottomk, at least 1
	Inner    Expr
	Grouping *Grouping // nil is by ()
}

// Grouping names the labels that make a group: these, or all but these.
type Grouping struct {
	Without bool
	Labels  []string // in the order written, each once
}

// BinOp combines two expressions, of which none is a *LogQuery.
type BinOp struct {
	Op          BinaryOp
	Left, Right Expr
	// Bool makes a comparison answer 0 or 1, where it would filter.
	Bool bool
	// Matching is nil for the default: all labels, one to one.
	Matching *Matching
}

// Matching says which series of two vectors belong together.
type Matching struct {
	On     bool // Labels are those compared; otherwise those left out
	Labels []string
	Group  GroupSide
	// Include names labels of the "one" side that the answer gets too.
	Include []string
}

// GroupSide is the side of a match that may have several series for one of the other.
type GroupSide string

// The sides of a match.
const (
	OneToOne   GroupSide = ""
	GroupLeft  GroupSide = "group_left"
	GroupRight GroupSide = "group_right"
)

// LabelReplace sets Dst of each series of Inner to the expansion of Replacement, where
// Re matches the whole value of Src.
type LabelReplace struct {
	Inner                 Expr
	Dst, Replacement, Src string
	Pattern               string
	Re                    *regexp.Regexp // Pattern, anchored at both ends
}

// Vector is vector(n): one series without labels.
type Vector struct{ Value float64 }

// Number is a scalar literal.
type Number struct{ Value float64 }

func (*LogQuery) expr()     {}
func (*RangeAgg) expr()     {}
func (*VectorAgg) expr()    {}
func (*BinOp) expr()        {}
func (*LabelReplace) expr() {}
func (*Vector) expr()       {}
func (*Number) expr()       {}

// Stage is a step of a pipeline: *LineFilter, *LabelFilterStage, *JSON, *Logfmt, *Regexp,
// *Pattern, *Unpack, *Decolorize, *LineFormat, *LabelFormat, *Drop or *Keep.
type Stage interface {
	// String returns the stage with the operator that begins it.
	String() string
	stage()
}

// LineFilter lets lines pass that match one of its terms; the negated operators let those
// pass that match none.
type LineFilter struct {
	Op    LineOp
	Terms []LineTerm // at least one
}

// LineTerm is what a line filter looks for. Exactly one of Re, IP and Pattern is set
// unless the term is a plain substring.
type LineTerm struct {
	Text    string
	Re      *regexp.Regexp // of |~ and !~; `.` matches newlines too
	IP      *IPRange       // of ip("…"), with |= and != only
	Pattern *LinePattern   // of |> and !>
}

// LabelFilterStage lets entries pass for which its filter holds.
type LabelFilterStage struct{ Filter LabelFilter }

// JSON extracts the members of a JSON object, or only those named.
type JSON struct{ Fields []Extraction }

// Logfmt extracts key=value pairs, or only those named.
type Logfmt struct {
	Strict    bool // a malformed pair is an error, and nothing after it is read
	KeepEmpty bool // keys without a value become labels too
	Fields    []Extraction
}

// Extraction is label="path" of a json or logfmt parser.
type Extraction struct {
	Label string
	Path  string // as written
	Keys  []PathKey
}

// PathKey is one step down a JSON document. A path of logfmt has a single key.
type PathKey struct {
	Name    string
	Index   int // of an array; used when IsIndex
	IsIndex bool
}

// Regexp extracts the named groups of a regular expression.
type Regexp struct {
	Text string
	Re   *regexp.Regexp // has at least one named group, no name twice
}

// Pattern extracts the named captures of a pattern.
type Pattern struct {
	Text  string
	Parts []PatternPart // captures and literals take turns
}

// Unpack takes the labels and the line out of an object that Promtail's pack stage made.
type Unpack struct{}

// Decolorize removes ANSI escape sequences from the line.
type Decolorize struct{}

// LineFormat replaces the line by what a template makes.
type LineFormat struct {
	Text     string
	Template *template.Template
}

// LabelFormat sets labels; each name is set once.
type LabelFormat struct{ Items []LabelSetting }

// LabelSetting is dst=src, which renames, or dst="template".
type LabelSetting struct {
	Dst      string
	Src      string             // of a rename
	Text     string             // of a template
	Template *template.Template // nil for a rename
}

// Drop removes labels.
type Drop struct{ Items []LabelPick }

// Keep removes all labels but these.
type Keep struct{ Items []LabelPick }

// LabelPick is a label's name, on the condition that Matcher holds if there is one.
type LabelPick struct {
	Name    string
	Matcher *Matcher
}

func (*LineFilter) stage()       {}
func (*LabelFilterStage) stage() {}
func (*JSON) stage()             {}
func (*Logfmt) stage()           {}
func (*Regexp) stage()           {}
func (*Pattern) stage()          {}
func (*Unpack) stage()           {}
func (*Decolorize) stage()       {}
func (*LineFormat) stage()       {}
func (*LabelFormat) stage()      {}
func (*Drop) stage()             {}
func (*Keep) stage()             {}

// LabelFilter is a condition on the labels of an entry: *StringFilter, *CompareFilter,
// *IPFilter or *LogicFilter.
type LabelFilter interface {
	// String returns the condition without the pipe that may stand before it.
	String() string
	labelFilter()
}

// StringFilter compares a label as text. It alone can look at __error__.
type StringFilter struct{ Matcher Matcher }

// CompareFilter compares a label as a number, a duration or a count of bytes.
type CompareFilter struct {
	Label    string
	Op       CompareOp
	Kind     Kind
	Number   float64       // of KindNumber
	Duration time.Duration // of KindDuration
	Bytes    uint64        // of KindBytes
	Text     string        // the literal as written
}

// Kind is how a CompareFilter reads the text of a label.
type Kind uint8

// The kinds of literals, which decide how the label is read.
const (
	KindNumber Kind = iota
	KindDuration
	KindBytes
)

// IPFilter looks for an address in a label's value.
type IPFilter struct {
	Label string
	Not   bool
	Range IPRange
}

// LogicFilter joins two conditions. Right is not looked at when Left decides.
type LogicFilter struct {
	Or          bool // and, if not
	Left, Right LabelFilter
}

func (*StringFilter) labelFilter()  {}
func (*CompareFilter) labelFilter() {}
func (*IPFilter) labelFilter()      {}
func (*LogicFilter) labelFilter()   {}

// Matcher is a condition on one label. A missing label is an empty one.
type Matcher struct {
	Name  string
	Op    MatchOp
	Value string
	Re    *regexp.Regexp // of =~ and !~: Value, anchored at both ends; `.` matches newlines too
}

// Matches tells whether the condition holds for a value.
func (m *Matcher) Matches(value string) bool {
	switch m.Op {
	case MatchEqual:
		return value == m.Value
	case MatchNotEqual:
		return value != m.Value
	case MatchRegexp:
		return m.Re.MatchString(value)
	default:
		return !m.Re.MatchString(value)
	}
}
