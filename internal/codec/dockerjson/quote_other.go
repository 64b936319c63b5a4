//go:build !amd64

package dockerjson

// looseQuote returns the place of the first quote in b from place from on, at least 1, that
// has no backslash before it, -1 when there is none.
func looseQuote(b []byte, from int) int { return looseQuoteWords(b, from) }
