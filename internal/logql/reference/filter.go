package reference

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/unit"
)

// labelFilter tells whether an entry passes a condition. The right side of and and or is
// left alone when the left decides, so that it makes no errors.
func labelFilter(f syntax.LabelFilter, s *state) bool {
	switch f := f.(type) {
	case *syntax.LogicFilter:
		if left := labelFilter(f.Left, s); left == f.Or {
			return left
		}
		return labelFilter(f.Right, s)
	case *syntax.StringFilter:
		ok := f.Matcher.Matches(s.get(f.Matcher.Name))
		if ok && f.Matcher.Name == syntax.ErrorLabel && s.err != "" {
			s.kept = true
		}
		return ok
	case *syntax.IPFilter:
		return ipFilter(f, s)
	case *syntax.CompareFilter:
		return compareFilter(f, s)
	}
	panic("reference: unknown filter")
}

// ipFilter passes what has an error, as only text filters look at errors, and stops what
// lacks the label.
func ipFilter(f *syntax.IPFilter, s *state) bool {
	if s.err != "" {
		return true
	}
	v, ok := s.labels[f.Label]
	return ok && hasAddress(&f.Range, v) != f.Not
}

// compareFilter stops what lacks the label, also what has an error. A label that is no number
// of the kind, or empty, is an error, unless there is one.
func compareFilter(f *syntax.CompareFilter, s *state) bool {
	v, ok := s.labels[f.Label]
	if !ok {
		return false
	}
	var err error
	switch f.Kind {
	case syntax.KindNumber:
		var n float64
		n, err = strconv.ParseFloat(v, 64)
		ok = compareNumbers(f.Op, n, f.Number)
	case syntax.KindDuration:
		var d time.Duration
		d, err = time.ParseDuration(v)
		ok = compareInts(f.Op, d, f.Duration)
	case syntax.KindBytes:
		var n uint64
		n, err = unit.ParseBytes(v)
		ok = compareInts(f.Op, n, f.Bytes)
	}
	if err != nil {
		if s.err == "" {
			s.fail(syntax.LabelFilterErr, err.Error())
		}
		return true
	}
	return ok
}

// compareNumbers leaves NaN to Go: it is equal to nothing.
func compareNumbers(op syntax.CompareOp, a, b float64) bool {
	switch op {
	case syntax.CompareEqual:
		return a == b
	case syntax.CompareNotEqual:
		return a != b
	case syntax.CompareGreater:
		return a > b
	case syntax.CompareGreaterOrEqual:
		return a >= b
	case syntax.CompareLess:
		return a < b
	}
	return a <= b
}

func compareInts[T cmp.Ordered](op syntax.CompareOp, a, b T) bool {
	return compareNumbers(op, float64(cmp.Compare(a, b)), 0)
}

// hasAddress looks for addresses of a range in a text. Candidates for IPv4 are the longest
// runs of digits and points, without points at their ends; for IPv6 the longest runs of
// hexadecimal digits, colons and points, without points at their ends and without a colon
// that stands alone at the end.
func hasAddress(r *syntax.IPRange, text string) bool {
	for _, run := range runs(text, "0123456789.") {
		if a, err := netip.ParseAddr(strings.Trim(run, ".")); err == nil && a.Is4() && r.Contains(a) {
			return true
		}
	}
	for _, run := range runs(text, "0123456789abcdefABCDEF:.") {
		run = strings.Trim(run, ".")
		if strings.HasSuffix(run, ":") && !strings.HasSuffix(run, "::") {
			run = run[:len(run)-1]
		}
		if a, err := netip.ParseAddr(run); err == nil && a.Is6() && r.Contains(a) {
			return true
		}
	}
	return false
}

func runs(text, of string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return !strings.ContainsRune(of, c) })
}
