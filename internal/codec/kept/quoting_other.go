//go:build !amd64

package kept

// quoting returns the length of a part of b, from its start, that has nothing but printable
// ASCII and \".
func quoting(b []byte) int { return quotingWords(b) }
