package task

import (
	"unicode/utf8"
)

// Limits bound a tree. The zero value is what is meant for use.
type Limits struct {
	// Nodes is how many scopes it may have; 0 is 200,000.
	Nodes int
	// Bytes is how much an answer may have without its lines, as JSON, and what it is made of:
	// ids, names, fields, errors and a few numbers of each scope; 0 is 96 MiB.
	Bytes int
	// LineBytes is how much an answer may have of lines; 0 is 32 MiB.
	LineBytes int
}

func (l *Limits) fill() {
	if l.Nodes <= 0 {
		l.Nodes = 200_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 96 << 20
	}
	if l.LineBytes <= 0 {
		l.LineBytes = 32 << 20
	}
}

// What JSON has around texts, generously.
const (
	nodeBytes  = 384
	fieldBytes = 24
	gapBytes   = 60
	rangeBytes = 16
	lineBytes  = 96
)

// cost is how many bytes a text has at most, in JSON that does no harm to a terminal.
func cost[T string | []byte](text T) int {
	n := len(text)
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			n += 2
		case c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0x7f:
			n += 5
		}
	}
	return n
}

// room is how much an answer has room for.
type room struct{ left int }

// take takes so much, if there is as much.
func (r *room) take(bytes int) bool {
	if bytes > r.left {
		return false
	}
	r.left -= bytes
	return true
}

// set replaces a text by another, or by as much of it as there is room for; then it returns
// false.
func (r *room) set(old *string, text string) (whole bool) {
	r.left += cost(*old)
	*old, whole = text, true
	if cost(text) > r.left {
		*old, whole = shorten(text, r.left), false
	}
	r.left -= cost(*old)
	return whole
}

// shorten returns the beginning of a text that costs up to so much, with an ellipsis.
func shorten(text string, most int) string {
	const ellipsis = "…"
	if most < cost(ellipsis) {
		return ""
	}
	most -= cost(ellipsis)
	end := 0
	for end < len(text) {
		_, n := utf8.DecodeRuneInString(text[end:])
		if most -= cost(text[end : end+n]); most < 0 {
			break
		}
		end += n
	}
	return text[:end] + ellipsis
}
