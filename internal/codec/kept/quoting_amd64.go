package kept

// quotingLong is quoting for 16 bytes or more. It reads no others, and leaves out nothing
// that could be included.
//
// A quote has to stand exactly where the byte before is a backslash: so sixteen bytes are
// looked at by a comparison of two masks, however many quotes there are.
//
//go:noescape
func quotingLong(b []byte) int

// quoting returns the length of a part of b, from its start, that has nothing but printable
// ASCII and \".
func quoting(b []byte) int {
	if len(b) < 16 {
		return quotingWords(b)
	}
	return quotingLong(b)
}
