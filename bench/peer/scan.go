package peer

import (
	"bytes"
	"io"
)

// scanBuffer is how much Scan reads at a time. A line longer than it is skipped.
const scanBuffer = 256 << 10

// Scan counts by hand: it knows that the text is Docker's json-file around this one nginx
// format, looks at each byte once, unescapes nothing and keeps no field but the status.
// It gives what Regexp gives for the format's own lines and shows what the machine allows.
func Scan(r io.Reader, counts *Counts) error {
	buf := make([]byte, scanBuffer)
	held := 0 // bytes of an unfinished line at the start of buf
	for {
		n, err := r.Read(buf[held:])
		text := buf[:held+n]
		done := 0
		for {
			end := bytes.IndexByte(text[done:], '\n')
			if end < 0 {
				break
			}
			if status := scanLine(text[done : done+end]); status >= 0 && status < len(counts.fits) {
				counts.fits[status]++
			}
			done += end + 1
		}
		held = copy(buf, text[done:])
		if held == len(buf) {
			held = 0
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// cursor walks over one line; every step moves past what it names and says whether it
// was there.
type cursor struct {
	rest []byte
}

// scanLine returns the status of a line that fits the pattern, else -1.
func scanLine(line []byte) int {
	const head = `{"log":"`
	if len(line) < len(head) || string(line[:len(head)]) != head {
		return -1
	}
	c := cursor{line[len(head):]}
	if !c.word() || !c.text(`- `) || !c.word() || !c.text(`[`) || !c.until(']') || !c.text(` \"`) {
		return -1
	}
	if !c.word() || !c.long() || !c.protocol() {
		return -1
	}
	status := c.number()
	if status < 0 || c.number() < 0 {
		return -1
	}
	if !c.quoted(`\"`) || !c.quoted(` \"`) || !c.quoted(` \"`) || !c.text(` rt=`) || !c.word() {
		return -1
	}
	if !c.brief(`uct=\"`) || !c.brief(` uht=\"`) || !c.brief(` urt=\"`) {
		return -1
	}
	if !c.text(` upstream=`) || !c.word() || !c.text(`rid=`) || !c.long() || !c.text(`cache=`) {
		return -1
	}
	if len(c.rest) == 0 || c.rest[0] == '"' || c.rest[0] == ' ' || c.rest[0] == '\\' && escapesSpace(c.rest) {
		return -1
	}
	return status
}

// text passes s.
func (c *cursor) text(s string) bool {
	if len(c.rest) < len(s) || string(c.rest[:len(s)]) != s {
		return false
	}
	c.rest = c.rest[len(s):]
	return true
}

// until passes at least one byte and then stop.
func (c *cursor) until(stop byte) bool {
	i := bytes.IndexByte(c.rest, stop)
	if i < 1 {
		return false
	}
	c.rest = c.rest[i+1:]
	return true
}

// word passes at least one byte that is no white space, and the space after.
func (c *cursor) word() bool {
	rest := c.rest
	for i := 0; i < len(rest); i++ {
		if d := rest[i]; d == ' ' {
			c.rest = rest[i+1:]
			return i > 0
		} else if d == '\\' {
			if escapesSpace(rest[i:]) {
				return false
			}
			i++
		}
	}
	return false
}

// long is word for words of many bytes, where a call costs less than the bytes.
func (c *cursor) long() bool {
	i := bytes.IndexByte(c.rest, ' ')
	if i < 1 {
		return false
	}
	word := c.rest[:i]
	c.rest = c.rest[i+1:]
	for {
		i := bytes.IndexByte(word, '\\')
		if i < 0 || i+2 > len(word) {
			return i < 0
		}
		if escapesSpace(word[i:]) {
			return false
		}
		word = word[i+2:]
	}
}

// protocol passes the third word of a request, which ends in the request's quote.
func (c *cursor) protocol() bool {
	word := c.rest
	if !c.word() {
		return false
	}
	word = word[:len(word)-len(c.rest)-1]
	n := len(word)
	return n > 2 && word[n-1] == '"'
}

// quoted passes open, anything but a quote, and the quote, in text that is often long.
func (c *cursor) quoted(open string) bool {
	if !c.text(open) {
		return false
	}
	i := bytes.IndexByte(c.rest, '"')
	if i < 1 || c.rest[i-1] != '\\' {
		return false
	}
	c.rest = c.rest[i+1:]
	return true
}

// brief is quoted for text of a few bytes, where a call costs more than the bytes.
func (c *cursor) brief(open string) bool {
	if !c.text(open) {
		return false
	}
	for i, d := range c.rest {
		if d == '"' {
			ok := i > 0 && c.rest[i-1] == '\\'
			c.rest = c.rest[i+1:]
			return ok
		}
	}
	return false
}

// number passes digits and a space, and returns their value, or -1.
func (c *cursor) number() int {
	v := 0
	for i, d := range c.rest {
		if d == ' ' && i > 0 {
			c.rest = c.rest[i+1:]
			return v
		}
		if d < '0' || d > '9' || v > 1<<30 {
			break
		}
		v = v*10 + int(d-'0')
	}
	return -1
}

// escapesSpace says whether text, which starts with a backslash, escapes white space: a
// tab, a newline, a carriage return or a form feed.
func escapesSpace(text []byte) bool {
	if len(text) < 2 {
		return false
	}
	switch text[1] {
	case 't', 'n', 'r', 'f':
		return true
	}
	return false
}
