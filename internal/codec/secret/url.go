package secret

import "bytes"

var authority = []byte("://")

// appendURLs appends the passwords in URLs: the pass in scheme://user:pass@host.
func appendURLs(dst []Place, text []byte) []Place {
	for at := 0; ; {
		n := bytes.Index(text[at:], authority)
		if n < 0 {
			return dst
		}
		start := at + n + len(authority)
		hasScheme := at+n > 0 && (is(text[at+n-1], domain) || text[at+n-1] == '+')
		at = skipNot(text, host, start)
		if !hasScheme {
			continue
		}
		colon := start + bytes.IndexAny(text[start:at], ":@")
		end := start + bytes.LastIndexByte(text[start:at], '@')
		if colon >= start && text[colon] == ':' && end > colon+1 && !masked(text[colon+1:end]) {
			dst = append(dst, Place{Start: colon + 1, End: end})
		}
	}
}

// skipNot returns the first place from i on of a byte of c.
func skipNot(text []byte, c class, i int) int {
	for i < len(text) && !is(text[i], c) {
		i++
	}
	return i
}

// The ends of the word bearer and its space, as it is written.
var (
	bearerTail      = []byte("earer ")
	bearerTailUpper = []byte("EARER ")
)

// mayBearer tells whether the word bearer and a space are there.
func mayBearer(text []byte) bool {
	return mayFollow(text, 'B') || mayFollow(text, 'b')
}

func mayFollow(text []byte, first byte) bool {
	for at := 0; ; {
		n := bytes.IndexByte(text[at:], first)
		if n < 0 {
			return false
		}
		at += n + 1
		if bytes.HasPrefix(text[at:], bearerTail) || bytes.HasPrefix(text[at:], bearerTailUpper) {
			return true
		}
	}
}

// minBearer is how long what follows Bearer is at least.
const minBearer = 16

// appendBearers appends what follows the word Bearer, if it is long and has a digit.
func appendBearers(dst []Place, text []byte) []Place {
	dst = appendBearersLike(dst, text, bearerTail)
	return appendBearersLike(dst, text, bearerTailUpper)
}

func appendBearersLike(dst []Place, text, tail []byte) []Place {
	for at := 0; ; {
		n := bytes.Index(text[at:], tail)
		if n < 0 {
			return dst
		}
		word := at + n - 1
		at += n + len(tail)
		if word < 0 || lower(text[word]) != 'b' || inWord(text, word) {
			continue
		}
		for at < len(text) && text[at] == ' ' {
			at++
		}
		digits, end := 0, at
		for end < len(text) && is(text[end], opaque) {
			if is(text[end], digit) {
				digits++
			}
			end++
		}
		if end-at >= minBearer && digits > 0 {
			dst = append(dst, Place{Start: at, End: end})
			at = end
		}
	}
}
