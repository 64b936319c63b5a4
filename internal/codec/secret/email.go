package secret

import "bytes"

// mayEmail tells whether an @ has something on both sides.
func mayEmail(text []byte) bool {
	for at := 0; ; at++ {
		n := bytes.IndexByte(text[at:], '@')
		if n < 0 {
			return false
		}
		at += n
		if at > 0 && at+1 < len(text) && is(text[at-1], local) && is(text[at+1], domain) {
			return true
		}
	}
}

// appendEmails appends addresses: what may stand before an @, and behind it a name with a
// dot that ends in two letters or more.
func appendEmails(dst []Place, text []byte) []Place {
	done := 0
	for at := 0; ; at++ {
		n := bytes.IndexByte(text[at:], '@')
		if n < 0 {
			return dst
		}
		at += n
		start := at
		for start > done && is(text[start-1], local) {
			start--
		}
		if start == at {
			continue
		}
		if start > done && escapes(text, start-1) {
			start-- // a \n, half of which would make the text no JSON any more
		}
		if end := domainEnd(text, at+1); end > 0 {
			dst = append(dst, Place{Start: start, End: end})
			done, at = end, end-1
		}
	}
}

// domainEnd returns where the name of a domain that begins at i ends, 0 if there is none.
func domainEnd(text []byte, i int) int {
	for dot := skip(text, domain, i) - 1; dot > i; dot-- {
		if text[dot] != '.' {
			continue
		}
		if end := skip(text, letter, dot+1); end-dot > 2 {
			return end
		}
	}
	return 0
}
