//go:build !amd64

package jsontext

// NextUnicode returns the first place from on where a u follows a backslash, -1 if there is
// none. That is an escape unless the backslash is itself escaped.
func NextUnicode(s []byte, from int) int { return nextUnicodeWords(s, from) }
