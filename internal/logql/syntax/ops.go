package syntax

// MatchOp compares a label with text.
type MatchOp string

// The operators of matchers.
const (
	MatchEqual     MatchOp = "="
	MatchNotEqual  MatchOp = "!="
	MatchRegexp    MatchOp = "=~"
	MatchNotRegexp MatchOp = "!~"
)

// CompareOp compares a label with a number.
type CompareOp string

// The operators of CompareFilter. A single = is read as ==.
const (
	CompareEqual          CompareOp = "=="
	CompareNotEqual       CompareOp = "!="
	CompareGreater        CompareOp = ">"
	CompareGreaterOrEqual CompareOp = ">="
	CompareLess           CompareOp = "<"
	CompareLessOrEqual    CompareOp = "<="
)

// LineOp is how a line filter looks at a line.
type LineOp string

// The operators of line filters.
const (
	LineContains    LineOp = "|="
	LineContainsNot LineOp = "!="
	LineRegexp      LineOp = "|~"
	LineRegexpNot   LineOp = "!~"
	LinePatternIs   LineOp = "|>"
	LinePatternNot  LineOp = "!>"
)

// Negated tells whether the operator lets lines pass that do not match.
func (o LineOp) Negated() bool { return o[0] == '!' }

// RangeOp is the function of a RangeAgg.
type RangeOp string

// The functions over a range. Those with Unwrapped need an unwrap, those without refuse
// it, but rate and absent_over_time, which take both.
const (
	Rate             RangeOp = "rate"
	RateCounter      RangeOp = "rate_counter"
	CountOverTime    RangeOp = "count_over_time"
	BytesRate        RangeOp = "bytes_rate"
	BytesOverTime    RangeOp = "bytes_over_time"
	SumOverTime      RangeOp = "sum_over_time"
	AvgOverTime      RangeOp = "avg_over_time"
	MinOverTime      RangeOp = "min_over_time"
	MaxOverTime      RangeOp = "max_over_time"
	StddevOverTime   RangeOp = "stddev_over_time"
	StdvarOverTime   RangeOp = "stdvar_over_time"
	FirstOverTime    RangeOp = "first_over_time"
	LastOverTime     RangeOp = "last_over_time"
	QuantileOverTime RangeOp = "quantile_over_time"
	AbsentOverTime   RangeOp = "absent_over_time"
)

// VectorOp is the function of a VectorAgg.
type VectorOp string

// The functions over the series of a moment.
const (
	Sum      VectorOp = "sum"
	Avg      VectorOp = "avg"
	Min      VectorOp = "min"
	Max      VectorOp = "max"
	Count    VectorOp = "count"
	Stddev   VectorOp = "stddev"
	Stdvar   VectorOp = "stdvar"
	TopK     VectorOp = "topk"
	BottomK  VectorOp = "bottomk"
	Sort     VectorOp = "sort"
	SortDesc VectorOp = "sort_desc"
)

// BinaryOp is the operator of a BinOp.
type BinaryOp string

// The binary operators, weakest first.
const (
	Or             BinaryOp = "or"
	And            BinaryOp = "and"
	Unless         BinaryOp = "unless"
	Equal          BinaryOp = "=="
	NotEqual       BinaryOp = "!="
	Greater        BinaryOp = ">"
	GreaterOrEqual BinaryOp = ">="
	Less           BinaryOp = "<"
	LessOrEqual    BinaryOp = "<="
	Add            BinaryOp = "+"
	Sub            BinaryOp = "-"
	Mul            BinaryOp = "*"
	Div            BinaryOp = "/"
	Mod            BinaryOp = "%"
	Pow            BinaryOp = "^"
)

// IsSet tells whether the operator works on whole series: and, or, unless.
func (o BinaryOp) IsSet() bool { return o == And || o == Or || o == Unless }

// IsComparison tells whether the operator filters, or answers 0 or 1.
func (o BinaryOp) IsComparison() bool {
	switch o {
	case Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual:
		return true
	}
	return false
}

// precedence is higher the tighter an operator binds; 0 for what is none.
func (o BinaryOp) precedence() int {
	switch o {
	case Or:
		return 1
	case And, Unless:
		return 2
	case Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual:
		return 3
	case Add, Sub:
		return 4
	case Mul, Div, Mod:
		return 5
	case Pow:
		return 6
	}
	return 0
}
