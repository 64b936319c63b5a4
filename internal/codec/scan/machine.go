package scan

import "github.com/weirlog/weir/internal/record"

// unset is the start of a group that has not begun.
const unset = ^uint32(0)

// choice is a place to go back to when an attempt fails: for a split the other way, for a
// run a different end; with a negative pc, a group to set back to what it was.
type choice struct {
	pc  int32
	pos uint32
	// aux is the first end allowed to a greedy run, how many more characters a lazy one
	// may take, the Len of a group.
	aux uint32
}

// endless is the aux of a lazy run without a limit.
const endless = ^uint32(0)

// maxChoices bounds the memory of an attempt; beyond it regexp has to tell.
const maxChoices = 1 << 12

// machine runs a program with backtracking: what is tried first is what regexp prefers,
// so the first way through is regexp's match.
type machine struct {
	prog []inst
	t    text
	row  []record.Span
	// choices are the ways not tried yet, last first. Their memory is used again.
	choices []choice
	// work is how many characters may yet be looked at before regexp takes over.
	work int
	// far is the deepest place in the program where something did not fit.
	far place
}

// attempt matches the program at pos. It returns the end, or what went wrong.
func (m *machine) attempt(pos int) int {
	for i := range m.row {
		m.row[i] = record.Span{Off: unset}
	}
	m.choices = m.choices[:0]
	pc := 0
	for {
		in := &m.prog[pc]
		m.work--
		if in.op == opMatch {
			return pos
		}
		next := m.step(in, pc, pos)
		if next >= 0 {
			pos = next
			switch in.op {
			case opSplit:
				pc = m.way(in, pc, pos)
			case opJump:
				pc = in.x
			default:
				pc++
			}
			if pc >= 0 {
				continue
			}
			return pc
		}
		if m.far = m.far.deeper(place{pc, pos}); next != failed {
			return next
		}
		if pc, pos = m.pop(); pc < 0 {
			return pc
		}
	}
}

// step does what in says at pos and returns where to go on.
func (m *machine) step(in *inst, pc, pos int) int {
	switch in.op {
	case opLit:
		return in.lit.at(&m.t, pos)
	case opRun:
		end := in.run(&m.t, pos)
		m.work -= max(end-pos, 0)
		return end
	case opGreedy:
		return m.greedy(in, pc, pos)
	case opLazy:
		end, n := in.class.count(&m.t, pos, in.min)
		if end < 0 || n < in.min {
			return min(end, failed)
		}
		left := endless
		if in.max >= 0 {
			left = uint32(in.max - in.min)
		}
		return m.lazy(in, pc, end, left)
	case opOpen:
		if !m.undo(in.x) {
			return gaveUp
		}
		m.row[in.x].Off = uint32(pos)
	case opClose:
		if !m.undo(in.x) {
			return gaveUp
		}
		m.row[in.x].Len = uint32(pos)
	case opAssert:
		return m.t.assert(in.assert, pos)
	case opFail:
		return failed
	}
	return pos
}

// run returns the only end of a run that begins at pos.
func (in *inst) run(t *text, pos int) int {
	if in.max >= 0 || in.min > 1 {
		limit := in.max
		if limit < 0 {
			limit = t.end - pos
		}
		end, n := in.class.count(t, pos, limit)
		if end >= 0 && n < in.min {
			return failed
		}
		return end
	}
	end := in.class.run(t, pos)
	if end < 0 {
		return end
	}
	if in.back > 0 {
		if end = in.lit.before(t, end, pos, in.back); end < 0 {
			return end
		}
	}
	if end-pos < in.min {
		return failed
	}
	return end
}

// way chooses between the two ways of the split at pc, or returns gaveUp.
func (m *machine) way(in *inst, pc, pos int) int {
	if !in.after.can(&m.t, pos) {
		return in.y
	}
	if in.other.can(&m.t, pos) && !m.push(choice{pc: int32(pc), pos: uint32(pos)}) {
		return gaveUp
	}
	return in.x
}

// greedy takes as much as it may at pos, down to the last place where what follows can
// begin.
func (m *machine) greedy(in *inst, pc, pos int) int {
	lo, n := in.class.count(&m.t, pos, in.min)
	if lo < 0 || n < in.min {
		return min(lo, failed)
	}
	end := lo
	if in.max < 0 {
		end = in.class.run(&m.t, lo)
	} else {
		end, _ = in.class.count(&m.t, lo, in.max-in.min)
	}
	if end < 0 {
		return end
	}
	m.work -= end - pos
	return m.retreat(in, choice{pc: int32(pc), pos: uint32(end), aux: uint32(lo)})
}

// retreat returns the last end of a greedy run that may do, from c.pos down to c.aux.
func (m *machine) retreat(in *inst, c choice) int {
	at, lo := int(c.pos), int(c.aux)
	for !in.after.can(&m.t, at) {
		if at <= lo {
			return failed
		}
		if at = m.t.prev(at, lo); at < 0 {
			return at
		}
		m.work--
	}
	if c.pos = uint32(at); at > lo && !m.push(c) {
		return gaveUp
	}
	return at
}

// lazy returns the first end from at on that may do, of a run that may take left more.
func (m *machine) lazy(in *inst, pc, at int, left uint32) int {
	if left == endless {
		end := in.skip.run(&m.t, at)
		m.work -= max(end-at, 0)
		if end < 0 {
			return end
		}
		if at = end; !in.after.can(&m.t, at) {
			return failed
		}
	}
	for !in.after.can(&m.t, at) {
		if left == 0 {
			return failed
		}
		end, n := in.class.count(&m.t, at, 1)
		if end < 0 || n == 0 {
			return min(end, failed)
		}
		at = end
		left--
		m.work--
	}
	if left > 0 && at < m.t.end && !m.push(choice{pc: int32(pc), pos: uint32(at), aux: left}) {
		return gaveUp
	}
	return at
}

// pop takes the last choice and returns where to go on. Without one it returns what is to
// be said instead of an instruction.
func (m *machine) pop() (pc, pos int) {
	for len(m.choices) > 0 {
		if m.work--; m.work < 0 {
			return gaveUp, 0
		}
		c := m.choices[len(m.choices)-1]
		m.choices = m.choices[:len(m.choices)-1]
		if c.pc < 0 {
			m.row[-1-c.pc] = record.Span{Off: c.pos, Len: c.aux}
			continue
		}
		in := &m.prog[c.pc]
		if in.op == opSplit {
			return in.y, int(c.pos)
		}
		if pos = m.again(in, c); pos >= 0 {
			return int(c.pc) + 1, pos
		}
		if pos != failed {
			return pos, 0
		}
	}
	return failed, 0
}

// again returns the next end of the run that c was pushed for.
func (m *machine) again(in *inst, c choice) int {
	if in.op == opGreedy {
		at := m.t.prev(int(c.pos), int(c.aux))
		if at < 0 {
			return at
		}
		c.pos = uint32(at)
		return m.retreat(in, c)
	}
	end, n := in.class.count(&m.t, int(c.pos), 1)
	if end < 0 || n == 0 {
		return min(end, failed)
	}
	if c.aux != endless {
		c.aux--
	}
	return m.lazy(in, int(c.pc), end, c.aux)
}

// undo remembers a group as it is, if there is a choice to go back to.
func (m *machine) undo(slot int) bool {
	return len(m.choices) == 0 ||
		m.push(choice{pc: int32(-1 - slot), pos: m.row[slot].Off, aux: m.row[slot].Len})
}

// push adds a choice. It is false when there are too many.
func (m *machine) push(c choice) bool {
	if len(m.choices) == maxChoices {
		return false
	}
	m.choices = append(m.choices, c)
	return true
}
