package scan

import (
	"regexp/syntax"
	"unicode/utf8"
)

// ahead is what a part of a program can begin with.
type ahead struct {
	ranges []rune
	// empty: it may match without taking a character, whatever comes next.
	empty bool
	// end: it may match without taking a character, at the end of the text.
	end bool
	// may tells whether it can match before a character that begins with this byte.
	may [256]bool
}

// can tells whether the part may match at i. A true means only that it has to be tried.
func (a *ahead) can(t *text, i int) bool {
	if i >= t.end {
		return a.empty || a.end
	}
	b := t.b[i]
	if b != '\\' || !t.escaped {
		return a.may[b]
	}
	r, n := t.char(i)
	if n == 0 {
		return true // whoever takes it will see that it is malformed
	}
	if r >= utf8.RuneSelf {
		return a.may[utf8.RuneSelf]
	}
	return a.may[r]
}

// aheadOf returns what the program can begin with at pc.
func (c *compiler) aheadOf(pc int) *ahead {
	a := &ahead{}
	c.collect(pc, a, map[int]bool{})
	high := false
	for i := 0; i < len(a.ranges); i += 2 {
		for r := a.ranges[i]; r <= a.ranges[i+1] && r < utf8.RuneSelf; r++ {
			a.may[r] = true
		}
		high = high || a.ranges[i+1] >= utf8.RuneSelf
	}
	for b := range a.may {
		a.may[b] = a.may[b] || a.empty || high && b >= utf8.RuneSelf
	}
	return a
}

func (c *compiler) collect(pc int, a *ahead, seen map[int]bool) {
	for !seen[pc] {
		seen[pc] = true
		in := &c.insts[pc]
		switch in.op {
		case opMatch:
			a.empty = true
			return
		case opFail:
			return
		case opLit:
			if in.lit.fold {
				a.ranges = union(a.ranges, orbit(in.lit.runes[0]))
			} else {
				a.ranges = union(a.ranges, []rune{in.lit.runes[0], in.lit.runes[0]})
			}
			return
		case opRun, opGreedy, opLazy:
			if in.max != 0 {
				a.ranges = union(a.ranges, in.class.ranges)
			}
			if in.min > 0 {
				return
			}
			pc++
		case opSplit:
			c.collect(in.x, a, seen)
			pc = in.y
		case opJump:
			pc = in.x
		case opAssert:
			if in.assert == syntax.EmptyEndText {
				a.end = true
				return
			}
			if in.assert == syntax.EmptyEndLine {
				a.end = true
				a.ranges = union(a.ranges, []rune{'\n', '\n'})
				return
			}
			pc++
		default:
			pc++
		}
	}
}

// decide finds out which runs have only one way to end, and prepares the choice of the
// others.
func (c *compiler) decide() {
	for pc := range c.insts {
		in := &c.insts[pc]
		switch in.op {
		case opSplit:
			in.after, in.other = c.aheadOf(in.x), c.aheadOf(in.y)
		case opGreedy:
			in.after = c.aheadOf(pc + 1)
			c.decideRun(pc)
		}
	}
}

// decideRun chooses the operation of the run at pc.
func (c *compiler) decideRun(pc int) {
	in := &c.insts[pc]
	next := pc + 1
	for c.insts[next].op == opOpen || c.insts[next].op == opClose {
		next++
	}
	follower := &c.insts[next]
	switch {
	case in.min == in.max:
		in.op = opRun
	case follower.op == opMatch:
		// Nothing that follows can ask for another end.
		in.op = opRun
		if in.lazy {
			in.max = in.min
		}
	case !in.after.empty && !intersect(in.class.ranges, in.after.ranges):
		// What follows begins with none of the run's characters: so the run ends where
		// they end, or the attempt fails.
		in.op = opRun
	case in.max < 0 && in.min <= 1 && follower.op == opLit && tail(in.class, follower.lit) > 0:
		in.op = opRun
		in.lit, in.back = follower.lit, tail(in.class, follower.lit)
	case in.lazy:
		in.op = opLazy
		in.skip = newClass(without(in.class.ranges, in.after))
	}
}

// tail returns how many characters of lit the run before it takes as well, if the next one
// is certain to end the run: \S+ takes one of `" `. Zero: it is not certain.
func tail(c *class, lit *literal) int {
	if lit.fold {
		return 0
	}
	for n, r := range lit.runes {
		if !c.has(r) {
			return n
		}
	}
	return 0
}

// without returns the part of ranges that after cannot begin with.
func without(ranges []rune, after *ahead) []rune {
	if after.empty {
		return nil
	}
	return not(union(not(ranges), after.ranges))
}
