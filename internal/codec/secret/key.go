package secret

import "bytes"

var (
	privateKey = []byte("PRIVATE KEY")
	keyBegins  = []byte("-----BEGIN ")
	keyEnds    = []byte("-----END ")
	dashes     = []byte("-----")
)

// appendPrivateKeys appends private keys from their first line to their last, or to the end
// of the text.
func appendPrivateKeys(dst []Place, text []byte) []Place {
	for at := 0; ; {
		start, after := keyLine(text, at, keyBegins)
		if start < 0 {
			return dst
		}
		_, end := keyLine(text, after, keyEnds)
		if end < 0 {
			end = len(text)
		}
		dst = append(dst, Place{Start: start, End: end})
		at = end
	}
}

// keyLine finds the first or last line of a private key from that place on.
func keyLine(text []byte, from int, begins []byte) (start, end int) {
	for at := from; ; {
		n := bytes.Index(text[at:], begins)
		if n < 0 {
			return -1, -1
		}
		start = at + n
		end = start + len(begins)
		at = end
		for end < len(text) && (text[end] == ' ' || isUpper(text[end])) {
			end++
		}
		title := bytes.TrimSuffix(text[start+len(begins):end], []byte(" BLOCK"))
		if bytes.HasSuffix(title, privateKey) && bytes.HasPrefix(text[end:], dashes) {
			return start, end + len(dashes)
		}
	}
}

// OpensKey tells whether a private key begins in text that does not end in it: the rest is in
// the lines that follow.
func OpensKey(text []byte) bool {
	for at := 0; ; {
		start, after := keyLine(text, at, keyBegins)
		if start < 0 {
			return false
		}
		if _, at = keyLine(text, after, keyEnds); at < 0 {
			return true
		}
	}
}

// EndsKey tells whether a private key ends in text.
func EndsKey(text []byte) bool {
	start, _ := keyLine(text, 0, keyEnds)
	return start >= 0
}

// IsKeyLine tells whether text is nothing but base64, as the lines of a private key are.
func IsKeyLine(text []byte) bool {
	text = bytes.TrimSpace(text)
	for _, b := range text {
		if !is(b, letter|digit) && b != '+' && b != '/' && b != '=' {
			return false
		}
	}
	return len(text) > 0
}
