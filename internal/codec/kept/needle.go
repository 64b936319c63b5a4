package kept

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// Needle is a text to look for in bodies. The zero value is in every body.
type Needle struct {
	escaped []byte
}

// NewNeedle returns the needle for a plain text.
func NewNeedle(text []byte) Needle { return Needle{EscapeNeedle(nil, text)} }

// EscapeNeedle appends text in canonical escaping, with bytes that are not UTF-8 as they are:
// no body has them.
func EscapeNeedle(dst, text []byte) []byte {
	for _, c := range text {
		if c >= 0x80 {
			dst = append(dst, c)
		} else {
			dst = appendRune(dst, rune(c))
		}
	}
	return dst
}

// Escaped returns the needle in canonical escaping. It must not be changed.
func (n Needle) Escaped() []byte { return n.escaped }

// In tells whether the text of a canonical body contains the needle.
func (n Needle) In(body []byte) bool { return n.Index(body, 0) >= 0 }

// Index returns where the needle first occurs in a canonical body, from the place from on,
// which is not inside of an escape; -1 if it does not.
//
// An escape never is the end of a longer one, so what begins where a character of the body
// begins ends where one ends; only the beginning has to be looked at: nfo occurs in \nfo, but
// its text does not.
func (n Needle) Index(body []byte, from int) int {
	for at := from; at <= len(body); at++ {
		i := bytes.Index(body[at:], n.escaped)
		if i < 0 {
			return -1
		}
		if at += i; !insideEscape(body, from, at) {
			return at
		}
	}
	return -1
}

// insideEscape tells whether an escape of body began before at and has not ended there.
func insideEscape(body []byte, from, at int) bool {
	for back := 1; back <= 5 && at-back >= from; back++ {
		if body[at-back] != '\\' || jsontext.Escaped(body[from:at-back]) {
			continue
		}
		// An escape begins here; it has two characters, or six.
		return back == 1 || body[at-back+1] == 'u'
	}
	return false
}

// NextLine returns the next line of a block whose body contains the needle, without its
// newline, and where the line after it begins. At the end the line is nil.
func (n Needle) NextLine(block []byte, from int) (line []byte, next int) {
	for at := from; at < len(block); at = next {
		hit := bytes.Index(block[at:], n.escaped)
		if hit < 0 {
			break
		}
		hit += at
		start := bytes.LastIndexByte(block[at:hit], '\n') + 1 + at
		end := bytes.IndexByte(block[hit:], '\n')
		if end < 0 {
			end, next = len(block), len(block)
		} else {
			end += hit
			next = end + 1
		}
		line = block[start:end:end]
		if body := BodyOf(line); n.In(body) {
			return line, next
		}
	}
	return nil, len(block)
}
