package pipeline

import (
	"bytes"
	"math/bits"
	"regexp/syntax"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// sequence is a regular expression that is a number of characters one after the other, each
// of a class of ASCII characters that have no escape, as in ` 5\d\d `. So it can be looked
// for in escaped text, and the bytes of a class are all there is to compare.
type sequence struct {
	classes []set
	// fixed is how many characters are always the same; finder looks for them.
	fixed  int
	finder finder
	// pair is the class to look for if none is, one of two characters, and pairAt its place;
	// -1 if there is none.
	pair   [2]byte
	pairAt int
}

// set is a set of ASCII characters.
type set [2]uint64

func (s *set) has(c byte) bool { return c < 0x80 && s[c>>6]>>(c&63)&1 != 0 }

func (s *set) put(c byte) { s[c>>6] |= 1 << (c & 63) }

func (s *set) len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// first returns the smallest member.
func (s *set) first() byte {
	if s[0] != 0 {
		return byte(bits.TrailingZeros64(s[0]))
	}
	return byte(64 + bits.TrailingZeros64(s[1]))
}

const maxSequence = 64

// newSequence returns the sequence that an expression is, nil if it is none.
func newSequence(expr string) *sequence {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	s := &sequence{pairAt: -1}
	if !s.add(tree) || len(s.classes) == 0 {
		return nil
	}
	s.anchor()
	return s
}

// add appends what an expression matches, and tells whether it is a sequence.
func (s *sequence) add(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if !s.addRune(r, re.Flags&syntax.FoldCase != 0) {
				return false
			}
		}
		return true
	case syntax.OpCharClass:
		return s.addClass(re.Rune)
	case syntax.OpCapture:
		return s.add(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min != re.Max || re.Max > maxSequence {
			return false
		}
		for range re.Min {
			if !s.add(re.Sub[0]) {
				return false
			}
		}
		return true
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !s.add(sub) {
				return false
			}
		}
		return true
	}
	return false
}

// simple tells whether a character is one byte of escaped text.
func simple(r rune) bool { return ' ' <= r && r < 0x7f && r != '"' && r != '\\' }

func (s *sequence) addRune(r rune, fold bool) bool {
	if !simple(r) || len(s.classes) == maxSequence {
		return false
	}
	var c set
	c.put(byte(r))
	if lower := r | 0x20; fold && 'a' <= lower && lower <= 'z' {
		if lower == 'k' || lower == 's' {
			return false // U+212A and U+017F are the same letters
		}
		c.put(byte(lower))
		c.put(byte(lower &^ 0x20))
	}
	s.classes = append(s.classes, c)
	return true
}

func (s *sequence) addClass(ranges []rune) bool {
	var c set
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i+1] >= 0x7f {
			return false
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if !simple(r) {
				return false
			}
			c.put(byte(r))
		}
	}
	if c.len() == 0 || len(s.classes) == maxSequence {
		return false
	}
	s.classes = append(s.classes, c)
	return true
}

// anchor chooses what is looked for first.
func (s *sequence) anchor() {
	text := make([]byte, len(s.classes))
	for i := range s.classes {
		if text[i] = s.classes[i].first(); s.classes[i].len() == 1 {
			s.fixed++
		}
	}
	if s.fixed > 0 {
		s.finder = newFinder(text, func(i int) bool { return s.classes[i].len() > 1 })
		return
	}
	least := int(^uint(0) >> 1)
	for i := range s.classes {
		if c := s.classes[i]; c.len() == 2 {
			a := c.first()
			c[a>>6] &^= 1 << (a & 63)
			b := c.first()
			if common := frequency(a) + frequency(b); common < least {
				least, s.pair, s.pairAt = common, [2]byte{a, b}, i
			}
		}
	}
}

// anchored tells whether the sequence can be looked for faster than line by line.
func (s *sequence) anchored() bool { return s.fixed > 0 || s.pairAt >= 0 }

// weight is how much of it is fixed, to compare with the length of a text.
func (s *sequence) weight() int { return s.fixed + 1 }

// at tells whether the sequence is at a place of b.
func (s *sequence) at(b []byte, from int) bool {
	if from < 0 || from+len(s.classes) > len(b) {
		return false
	}
	b = b[from : from+len(s.classes)]
	for i := range b {
		if !s.classes[i].has(b[i]) {
			return false
		}
	}
	return true
}

// find returns the first place of the sequence from a place on, -1 if there is none.
func (s *sequence) find(text []byte, from int) int {
	switch {
	case s.fixed > 0:
		for at := s.finder.next(text, from); at >= 0; at = s.finder.next(text, at+1) {
			if s.at(text, at) {
				return at
			}
		}
		return -1
	case s.pairAt >= 0:
		return s.findPair(text, from)
	}
	for ; from+len(s.classes) <= len(text); from++ {
		if s.at(text, from) {
			return from
		}
	}
	return -1
}

// findPair looks for both characters of the pair, and goes on with that which comes first.
func (s *sequence) findPair(text []byte, from int) int {
	at := from + s.pairAt
	if at >= len(text) {
		return -1
	}
	next := func(c byte, at int) int {
		if i := bytes.IndexByte(text[at:], c); i >= 0 {
			return at + i
		}
		return len(text)
	}
	a, b := next(s.pair[0], at), next(s.pair[1], at)
	for a < len(text) || b < len(text) {
		if a < b {
			if s.at(text, a-s.pairAt) {
				return a - s.pairAt
			}
			a = next(s.pair[0], a+1)
		} else {
			if s.at(text, b-s.pairAt) {
				return b - s.pairAt
			}
			b = next(s.pair[1], b+1)
		}
	}
	return -1
}

// in tells whether a body, in canonical escaping, has the sequence.
func (s *sequence) in(body []byte) bool {
	for at := s.find(body, 0); at >= 0; at = s.find(body, at+1) {
		if !inEscape(body, at) {
			return true
		}
	}
	return false
}

// inEscape tells whether an escape of body began before at and has not ended there.
func inEscape(body []byte, at int) bool {
	for back := 1; back <= 5 && back <= at; back++ {
		if body[at-back] != '\\' || jsontext.Escaped(body[:at-back]) {
			continue
		}
		return back == 1 || body[at-back+1] == 'u'
	}
	return false
}
