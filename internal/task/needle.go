package task

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/kept"
)

// needle is a text to look for. The digits of a UUID may be written in either case.
type needle struct {
	text []byte
	// sign is the longest part of it that has no case, which is looked for first, and at where
	// in the text that begins.
	sign  []byte
	at    int
	folds bool
}

// exactly returns a needle for a text as it is.
func exactly(text string) needle {
	escaped := kept.EscapeNeedle(nil, []byte(text))
	return needle{text: escaped, sign: escaped}
}

// inCases returns a needle for a UUID, with its dashes or without.
func inCases(uuid string) needle {
	n := needle{text: []byte(uuid), folds: true}
	for from := 0; from < len(n.text); {
		end := from
		for end < len(n.text) && n.text[end] <= '9' {
			end++
		}
		if end-from > len(n.sign) {
			n.sign, n.at = n.text[from:end], from
		}
		from = end + 1
	}
	return n
}

// index returns where in a block it is first, from some place on; the block's length if it is
// not there.
func (n *needle) index(block []byte, from int) int {
	if len(n.sign) == 0 {
		return n.crawl(block, from)
	}
	for look := from + n.at; look < len(block); {
		hit := bytes.Index(block[look:], n.sign)
		if hit < 0 {
			break
		}
		at := look + hit - n.at
		if !n.folds || n.is(block, at) {
			return at
		}
		look += hit + 1
	}
	return len(block)
}

// crawl is index for a UUID that is all letters.
func (n *needle) crawl(block []byte, from int) int {
	for at := from; at+len(n.text) <= len(block); at++ {
		if block[at]|0x20 == n.text[0] && n.is(block, at) {
			return at
		}
	}
	return len(block)
}

// is tells whether it is at a place of a block.
func (n *needle) is(block []byte, at int) bool {
	return at+len(n.text) <= len(block) && bytes.EqualFold(block[at:at+len(n.text)], n.text)
}
