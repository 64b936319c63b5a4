package jsontext

// nextUnicodeLong is NextUnicode where 17 bytes or more are left. It reads no others, and
// looks at sixteen places at once.
//
//go:noescape
func nextUnicodeLong(s []byte, from int) int

// NextUnicode returns the first place from on where a u follows a backslash, -1 if there is
// none. That is an escape unless the backslash is itself escaped.
func NextUnicode(s []byte, from int) int {
	if len(s)-from < 17 {
		return nextUnicodeWords(s, from)
	}
	return nextUnicodeLong(s, from)
}
