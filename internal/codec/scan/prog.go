package scan

import (
	"fmt"
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// A program is a list of instructions. They are what remains of an expression when
// everything that is decided by the characters that follow has been decided at compile
// time.
type inst struct {
	op op
	// x and y are the instructions to go on with, x first; x is a group's number for opOpen
	// and opClose.
	x, y int
	// min and max bound a run; max is unbounded if negative.
	min, max int
	// lazy prefers fewer.
	lazy  bool
	class *class
	lit   *literal
	// back is how many characters of lit belong to the run before: opRun gives them back.
	back   int
	assert syntax.EmptyOp
	// after and other are what the next instruction, or x and y, can begin with.
	after, other *ahead
	// skip is what a lazy run passes without a try to go on.
	skip *class
}

type op uint8

const (
	opMatch  op = iota
	opFail      // never matches
	opLit       // lit
	opRun       // all of class that is there, min at least
	opGreedy    // all of class that is there, then less
	opLazy      // min of class, then more
	opOpen      // group x begins
	opClose     // group x ends
	opSplit     // x, else y
	opJump      // x
	opAssert    // assert
)

// maxInsts bounds what counted repetitions can make of a short expression.
const maxInsts = 2000

// unsupported says why an expression is left to regexp.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// errTooLarge is the reason for expressions beyond maxInsts.
var errTooLarge = unsupported(fmt.Sprintf("its repetitions make it longer than %d steps", maxInsts))

// compiler turns a syntax tree into instructions.
type compiler struct {
	insts []inst
	// slots are the groups that have names, by their number in the expression.
	slots map[int]int
	// label is the last instruction that something jumps to.
	label int
}

// program compiles re, unless it is unsupported.
func (c *compiler) program(re *syntax.Regexp) error {
	if err := c.node(re); err != nil {
		return err
	}
	c.emit(inst{op: opMatch})
	c.decide()
	return nil
}

func (c *compiler) emit(i inst) int {
	c.insts = append(c.insts, i)
	return len(c.insts) - 1
}

// here returns the place of the next instruction, as something to jump to.
func (c *compiler) here() int {
	c.label = len(c.insts)
	return c.label
}

func (c *compiler) node(re *syntax.Regexp) error {
	if len(c.insts) > maxInsts {
		return errTooLarge
	}
	switch re.Op {
	case syntax.OpNoMatch:
		c.emit(inst{op: opFail})
	case syntax.OpEmptyMatch:
	case syntax.OpLiteral:
		return c.literal(re)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return c.repeat(re, 1, 1, false)
	case syntax.OpCapture:
		return c.capture(re)
	case syntax.OpStar:
		return c.repeat(re.Sub[0], 0, -1, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpPlus:
		return c.repeat(re.Sub[0], 1, -1, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpQuest:
		return c.repeat(re.Sub[0], 0, 1, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpRepeat:
		return c.repeat(re.Sub[0], re.Min, re.Max, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if err := c.node(sub); err != nil {
				return err
			}
		}
	case syntax.OpAlternate:
		return c.alternate(re)
	default:
		a, ok := assertion(re.Op)
		if !ok {
			return unsupported("it has a construct that only regexp knows: " + re.String())
		}
		c.emit(inst{op: opAssert, assert: a})
	}
	return nil
}

func assertion(op syntax.Op) (syntax.EmptyOp, bool) {
	switch op {
	case syntax.OpBeginLine:
		return syntax.EmptyBeginLine, true
	case syntax.OpEndLine:
		return syntax.EmptyEndLine, true
	case syntax.OpBeginText:
		return syntax.EmptyBeginText, true
	case syntax.OpEndText:
		return syntax.EmptyEndText, true
	case syntax.OpWordBoundary:
		return syntax.EmptyWordBoundary, true
	case syntax.OpNoWordBoundary:
		return syntax.EmptyNoWordBoundary, true
	}
	return 0, false
}

// literal emits the text of re, joined with text just before it.
func (c *compiler) literal(re *syntax.Regexp) error {
	fold := false
	for _, r := range re.Rune {
		if r == utf8.RuneError || !utf8.ValidRune(r) {
			return unsupported("it looks for U+FFFD, which is also what invalid UTF-8 is taken for")
		}
		fold = fold || re.Flags&syntax.FoldCase != 0 && unicode.SimpleFold(r) != r
	}
	if n := len(c.insts); n > c.label && c.insts[n-1].op == opLit && c.insts[n-1].lit.fold == fold {
		last := &c.insts[n-1]
		last.lit = newLiteral(append(last.lit.runes[:len(last.lit.runes):len(last.lit.runes)], re.Rune...), fold)
		return nil
	}
	c.emit(inst{op: opLit, lit: newLiteral(re.Rune, fold)})
	return nil
}

func (c *compiler) capture(re *syntax.Regexp) error {
	slot, named := c.slots[re.Cap]
	if !named {
		return c.node(re.Sub[0])
	}
	c.emit(inst{op: opOpen, x: slot})
	if err := c.node(re.Sub[0]); err != nil {
		return err
	}
	c.emit(inst{op: opClose, x: slot})
	return nil
}

// repeat emits at least min and at most max (-1: any number) of re.
func (c *compiler) repeat(re *syntax.Regexp, min, max int, lazy bool) error {
	if ranges := c.single(re); ranges != nil {
		c.emit(inst{op: opGreedy, class: newClass(ranges), min: min, max: max, lazy: lazy})
		return nil
	}
	if max != 1 && canBeEmpty(re) {
		return unsupported("it repeats something that can be empty: " + re.String())
	}
	for n := range min {
		if max < 0 && n == min-1 {
			return c.loop(re, lazy)
		}
		if err := c.node(re); err != nil {
			return err
		}
	}
	if max < 0 {
		split := c.split(lazy)
		c.here()
		if err := c.node(re); err != nil {
			return err
		}
		c.emit(inst{op: opJump, x: split})
		c.join(split, lazy)
		return nil
	}
	var splits []int
	for range max - min {
		splits = append(splits, c.split(lazy))
		if err := c.node(re); err != nil {
			return err
		}
	}
	for _, s := range splits {
		c.join(s, lazy)
	}
	return nil
}

// loop emits re once or more.
func (c *compiler) loop(re *syntax.Regexp, lazy bool) error {
	start := c.here()
	if err := c.node(re); err != nil {
		return err
	}
	split := c.emit(inst{op: opSplit})
	c.insts[split].x, c.insts[split].y = start, c.here()
	if lazy {
		c.insts[split].x, c.insts[split].y = c.insts[split].y, start
	}
	return nil
}

// split emits a choice between what follows and what join will say.
func (c *compiler) split(lazy bool) int {
	at := c.emit(inst{op: opSplit, lazy: lazy})
	c.insts[at].x, c.insts[at].y = at+1, at+1
	c.here()
	return at
}

// join lets the other way of a split go on here.
func (c *compiler) join(split int, lazy bool) {
	if lazy {
		c.insts[split].x = c.here()
	} else {
		c.insts[split].y = c.here()
	}
}

func (c *compiler) alternate(re *syntax.Regexp) error {
	var ends []int
	for i, sub := range re.Sub {
		last := i == len(re.Sub)-1
		split := -1
		if !last {
			split = c.split(false)
		}
		if err := c.node(sub); err != nil {
			return err
		}
		if !last {
			ends = append(ends, c.emit(inst{op: opJump}))
			c.join(split, false)
		}
	}
	for _, e := range ends {
		c.insts[e].x = c.here()
	}
	return nil
}

// single returns the ranges of re if it is one character of a set, else nil.
func (c *compiler) single(re *syntax.Regexp) []rune {
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) != 1 || !utf8.ValidRune(re.Rune[0]) {
			return nil
		}
		if re.Flags&syntax.FoldCase != 0 {
			return orbit(re.Rune[0])
		}
		return []rune{re.Rune[0], re.Rune[0]}
	case syntax.OpCharClass:
		return re.Rune
	case syntax.OpAnyChar:
		return []rune{0, unicode.MaxRune}
	case syntax.OpAnyCharNotNL:
		return []rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	case syntax.OpCapture:
		if _, named := c.slots[re.Cap]; !named {
			return c.single(re.Sub[0])
		}
	}
	return nil
}

// canBeEmpty tells whether re matches without taking a character.
func canBeEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpCapture, syntax.OpPlus:
		return canBeEmpty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || canBeEmpty(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !canBeEmpty(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if canBeEmpty(sub) {
				return true
			}
		}
		return false
	}
	return true
}
