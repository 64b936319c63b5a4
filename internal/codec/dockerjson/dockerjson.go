// Package dockerjson reads lines of the log files that Docker's json-file driver writes:
//
//	{"log":"GET \"/\" 200\n","stream":"stdout","attrs":{"tag":"a"},"time":"2026-11-20T18:07:46.11701285Z"}
//
//	e, err := dockerjson.Parse(line)
//	plain = dockerjson.Unescape(plain[:0], e.Log)
//
// The text is not unescaped by Parse, because most readers find what they want in its
// escaped form. Functions may be called concurrently. How lines are read, and how the
// pieces of a long message are joined, is not the package's business.
package dockerjson

import (
	"bytes"
	"errors"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/rfc3339"
)

// ErrSyntax is returned for every line that is not one of a json-file log.
var ErrSyntax = errors.New("not a line of Docker's json-file log")

// Entry is one line. Log is a slice of the line it was parsed from.
type Entry struct {
	// Log is the inside of the JSON string, as it stands in the line, without the \n or,
	// from a terminal, \r\n that ends it.
	Log []byte
	// Escaped says that Log has a backslash: without one it is plain text.
	Escaped bool
	// Partial says that no \n ended Log: the rest of the message follows in a later entry
	// of the same stream. Docker cuts messages into pieces of 16 KiB.
	Partial bool
	// Stderr says that the container wrote it to its standard error.
	Stderr bool
	// Time is when Docker took it, in Unix nanoseconds; 0 when it is out of their range, or
	// the line has none that is well-formed.
	Time int64
}

// The parts of a line between the values, as Docker writes them.
const (
	head        = `{"log":"`
	beforeName  = `","stream":"std`
	beforeAttrs = `","attrs":`
	beforeTime  = `","time":"`
	nameLen     = len("out")
)

// Parse reads one line, without its line end. A line in Docker's own form takes a short
// way. Any other JSON object that has a log will do: keys in any order, white space, further
// keys, no time; of a key that comes twice the last one counts. The insides of strings are
// not checked. Whoever guesses whether a file is one of Docker's should want a Time as well.
//
// The short way takes the first quote without a backslash before it as the end of log, if
// what follows is Docker's ending to the letter. It cannot have run past the true end: in
// JSON a comma, a colon or white space stands before the next quote, not a backslash.
func Parse(line []byte) (Entry, error) {
	if len(line) < len(head) || string(line[:len(head)]) != head {
		return parseObject(line)
	}
	end := looseQuote(line, len(head))
	if end < 0 {
		return parseObject(line)
	}
	rest := line[end:]
	if len(rest) < len(beforeName)+nameLen || string(rest[:len(beforeName)]) != beforeName {
		return parseObject(line)
	}
	e := Entry{}
	switch name := rest[len(beforeName) : len(beforeName)+nameLen]; string(name) {
	case "out":
	case "err":
		e.Stderr = true
	default:
		return parseObject(line)
	}
	var ok bool
	if e.Time, ok = parseEnding(rest[len(beforeName)+nameLen:]); !ok {
		return parseObject(line)
	}
	e.setLog(line[len(head):end])
	return e, nil
}

// parseEnding reads what follows the name of the stream: the time, and before it, where the
// driver was asked for tags or labels, attrs, which are left out.
func parseEnding(rest []byte) (ns int64, ok bool) {
	if len(rest) > len(beforeAttrs) && string(rest[:len(beforeAttrs)]) == beforeAttrs {
		p := parser{rest: rest[len(beforeAttrs):]}
		if !p.skip(maxDepth) || len(p.rest) < len(beforeTime)-1 || string(p.rest[:len(beforeTime)-1]) != beforeTime[1:] {
			return 0, false
		}
		rest = p.rest[len(beforeTime)-1:]
	} else {
		if len(rest) < len(beforeTime) || string(rest[:len(beforeTime)]) != beforeTime {
			return 0, false
		}
		rest = rest[len(beforeTime):]
	}
	n := len(rest) - len(`"}`)
	if n < 0 || string(rest[n:]) != `"}` {
		return 0, false
	}
	return rfc3339.Parse(rest[:n])
}

// setLog cuts the line end off log.
func (e *Entry) setLog(log []byte) {
	text, ended := cutEscape(log, 'n')
	if ended {
		text, _ = cutEscape(text, 'r')
	}
	e.Log, e.Partial = text, !ended
	e.Escaped = bytes.IndexByte(text, '\\') >= 0
}

// cutEscape cuts a backslash and c off the end of s, unless the backslash is itself escaped.
func cutEscape(s []byte, c byte) (rest []byte, found bool) {
	n := len(s) - 2
	if n < 0 || s[n+1] != c || s[n] != '\\' || jsontext.Escaped(s[:n]) {
		return s, false
	}
	return s[:n], true
}

// Unescape appends the plain text of Entry.Log to dst.
func Unescape(dst, src []byte) []byte { return jsontext.Unescape(dst, src) }

// Escape appends plain text to dst in the form of Entry.Log, as Docker writes it.
func Escape(dst, src []byte) []byte { return jsontext.Escape(dst, src) }
