package scan

import (
	"regexp/syntax"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// What an attempt ends with instead of a place in the text.
const (
	failed    = -1 // the pattern does not match here
	malformed = -2 // an escape that JSON does not have: only the plain text can tell
	gaveUp    = -3 // it would take too long: regexp, which is linear, has to tell
)

// text is what a pattern is matched with: b[beg:end], where a character is what it stands
// for. In escaped text that may be an escape of 2, 6 or 12 bytes. Places are places in b,
// and always between two characters. b may go on after end; what is there is looked at,
// eight bytes at once, but never matched.
type text struct {
	b        []byte
	beg, end int
	escaped  bool
}

// newText returns plain text that is all of b.
func newText(b []byte) text { return text{b: b, end: len(b)} }

// char returns the character at i, which is before the end, and how many bytes it takes:
// none when it is a malformed escape. A byte that is not UTF-8 is U+FFFD, as in regexp.
func (t *text) char(i int) (r rune, n int) {
	c := t.b[i]
	if c == '\\' && t.escaped {
		return t.escape(i)
	}
	if c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRune(t.b[i:t.end])
}

// escape returns the character of the escape at i and how many bytes it takes.
func (t *text) escape(i int) (r rune, n int) {
	s := t.b[i:t.end]
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'u':
		return jsontext.Unicode(s)
	}
	return 0, 0
}

// prev returns where the character before i begins. lo is a place before i.
func (t *text) prev(i, lo int) int {
	if t.escaped {
		if at := t.prevEscape(i, lo); at != failed {
			return at
		}
	}
	if t.b[i-1] < utf8.RuneSelf {
		return i - 1
	}
	_, n := utf8.DecodeLastRune(t.b[lo:i])
	return i - n
}

// prevEscape returns where the escape that ends at i begins, or failed if none does.
func (t *text) prevEscape(i, lo int) int {
	if i-2 >= lo && t.b[i-2] == '\\' {
		if odd := t.opens(i-2, lo); odd != failed {
			return odd
		}
	}
	if i-6 < lo || t.b[i-6] != '\\' || t.b[i-5] != 'u' {
		return failed
	}
	at := t.opens(i-6, lo)
	if at < 0 {
		return at
	}
	// The second half of a pair belongs to the first.
	if low := jsontext.Hex4(t.b[at:i]); low >= 0xDC00 && low < 0xE000 && i-12 >= lo && t.b[i-12] == '\\' {
		if high := jsontext.Hex4(t.b[i-12 : i]); high >= 0xD800 && high < 0xDC00 && t.opens(i-12, lo) == i-12 {
			return i - 12
		}
	}
	return at
}

// opens returns i if the backslash at i begins an escape, failed if it is itself escaped,
// malformed if there are too many of them to count again and again.
func (t *text) opens(i, lo int) int {
	const most = 256
	n := 1
	for i-n >= lo && t.b[i-n] == '\\' {
		if n++; n > most {
			return malformed
		}
	}
	if n&1 == 1 {
		return i
	}
	return failed
}

// assert tells whether the empty-width assertion a holds at i: i, failed or malformed.
func (t *text) assert(a syntax.EmptyOp, i int) int {
	before, after := rune(-1), rune(-1)
	if i > t.beg {
		at := t.prev(i, t.beg)
		if at < 0 {
			return at
		}
		before, _ = t.char(at)
	}
	if i < t.end {
		r, n := t.char(i)
		if n == 0 {
			return malformed
		}
		after = r
	}
	if a&^syntax.EmptyOpContext(before, after) != 0 {
		return failed
	}
	return i
}
