package kept

import (
	"bytes"
	"encoding/base64"
	"errors"
	"iter"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// ErrSyntax is returned for every line that Append would not have written.
var ErrSyntax = errors.New("not a kept record")

// Line is one parsed line. Its slices are parts of the line.
type Line struct {
	// Time is in Unix nanoseconds.
	Time  int64
	Level record.Level
	// Flags has Stderr and Cut; and Escaped if Body has a backslash, without which it is
	// plain text.
	Flags record.Flags
	// Body is in canonical escaping, valid UTF-8.
	Body []byte
	// Weight is of how many records this is one; at least 1.
	Weight uint32
	// Gap is why text was lost, in canonical escaping; empty for all records but gaps.
	Gap []byte
	// GapBytes is how much was lost, -1 if that is not known. 0 without Gap.
	GapBytes int64
	// Raw is the body as it was, in base64, if it had bytes that are not UTF-8.
	Raw []byte

	fields []byte // the inside of the object, from the first name's quote
}

// Parse reads a line, with or without its newline. It accepts what Append writes and
// nothing else. An error is ErrSyntax.
func Parse(line []byte) (Line, error) {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	start := bodyStart(line)
	if start < 0 || string(line[:timeAt]) != beforeTime {
		return Line{}, ErrSyntax
	}
	l := Line{Level: LevelOf(line), Weight: 1}
	var ok bool
	if l.Time, ok = parseTime(line); !ok || string(line[timeAt+timeLen-1:start]) != afterTime[l.Level] {
		return Line{}, ErrSyntax
	}
	p := parser{rest: line[start:], ok: true}
	l.Body = p.text()
	if bytes.IndexByte(l.Body, '\\') >= 0 {
		l.Flags |= record.Escaped
	}
	if string(p.rest) == "}" && p.ok {
		return l, nil
	}
	p.optional(&l)
	if !p.ok || string(p.rest) != "}" {
		return Line{}, ErrSyntax
	}
	return l, nil
}

// Rest reads what follows the body of a line, which ends at end (see BodyAt). It does not
// look at the time, the level and the body, which are left out of the result.
func Rest(line []byte, end int) (Line, error) {
	return rest(parser{rest: line[end:], ok: true})
}

// Written is Rest for what an Appender has just written and nobody has touched: it does not
// look whether texts are canonical, which is most of the work.
func Written(line []byte, end int) (Line, error) {
	if tail := line[end:]; len(tail) > len(onlyFields)+len(endOfFields) &&
		string(tail[:len(onlyFields)]) == onlyFields && string(tail[len(tail)-len(endOfFields):]) == endOfFields {
		return Line{Weight: 1, fields: tail[len(onlyFields)-1 : len(tail)-2]}, nil
	}
	return rest(parser{rest: line[end:], ok: true, canonical: true})
}

func rest(p parser) (Line, error) {
	l := Line{Weight: 1}
	p.need(`"`)
	p.optional(&l)
	if !p.ok || string(p.rest) != "}" {
		return Line{}, ErrSyntax
	}
	return l, nil
}

// Fields returns the names and values of the stored fields, in canonical escaping, in the
// order in which they were stored.
func (l *Line) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		r := l.Reader()
		for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
			if !yield(name, value) {
				return
			}
		}
	}
}

// Reader is Fields for who may know what comes next.
func (l *Line) Reader() FieldReader {
	return FieldReader{parser{rest: l.fields, ok: true, canonical: true}}
}

// FieldReader goes through the stored fields of a line, which must be as an Appender writes
// them.
type FieldReader struct{ p parser }

// Next returns the name and the value of the next field, in canonical escaping; ok is false if
// there is none.
func (r *FieldReader) Next() (name, value []byte, ok bool) {
	p := &r.p
	if !p.take(`"`) {
		return nil, nil, false
	}
	name = p.text()
	p.need(`:"`)
	value = p.text()
	p.take(`,`)
	return name, value, p.ok
}

// Take goes on over the next field if it is the one that AppendStart and AppendEnd have written.
func (r *FieldReader) Take(field []byte) bool {
	p := &r.p
	if len(p.rest) < len(field) || string(p.rest[:len(field)]) != string(field) {
		return false
	}
	p.rest = p.rest[len(field):]
	p.take(`,`)
	return true
}

// Value returns the value of the next field if that begins as AppendStart has written it, as
// Next does.
func (r *FieldReader) Value(start []byte) (value []byte, ok bool) {
	p := &r.p
	if len(start) == 0 || len(p.rest) < len(start) || string(p.rest[:len(start)]) != string(start) {
		return nil, false
	}
	p.rest = p.rest[len(start):]
	value = p.text()
	p.take(`,`)
	return value, p.ok
}

// AppendStart appends how a field of a name in canonical escaping begins in a line: what it has
// before its value.
func AppendStart(dst, name []byte) []byte { return append(append(append(dst, '"'), name...), `":"`...) }

// AppendEnd appends the rest of a field to its beginning: a value in canonical escaping.
func AppendEnd(dst, value []byte) []byte { return append(append(dst, value...), '"') }

// Field returns the value of a stored field in canonical escaping, nil if there is none. The
// name is in canonical escaping too.
func (l *Line) Field(name string) []byte {
	if len(l.fields) == 0 {
		return nil
	}
	for n, v := range l.Fields() {
		if string(n) == name {
			return v
		}
	}
	return nil
}

// AppendText appends the body as plain text, with the bytes it had before it was kept.
func (l *Line) AppendText(dst []byte) []byte {
	if len(l.Raw) > 0 {
		if out, err := base64.StdEncoding.AppendDecode(dst, l.Raw); err == nil {
			return out
		}
	}
	if l.Flags&record.Escaped == 0 {
		return append(dst, l.Body...)
	}
	return jsontext.Unescape(dst, l.Body)
}

// onlyFields and endOfFields are about the fields of a line that has nothing behind its body but
// them: what may stand behind them ends with no second brace.
const (
	onlyFields  = `"` + fieldsPart + `"`
	endOfFields = `"}}`
)

// parser takes the parts of a line off its rest. Once something is missing, ok is false.
type parser struct {
	rest []byte
	ok   bool
	// canonical is set if it is known that all texts are.
	canonical bool
}

// take removes text from the start of the rest, if it is there.
func (p *parser) take(text string) bool {
	if len(p.rest) < len(text) || string(p.rest[:len(text)]) != text {
		return false
	}
	p.rest = p.rest[len(text):]
	return true
}

func (p *parser) need(text string) { p.ok = p.take(text) && p.ok }

// text takes the inside of a string and the quote after it. It must be canonical.
func (p *parser) text() []byte {
	n := p.textLen()
	if n < 0 || n == len(p.rest) {
		p.ok = false
		p.rest = nil
		return nil
	}
	text := p.rest[:n:n]
	p.rest = p.rest[n+1:]
	return text
}

// textLen returns the length of the text that the rest starts with, as canonicalText does.
func (p *parser) textLen() int {
	if p.canonical {
		if n := bytes.IndexByte(p.rest, '"'); n >= 0 && (n == 0 || p.rest[n-1] != '\\') {
			return n
		}
	}
	return canonicalText(p.rest)
}

// number takes a decimal number as Append writes it.
func (p *parser) number(most uint64) (v uint64) {
	n := 0
	for ; n < len(p.rest) && p.rest[n]-'0' <= 9 && n < 20; n++ {
		d := uint64(p.rest[n] - '0')
		if v > (most-d)/10 {
			p.ok = false
			return 0
		}
		v = v*10 + d
	}
	if n == 0 || n > 1 && p.rest[0] == '0' {
		p.ok = false
	}
	p.rest = p.rest[n:]
	return v
}

// optional takes what may follow the body.
func (p *parser) optional(l *Line) {
	if p.take(stderrPart) {
		l.Flags |= record.Stderr
	}
	if p.take(cutPart) {
		l.Flags |= record.Cut
	}
	if p.take(weightPart) {
		l.Weight = uint32(p.number(1<<32 - 1))
		p.ok = p.ok && l.Weight > 1
	}
	if p.take(gapPart) {
		l.Gap = p.text()
		p.need(gapBytesPart)
		if p.take("-1") {
			l.GapBytes = -1
		} else {
			l.GapBytes = int64(p.number(1<<63 - 1))
		}
		p.ok = p.ok && len(l.Gap) > 0
	}
	if p.take(fieldsPart) {
		l.fields = p.object()
	}
	if p.take(rawPart) {
		n := bytes.IndexByte(p.rest, '"')
		if n <= 0 || !isBase64(p.rest[:n]) {
			p.ok = false
			return
		}
		l.Raw = p.rest[:n:n]
		p.rest = p.rest[n+1:]
	}
}

// object takes the inside of an object whose values are strings, and the brace after it.
func (p *parser) object() []byte {
	all := p.rest
	for more := true; more && p.ok; more = p.take(`,`) {
		p.need(`"`)
		p.text()
		p.need(`:"`)
		p.ok = len(p.text()) > 0 && p.ok
	}
	inside := all[:len(all)-len(p.rest)]
	p.need(`}`)
	return inside
}

// isBase64 tells whether b is text in the alphabet of base64, with its padding.
func isBase64(b []byte) bool {
	n := len(b)
	if n%4 != 0 {
		return false
	}
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/':
		case c == '=' && (i == n-1 || i == n-2 && b[n-1] == '='):
		default:
			return false
		}
	}
	return true
}
