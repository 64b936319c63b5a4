package pipeline

import (
	"regexp/syntax"
	"slices"
)

// literal is a text that a line has to have, in whatever case if fold is set.
type literal struct {
	text string
	fold bool
}

// clause is texts of which a line has to have one.
type clause []literal

const (
	maxAlternatives = 16
	maxExactBytes   = 1024
	maxClassRunes   = 4
)

// clauses returns what each line that passes the filter has.
func (f *lineFilter) clauses() []clause {
	if len(f.terms) == 1 && f.terms[0].re != nil {
		tree, err := syntax.Parse(f.terms[0].re.String(), syntax.Perl)
		if err != nil {
			return nil
		}
		return analyze(tree).all()
	}
	var any clause
	for i := range f.terms {
		t := &f.terms[i]
		switch {
		case t.re != nil:
			tree, err := syntax.Parse(t.re.String(), syntax.Perl)
			if err != nil {
				return nil
			}
			best := bestOf(analyze(tree).all())
			if best == nil {
				return nil
			}
			any = append(any, best...)
		case t.pattern != nil:
			longest := ""
			for _, part := range t.pattern.Parts {
				if len(part.Literal) > len(longest) {
					longest = part.Literal
				}
			}
			any = append(any, literal{text: longest})
		case t.ip != nil:
			return nil
		default:
			any = append(any, literal{text: string(t.text)})
		}
	}
	if shortest(any) == 0 || len(any) > maxAlternatives {
		return nil
	}
	return []clause{any}
}

// facts are what is known of the texts that an expression matches.
type facts struct {
	// exact are all of them, if known.
	exact clause
	// have are clauses that each of them fulfils.
	have []clause
}

// all returns the clauses, with what is exact among them.
func (f facts) all() []clause {
	if shortest(f.exact) > 0 {
		return append(f.have, f.exact)
	}
	return f.have
}

// shortest returns the length of the shortest text of a clause, 0 for none.
func shortest(c clause) int {
	if len(c) == 0 {
		return 0
	}
	n := len(c[0].text)
	for _, l := range c {
		n = min(n, len(l.text))
	}
	return n
}

func bestOf(list []clause) (best clause) {
	for _, c := range list {
		if shortest(c) > shortest(best) {
			best = c
		}
	}
	return best
}

// analyze returns what is known of an expression. What it says is necessary, not
// sufficient: assertions are taken for fulfilled.
func analyze(re *syntax.Regexp) facts {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return facts{exact: clause{{}}}
	case syntax.OpLiteral:
		return facts{exact: clause{{string(re.Rune), re.Flags&syntax.FoldCase != 0}}}
	case syntax.OpCharClass:
		return facts{exact: ofClass(re.Rune)}
	case syntax.OpCapture:
		return analyze(re.Sub[0])
	case syntax.OpQuest:
		if f := analyze(re.Sub[0]); len(f.exact) > 0 && len(f.exact) < maxAlternatives {
			return facts{exact: append(clause{{}}, f.exact...)}
		}
	case syntax.OpPlus:
		return facts{have: analyze(re.Sub[0]).all()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return facts{have: analyze(re.Sub[0]).all()}
		}
	case syntax.OpConcat:
		return ofConcat(re.Sub)
	case syntax.OpAlternate:
		return ofAlternate(re.Sub)
	}
	return facts{}
}

// ofClass returns the members of a small class.
func ofClass(ranges []rune) (c clause) {
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if len(c) == maxClassRunes {
				return nil
			}
			c = append(c, literal{text: string(r)})
		}
	}
	return c
}

func ofConcat(subs []*syntax.Regexp) (f facts) {
	now := clause{{}} // what the parts so far match, since something unknown
	known := true
	for _, sub := range subs {
		s := analyze(sub)
		next := cross(now, s.exact)
		if next == nil {
			known = false
			f.have = append(f.have, facts{exact: now}.all()...)
			f.have = append(f.have, s.have...)
			if next = s.exact; next == nil {
				next = clause{{}}
			}
		}
		now = next
	}
	if known {
		f.exact = now
	} else {
		f.have = append(f.have, facts{exact: now}.all()...)
	}
	return f
}

// cross returns each text of a followed by each of b; nil if they are too many, or unknown.
func cross(a, b clause) (out clause) {
	if len(a)*len(b) > maxAlternatives {
		return nil
	}
	size := 0
	for _, x := range a {
		for _, y := range b {
			out = append(out, literal{x.text + y.text, x.fold || y.fold})
			size += len(x.text) + len(y.text)
		}
	}
	if size > maxExactBytes {
		return nil
	}
	return out
}

func ofAlternate(subs []*syntax.Regexp) facts {
	var exact, have clause
	known := true
	for _, sub := range subs {
		f := analyze(sub)
		if known = known && len(f.exact) > 0; known {
			exact = append(exact, f.exact...)
		}
		best := bestOf(f.all())
		if best == nil && !known {
			return facts{}
		}
		have = append(have, best...)
	}
	switch {
	case known && len(exact) <= maxAlternatives:
		return facts{exact: exact}
	case len(have) > maxAlternatives || !eachHas(subs):
		return facts{}
	}
	return facts{have: []clause{have}}
}

// eachHas tells whether each expression has a clause of its own.
func eachHas(subs []*syntax.Regexp) bool {
	return !slices.ContainsFunc(subs, func(re *syntax.Regexp) bool { return bestOf(analyze(re).all()) == nil })
}
