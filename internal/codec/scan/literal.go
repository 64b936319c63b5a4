package scan

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// literal is text that has to stand in the line.
type literal struct {
	runes []rune
	// fold tells that case does not matter; plain and escaped are then not used.
	fold bool
	// plain and escaped are the forms in which it is expected. In escaped text it may
	// have others, which are compared character by character.
	plain, escaped form
}

// form is one way to write a literal.
type form struct {
	b []byte
	// The first 16 bytes as words, with masks for those that b has.
	word0, mask0, word1, mask1 uint64
}

func newLiteral(runes []rune, fold bool) *literal {
	l := &literal{runes: runes, fold: fold}
	l.plain = newForm([]byte(string(runes)))
	l.escaped = newForm(escape(nil, runes))
	return l
}

// escape appends runes as Docker writes them inside a JSON string.
func escape(dst []byte, runes []rune) []byte {
	const digits = "0123456789abcdef"
	for _, r := range runes {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r < ' ' || r == '<' || r == '>' || r == '&':
			dst = append(dst, `\u00`...)
			dst = append(dst, digits[r>>4], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func newForm(b []byte) form {
	var word, mask [16]byte
	for i := range min(copy(word[:], b), 16) {
		mask[i] = 0xFF
	}
	return form{
		b:     b,
		word0: binary.LittleEndian.Uint64(word[:]), mask0: binary.LittleEndian.Uint64(mask[:]),
		word1: binary.LittleEndian.Uint64(word[8:]), mask1: binary.LittleEndian.Uint64(mask[8:]),
	}
}

// at tells whether b[i:end] begins with f.
func (f *form) at(b []byte, i, end int) bool {
	n := len(f.b)
	if i+n > end {
		return false
	}
	if i+16 > len(b) {
		return string(b[i:i+n]) == string(f.b)
	}
	x := (binary.LittleEndian.Uint64(b[i:]) ^ f.word0) & f.mask0
	y := (binary.LittleEndian.Uint64(b[i+8:]) ^ f.word1) & f.mask1
	return x|y == 0 && (n <= 16 || string(b[i+16:i+n]) == string(f.b[16:]))
}

// at returns where l, which begins at i, ends; failed if it is not there.
func (l *literal) at(t *text, i int) int {
	f := &l.plain
	if t.escaped {
		f = &l.escaped
	}
	if !l.fold {
		if f.at(t.b, i, t.end) {
			return i + len(f.b)
		}
		if !t.escaped {
			return failed
		}
	}
	for _, want := range l.runes {
		if i >= t.end {
			return failed
		}
		r, n := t.char(i)
		if n == 0 {
			return malformed
		}
		// Only U+FFFD itself is that, not a byte taken for it.
		if r != want && !(l.fold && sameFold(r, want)) || r == utf8.RuneError && n == 1 {
			return failed
		}
		i += n
	}
	return i
}

// before returns where the first n characters of l, which end at i, begin; failed if they
// are not there or begin before lo.
func (l *literal) before(t *text, i, lo, n int) int {
	for n--; n >= 0; n-- {
		if i <= lo {
			return failed
		}
		if i = t.prev(i, lo); i < 0 {
			return i
		}
		r, size := t.char(i)
		if size == 0 {
			return malformed
		}
		if r != l.runes[n] {
			return failed
		}
	}
	return i
}

// sameFold tells whether a and b differ in case at most.
func sameFold(a, b rune) bool {
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return a == b
}

// orbit returns r and all that differ from it in case only, as ranges.
func orbit(r rune) []rune {
	out := []rune{r, r}
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		out = union(out, []rune{o, o})
	}
	return out
}
