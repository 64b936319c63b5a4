package dockerjson

// looseQuoteLong is looseQuote where 16 bytes or more follow from. It reads b and the byte
// before from, nothing else, and looks at sixteen bytes at once.
//
//go:noescape
func looseQuoteLong(b []byte, from int) int

// looseQuote returns the place of the first quote in b from place from on, at least 1, that
// has no backslash before it, -1 when there is none.
func looseQuote(b []byte, from int) int {
	if len(b)-from < 16 {
		return looseQuoteWords(b, from)
	}
	return looseQuoteLong(b, from)
}
