// Package secret finds what must not be shown in lines of logs: tokens, keys and passwords;
// numbers of payment cards; addresses of e-mail.
//
//	if secret.Cards.May(text) { // next to free; the text may be escaped as Docker does
//		places = secret.Cards.Append(places[:0], plain)
//	}
//
// May is for all lines, so it looks at few of their bytes; Append is exact and for the lines
// that May lets through. Both take time in proportion to the text, whatever it is, and do
// not allocate but for dst.
//
// All functions are pure and may be called concurrently. The package leaves out what becomes
// of the places. It cannot know a secret by its meaning: a password in a sentence stays.
package secret

import (
	"bytes"
	"slices"
	"strings"
)

// Kind is one kind of what must not be shown.
type Kind uint8

const (
	// Secrets are keys of AWS, tokens of GitHub, GitLab, Slack, Stripe, OpenAI, Google and
	// others, JSON Web Tokens, private keys, passwords in URLs, what follows Bearer, and
	// the values of keys such as password, token, api_key and Authorization.
	Secrets Kind = iota
	// Cards are numbers of 13 to 19 digits that an issuer of payment cards has given out
	// and whose check digit is right, in one piece or in the groups that are on cards.
	Cards
	// Emails are addresses such as ann@example.org.
	Emails
)

var names = [...]string{Secrets: "secrets", Cards: "cards", Emails: "emails"}

// Names returns the names of all kinds.
func Names() []string { return slices.Clone(names[:]) }

// Named returns the kind of a name.
func Named(name string) (k Kind, ok bool) {
	i := slices.Index(names[:], name)
	return Kind(max(i, 0)), i >= 0
}

// String returns the name of k.
func (k Kind) String() string { return names[k] }

// Place is a piece of a text that must not be shown.
type Place struct {
	Start, End int
	// Quote is not 0 for what is, or may be, a value of JSON without quotes: what replaces
	// it needs some, for the text to stay JSON. It is the length of the quote of the key
	// before, a backslash or more among it in JSON within JSON.
	Quote int
}

// May tells whether text may have a place of k; only true may be wrong. The text may be the
// inside of a JSON string that is escaped as Docker does it.
func (k Kind) May(text []byte) bool {
	switch k {
	case Secrets:
		return mayAssign(text) || mayToken(text) || mayBearer(text) || bytes.Contains(text, privateKey)
	case Cards:
		return mayCard(text)
	case Emails:
		return mayEmail(text)
	}
	return false
}

// Append appends the places of k in text, which is plain, in order and without overlap.
func (k Kind) Append(dst []Place, text []byte) []Place {
	switch k {
	case Secrets:
		from := len(dst)
		dst = appendTokens(dst, text)
		dst = appendAssigned(dst, text)
		dst = appendURLs(dst, text)
		dst = appendBearers(dst, text)
		dst = appendPrivateKeys(dst, text)
		return Merge(dst, from)
	case Cards:
		return appendCards(dst, text)
	case Emails:
		return appendEmails(dst, text)
	}
	return dst
}

// Merge puts the places from that index on in order, and those that overlap into one.
func Merge(places []Place, from int) []Place {
	if len(places) < from+2 {
		return places
	}
	slices.SortStableFunc(places[from:], func(a, b Place) int { return a.Start - b.Start })
	last := from
	for _, p := range places[from+1:] {
		if p.Start < places[last].End {
			if p.Start == places[last].Start {
				places[last].Quote = max(places[last].Quote, p.Quote)
			}
			places[last].End = max(places[last].End, p.End)
			continue
		}
		last++
		places[last] = p
	}
	return places[:last+1]
}

// class is a set of sets of bytes.
type class uint16

const (
	digit      class = 1 << iota
	letter           // of ASCII
	token            // letters, digits, _ and -
	card             // digits and what may separate groups of them
	local            // of what stands before @
	domain           // of what stands behind it
	opaque           // of what follows Bearer
	ends             // what ends a value without quotes
	host             // what ends the part of a URL before its path
	quotes           // what ends a value in quotes that have backslashes
	beforeSign       // what the name of a secret, or what may follow it, ends with
)

var classes = makeClasses()

func makeClasses() (t [256]class) {
	add := func(c class, bytes string) {
		for i := range len(bytes) {
			t[bytes[i]] |= c
		}
	}
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	add(digit, digits)
	add(letter, letters)
	add(token, digits+letters+"_-")
	add(card, digits+" -")
	add(local, digits+letters+"._%+-")
	add(domain, digits+letters+".-")
	add(opaque, digits+letters+"._~+/=-")
	add(ends, " \t\n\v\f\r\"',;&<>)]}")
	add(quotes, "\"'\\\n")
	add(beforeSign, "denstyDENSTY \t\"'\\9") // 9 ends an escaped tab
	add(host, " \t\n\v\f\r/?#\"'<>")
	return t
}

func is(b byte, c class) bool { return classes[b]&c != 0 }

// run returns the first piece of at least n bytes of c in text from that place on, which
// must not be within one; start is -1 when there is none. It looks at the end of where a
// piece could be first, so it passes over most bytes.
func run(text []byte, c class, from, n int) (start, end int) {
	known := from // text[from:known] is of c
	for from+n <= len(text) {
		at := from + n - 1
		for at >= known && classes[text[at]]&c != 0 {
			at--
		}
		if at < known {
			end = from + n
			for end < len(text) && classes[text[end]]&c != 0 {
				end++
			}
			return from, end
		}
		from, known = at+1, from+n
	}
	return -1, -1
}

// skip returns the end of the bytes of c that begin at i.
func skip(text []byte, c class, i int) int {
	for i < len(text) && is(text[i], c) {
		i++
	}
	return i
}

// lower returns an ASCII letter in lower case; of other bytes only what is no letter.
func lower(b byte) byte { return b | 0x20 }

// hasFold tells whether text[i:] begins with word, which is in lower case.
func hasFold(text []byte, i int, word string) bool {
	if i < 0 || len(text)-i < len(word) {
		return false
	}
	for k := range len(word) {
		if c := text[i+k]; c != word[k] && (lower(c) != word[k] || !is(c, letter)) {
			return false
		}
	}
	return true
}

// has tells whether text[i:] begins with word.
func has(text []byte, i int, word string) bool {
	return len(text)-i >= len(word) && string(text[i:i+len(word)]) == word
}

// inWord tells whether the byte before i is a letter or a digit, and not that of an escape
// such as \n, as in JSON.
func inWord(text []byte, i int) bool {
	if i == 0 || !is(text[i-1], letter|digit) {
		return false
	}
	return i < 2 || !escapes(text, i-2)
}

// escapes tells whether a backslash at i, which another may escape, begins one of the
// escapes of JSON of one letter.
func escapes(text []byte, i int) bool {
	if text[i] != '\\' || i+1 == len(text) || strings.IndexByte("nrtbf", text[i+1]) < 0 {
		return false
	}
	from := i
	for from > 0 && text[from-1] == '\\' {
		from--
	}
	return (i-from)%2 == 0
}

// masked tells whether a value is nothing but asterisks, as of an earlier redaction.
func masked(value []byte) bool {
	for _, b := range value {
		if b != '*' {
			return false
		}
	}
	return true
}
