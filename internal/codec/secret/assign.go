package secret

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// keyOwners stand before key, with _ or - between or without.
var keyOwners = []string{"api", "access", "account", "auth", "encryption", "master", "private", "secret", "signing"}

// IsName tells whether name, as of a field, is that of a secret, or of what is in one, as
// in password.old.
func IsName(name []byte) bool {
	for end := len(name); end > 0; end = bytes.LastIndexByte(name[:end], '.') {
		if namesSecret(name, end) {
			return true
		}
	}
	return false
}

// namesSecret tells whether the word that ends at end names a secret: password, passwd, pwd,
// passphrase, passcode, secret, token, authorization, _pass, or the key of an owner, with
// anything before.
func namesSecret(text []byte, end int) bool {
	if end < 3 {
		return false
	}
	switch [2]byte{lower(text[end-2]), lower(text[end-1])} {
	case [2]byte{'r', 'd'}:
		return endsFold(text, end, "password")
	case [2]byte{'w', 'd'}:
		return endsFold(text, end, "passwd") || endsFold(text, end, "pwd")
	case [2]byte{'s', 'e'}:
		return endsFold(text, end, "passphrase")
	case [2]byte{'d', 'e'}:
		return endsFold(text, end, "passcode")
	case [2]byte{'e', 't'}:
		return endsFold(text, end, "secret")
	case [2]byte{'e', 'n'}:
		return endsFold(text, end, "token")
	case [2]byte{'o', 'n'}:
		return endsFold(text, end, "authorization")
	case [2]byte{'s', 's'}:
		return endsFold(text, end, "_pass") || endsFold(text, end, "-pass") || endsFold(text, end, ".pass")
	case [2]byte{'e', 'y'}:
		return endsFold(text, end, "key") && ownsKey(text, end-len("key"))
	}
	return false
}

// ownsKey tells whether one of keyOwners ends at end, or before the byte that joins it.
func ownsKey(text []byte, end int) bool {
	if end > 0 && (text[end-1] == '_' || text[end-1] == '-') {
		end--
	}
	for _, owner := range keyOwners {
		if endsFold(text, end, owner) {
			return true
		}
	}
	return false
}

// endsFold tells whether text[:end] ends with a word, which is in lower case.
func endsFold(text []byte, end int, word string) bool { return hasFold(text, end-len(word), word) }

// mayAssign tells whether the name of a secret stands before some = or :, in plain or
// escaped text, or an @ somewhere after a colon, as in a URL with a password.
func mayAssign(text []byte) bool {
	colon := false
	at := 0
	for ; at+16 <= len(text); at += 16 {
		b := text[at : at+16 : at+16]
		first, second := signs(binary.LittleEndian.Uint64(b)), signs(binary.LittleEndian.Uint64(b[8:]))
		if first|second == 0 {
			continue
		}
		for hits := gathered(first) | gathered(second)<<8; hits != 0; hits &= hits - 1 {
			i := at + bits.TrailingZeros64(hits)
			if mayHere(text, i, colon) {
				return true
			}
			colon = colon || text[i] == ':'
		}
	}
	for ; at < len(text); at++ {
		if mayHere(text, at, colon) {
			return true
		}
		colon = colon || text[at] == ':'
	}
	return false
}

// signs returns the highest bit of those bytes of x that are from : to @, among them =.
func signs(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	low := x &^ high
	return (ones*(0x7f+'@'+1) - low) & ^x & (low + ones*(0x7f-':'+1)) & high
}

// gathered returns the highest bits of the bytes of x as the lowest byte.
func gathered(x uint64) uint64 { return x >> 7 * 0x0102040810204080 >> 56 }

// mayHere tells whether the byte at i may separate a name from a secret, or if there was a
// colon, a password from a host.
func mayHere(text []byte, i int, colon bool) bool {
	switch text[i] {
	case '@':
		return colon
	case '=', ':':
		return i > 0 && is(text[i-1], beforeSign) && namesSecret(text, escapedNameEnd(text, i))
	}
	return false
}

// escapedTab is a tab as old engines wrote it; newer ones write \t.
var escapedTab = []byte(`\u0009`)

// escapedNameEnd returns where the name before a separator ends, in plain or escaped text:
// what might stand between the two is passed over.
func escapedNameEnd(text []byte, end int) int {
	for end > 0 {
		switch b := text[end-1]; {
		case b == ' ' || b == '\t' || b == '"' || b == '\'' || b == '\\':
			end--
		case b == 't' && end > 1 && text[end-2] == '\\':
			end -= 2
		case b == '9' && bytes.HasSuffix(text[:end], escapedTab):
			end -= len(escapedTab)
		default:
			return end
		}
	}
	return 0
}

// appendAssigned appends the values of keys that name secrets: password=x, "api_key": "x",
// Authorization: Basic x.
func appendAssigned(dst []Place, text []byte) []Place {
	for at := 0; ; {
		n := bytes.IndexAny(text[at:], "=:")
		if n < 0 {
			return dst
		}
		at += n
		if !namesSecret(text, nameEnd(text, at)) {
			at++
			continue
		}
		v := assigned(text, at)
		if v.Start == v.End {
			at++
			continue
		}
		if !IsHarmless(text[v.Start:v.End]) {
			dst = append(dst, v)
		}
		at = v.End
	}
}

// nameEnd returns where the name before a separator ends: before spaces, a quote and the
// backslashes of that.
func nameEnd(text []byte, sep int) int {
	end := sep
	for end > 0 && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	if end > 0 && (text[end-1] == '"' || text[end-1] == '\'') {
		end--
		for end > 0 && text[end-1] == '\\' {
			end--
		}
	}
	return end
}

// assigned returns the value behind the separator at i: =, ==, =>, ==>, : or :=. It is
// empty if there is none.
func assigned(text []byte, i int) Place {
	quote := quoteBefore(text, i)
	colon := text[i] == ':'
	if i++; i < len(text) && text[i] == '=' {
		i++
	}
	if !colon && i < len(text) && text[i] == '>' {
		i++
	}
	i = blanks(text, i)
	open := i
	for open < len(text) && text[open] == '\\' {
		open++
	}
	var q opened
	if open < len(text) && (text[open] == '"' || text[open] == '\'') {
		q = opened{by: text[open], twice: open > i}
		i = open + 1
	}
	if start := scheme(text, i); start > i {
		if to := q.end(text, start); to > start {
			return Place{Start: start, End: to}
		}
	}
	if q.by != 0 {
		return Place{Start: i, End: q.end(text, i)}
	}
	end := bare(text, i)
	if quote > 0 && i < len(text) && (text[i] == '[' || text[i] == '{') {
		end = nested(text, i, quote)
	}
	return Place{Start: i, End: end, Quote: quote}
}

// Quote returns the length of the quote of the key of JSON whose value, without quotes,
// begins at i; 0 if there is none.
func Quote(text []byte, i int) int {
	for i > 0 && (text[i-1] == ' ' || text[i-1] == '\t') {
		i--
	}
	if i == 0 {
		return 0
	}
	return quoteBefore(text, i-1)
}

// quoteBefore returns the length of the quote, its backslashes included, before a colon; 0
// if there is no colon at i, or no quote before it.
func quoteBefore(text []byte, i int) int {
	if text[i] != ':' {
		return 0
	}
	for i > 0 && (text[i-1] == ' ' || text[i-1] == '\t') {
		i--
	}
	if i == 0 || text[i-1] != '"' {
		return 0
	}
	n := 1
	for n < i && text[i-n-1] == '\\' {
		n++
	}
	return n
}

// nested returns where the array or object of JSON ends that begins at i, quotes in which
// have that length: at the end of the text if it is cut off.
func nested(text []byte, i, quote int) int {
	depth := 0
	for inside := false; i < len(text); i++ {
		switch b := text[i]; {
		case b == '\\':
			n := i
			for n < len(text) && text[n] == '\\' {
				n++
			}
			if n == len(text) || text[n] != '"' {
				i = n - 1
				continue
			}
			if (n-i)%(2*quote) == quote-1 { // else it is a quote in a string
				inside = !inside
			}
			i = n
		case b == '"' && quote == 1:
			inside = !inside
		case inside:
		case b == '[' || b == '{':
			depth++
		case b == ']' || b == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// opened says which quote stands before a value, if any, and whether with a backslash, as
// in JSON within JSON.
type opened struct {
	by    byte
	twice bool
}

// end returns where the value that begins at i ends.
func (q opened) end(text []byte, i int) int {
	switch {
	case q.by == 0:
		return bare(text, i)
	case q.twice:
		return skipNot(text, quotes, i)
	}
	for i < len(text) && text[i] != q.by && text[i] != '\n' {
		if text[i] == '\\' {
			if i+1 == len(text) || text[i+1] == '\n' {
				break
			}
			i++
		}
		i++
	}
	return i
}

// bare returns where the value without quotes that begins at i ends. A backslash takes the
// byte after it along.
func bare(text []byte, i int) int {
	if i == len(text) || strings.IndexByte(":=([{", text[i]) >= 0 || has(text, i, "${") {
		return i
	}
	for i < len(text) && !is(text[i], ends) {
		if text[i] == '\\' {
			if i+1 == len(text) || is(text[i+1], ends) {
				break
			}
			i++
		}
		i++
	}
	return i
}

func blanks(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
		i++
	}
	return i
}

// schemes are those of HTTP authentication that may stand before a secret.
var schemes = []string{"bearer", "basic", "token", "digest", "negotiate", "apikey", "aws4-hmac-sha256"}

// scheme returns where the value at i begins, after the scheme if it has one.
func scheme(text []byte, i int) int {
	for _, s := range schemes {
		if !hasFold(text, i, s) {
			continue
		}
		if after := blanks(text, i+len(s)); after > i+len(s) {
			return after
		}
	}
	return i
}

// nothing is what stands where there is no secret.
var nothing = []string{"null", "nil", "none", "true", "false", "undefined", "-", "[]", "{}"}

// IsHarmless tells whether the value of what is named as a secret is none, or none any more.
func IsHarmless(value []byte) bool {
	for _, s := range nothing {
		if len(s) == len(value) && hasFold(value, 0, s) {
			return true
		}
	}
	return masked(value)
}
