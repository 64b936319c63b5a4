package pipeline

import (
	"bytes"
	"cmp"
	"net/netip"
	"regexp"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/unit"
)

// condition is a label filter.
type condition interface {
	// holds tells whether a record passes.
	holds(r *Runner) bool
	// possible tells whether a record with such labels can pass, and whether it can have an
	// error then or when it does not; failed tells whether it can have one before.
	possible(v Values, failed bool) (pass, fails bool)
}

type labelFilterStage struct{ condition }

func (s *labelFilterStage) run(r *Runner) bool { return s.holds(r) }

func newLabelFilter(f syntax.LabelFilter) condition {
	switch f := f.(type) {
	case *syntax.LogicFilter:
		return &logic{f.Or, newLabelFilter(f.Left), newLabelFilter(f.Right)}
	case *syntax.StringFilter:
		return &textCondition{f.Matcher}
	case *syntax.IPFilter:
		return &ipCondition{f}
	case *syntax.CompareFilter:
		return &compareCondition{f}
	}
	panic("pipeline: a label filter that syntax has and this package has not")
}

type logic struct {
	or          bool
	left, right condition
}

func (c *logic) holds(r *Runner) bool {
	if left := c.left.holds(r); left == c.or {
		return left
	}
	return c.right.holds(r)
}

func (c *logic) possible(v Values, failed bool) (pass, fails bool) {
	left, fails := c.left.possible(v, failed)
	right, fails := c.right.possible(v, fails)
	if c.or {
		return left || right, fails
	}
	return left && right, fails
}

type textCondition struct{ m syntax.Matcher }

func (c *textCondition) holds(r *Runner) bool {
	ok := matches(&c.m, r.get(c.m.Name))
	if ok && c.m.Name == syntax.ErrorLabel && r.err != "" {
		r.wanted = true
	}
	return ok
}

func (c *textCondition) possible(v Values, failed bool) (pass, fails bool) {
	if failed && syntax.IsErrorLabel(c.m.Name) {
		return true, true
	}
	values, known := v.Values(c.m.Name)
	for _, value := range values {
		if c.m.Matches(value) {
			return true, failed
		}
	}
	return !known, failed
}

// matches is m.Matches for bytes.
func matches(m *syntax.Matcher, value []byte) bool {
	switch m.Op {
	case syntax.MatchEqual:
		return string(value) == m.Value
	case syntax.MatchNotEqual:
		return string(value) != m.Value
	case syntax.MatchRegexp:
		return matchesRegexp(m.Re, value)
	}
	return !matchesRegexp(m.Re, value)
}

func matchesRegexp(re *regexp.Regexp, value []byte) bool { return re.Match(value) }

// ipCondition passes what has an error and stops what lacks the label.
type ipCondition struct{ f *syntax.IPFilter }

func (c *ipCondition) holds(r *Runner) bool {
	if r.err != "" {
		return true
	}
	i := r.find(c.f.Label)
	return i >= 0 && hasAddress(&c.f.Range, r.labels[i].value) != c.f.Not
}

func (c *ipCondition) possible(v Values, failed bool) (pass, fails bool) {
	values, known := v.Values(c.f.Label)
	for _, value := range values {
		if value != "" && hasAddress(&c.f.Range, []byte(value)) != c.f.Not {
			return true, failed
		}
	}
	return failed || !known, failed
}

// compareCondition stops what lacks the label, also a record with an error. A label that is
// no number of the kind, or empty, is an error, unless there is one already.
type compareCondition struct{ f *syntax.CompareFilter }

func (c *compareCondition) holds(r *Runner) bool {
	i := r.find(c.f.Label)
	if i < 0 {
		return false
	}
	v := r.labels[i].value
	ok, err := false, error(nil)
	if c.f.Kind == syntax.KindNumber {
		ok, err = c.compareNumber(v)
	} else {
		ok, err = c.compare(r.lasting(v))
	}
	if err != nil {
		if r.err == "" {
			r.fail(syntax.LabelFilterErr, err.Error())
		}
		return true
	}
	return ok
}

func (c *compareCondition) compareNumber(v []byte) (bool, error) {
	n, err := strconv.ParseFloat(string(v), 64)
	return compare(c.f.Op, n, c.f.Number), err
}

func (c *compareCondition) compare(v string) (bool, error) {
	switch c.f.Kind {
	case syntax.KindDuration:
		d, err := time.ParseDuration(v)
		return compare(c.f.Op, d, c.f.Duration), err
	case syntax.KindBytes:
		n, err := unit.ParseBytes(v)
		return compare(c.f.Op, n, c.f.Bytes), err
	}
	return c.compareNumber([]byte(v))
}

func (c *compareCondition) possible(v Values, failed bool) (pass, fails bool) {
	values, known := v.Values(c.f.Label)
	pass, fails = !known, failed || !known
	for _, value := range values {
		if value == "" {
			continue
		}
		ok, err := c.compare(value)
		pass, fails = pass || ok || err != nil, fails || err != nil
	}
	return pass, fails
}

func compare[T cmp.Ordered](op syntax.CompareOp, a, b T) bool {
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

// hasAddress looks for an address of a range in a text: the longest runs of the characters
// that IPv4 addresses have, and those that IPv6 addresses have, without points at their
// ends and without a colon that stands alone at the end.
func hasAddress(r *syntax.IPRange, text []byte) bool {
	return hasRun(r, text, v4) || hasRun(r, text, v6)
}

// The characters of addresses.
const (
	v4 = 1 << iota
	v6
)

var addressChar = func() (is [256]byte) {
	for _, c := range "0123456789." {
		is[c] = v4 | v6
	}
	for _, c := range "abcdefABCDEF:" {
		is[c] = v6
	}
	return is
}()

func hasRun(r *syntax.IPRange, text []byte, kind byte) bool {
	for at := 0; at < len(text); {
		if addressChar[text[at]]&kind == 0 {
			at++
			continue
		}
		from := at
		for at < len(text) && addressChar[text[at]]&kind != 0 {
			at++
		}
		run := bytes.Trim(text[from:at], ".")
		if kind == v6 && bytes.HasSuffix(run, []byte(":")) && !bytes.HasSuffix(run, []byte("::")) {
			run = run[:len(run)-1]
		}
		if len(run) < 2 || len(run) > 64 {
			continue
		}
		if a, err := netip.ParseAddr(string(run)); err == nil && a.Is4() == (kind == v4) && r.Contains(a) {
			return true
		}
	}
	return false
}
