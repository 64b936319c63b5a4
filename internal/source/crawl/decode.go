package crawl

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

const (
	// chunkBytes is how much of a response is read before what is in it is taken.
	chunkBytes = 256 << 10
	// maxRecordBytes is how long a record may be in a response.
	maxRecordBytes = 4 << 20
	// maxKeptBuffer is the largest buffer that is kept for the next response.
	maxKeptBuffer = 1 << 20
	// certain is how far behind what is wrong text must be, so that it is wrong whatever
	// follows: the longest thing that one looks at as a whole is \uXXXX.
	certain = 12
)

// taker gets the records of a response.
type taker interface {
	// take gets one record and what is wanted of it, which are valid until it returns.
	take(raw []byte, values []value) error
	// pause says that the next record may take a while.
	pause() error
	// bad says that something is no record, and why.
	bad(reason string, raw []byte)
}

// decoder finds the records in responses, while these are read. It needs memory for a chunk
// or for one record, whatever the response's size.
type decoder struct {
	src io.Reader
	to  taker

	envelope *node // what is wanted of the response
	record   *node // of each record
	x        extractor
	values   []value // of the present record
	notes    []value // of the response, copied

	buf   []byte
	ended bool   // all of src is in buf
	fault error  // of src, behind what is in buf
	off   int64  // of buf in the response
	found bool   // there was something at records
	there []byte // what the response has beside what is wanted: keys, for an error
}

// maxThere is how much of that is told.
const maxThere = 80

// syntaxError is where a response is no JSON.
type syntaxError struct {
	at   int64
	deep bool // or is nested too deep to be looked at, in a record
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("the response is no valid JSON at byte %d", e.at)
}

// decode reads a response to its end. An error of src, or of to, ends it.
func (d *decoder) decode(src io.Reader, format Format) error {
	d.src, d.ended, d.fault, d.off, d.found, d.there = src, false, nil, 0, false, d.there[:0]
	if cap(d.buf) < chunkBytes || cap(d.buf) > maxKeptBuffer {
		d.buf = make([]byte, 0, chunkBytes+8<<10)
	}
	d.buf = d.buf[:0]
	d.set(0)
	clear(d.notes)
	if format == "ndjson" {
		d.found = true
		return d.lines()
	}
	empty, err := d.space()
	switch {
	case err != nil:
		return err
	case empty:
		return nil // no content, no records
	}
	if err := d.walk(d.envelope, maxDepth); err != nil {
		return err
	}
	if end, err := d.space(); err != nil || end {
		return err
	}
	return d.wrong()
}

// release gives the memory of a response back: who waits for the next run needs none.
func (d *decoder) release() { d.buf, d.x.Text = nil, nil }

// set gives the extractor the buffer, with the place where it is.
func (d *decoder) set(at int) { d.x.Text, d.x.At = d.buf, at }

func (d *decoder) wrong() error { return &syntaxError{at: d.off + int64(d.x.At)} }

// fill reads more. What comes before from is not needed any more; from moves to the start.
func (d *decoder) fill(from int) error {
	switch {
	case d.fault != nil:
		return d.fault
	case d.ended:
		return d.wrong()
	}
	if err := d.to.pause(); err != nil {
		return err
	}
	n := copy(d.buf, d.buf[from:])
	d.off += int64(from)
	at := d.x.At - from
	d.buf = d.buf[:n]
	// At least as much again as is there: what is not whole yet is looked at from its start.
	want := n + max(chunkBytes/2, n)
	if cap(d.buf) < want {
		grown := make([]byte, n, max(want, 2*cap(d.buf)))
		copy(grown, d.buf)
		d.buf = grown
	}
	for len(d.buf) < want {
		k, err := d.src.Read(d.buf[len(d.buf):cap(d.buf)])
		d.buf = d.buf[:len(d.buf)+k]
		if err == io.EOF {
			d.ended = true
			break
		}
		if err != nil { // what came before it is good
			d.fault = err
			break
		}
	}
	d.set(at)
	if len(d.buf) == n {
		return d.fault
	}
	return nil
}

// space goes on to what is no white space, or to the end.
func (d *decoder) space() (end bool, err error) {
	for {
		d.x.Space()
		if d.x.At < len(d.x.Text) {
			return false, nil
		}
		if d.ended {
			return true, nil
		}
		if err := d.fill(d.x.At); err != nil {
			return false, err
		}
	}
}

// next goes on to the next byte that is no white space, and returns it.
func (d *decoder) next() (byte, error) {
	end, err := d.space()
	switch {
	case err != nil:
		return 0, err
	case end:
		return 0, d.wrong()
	}
	return d.x.Text[d.x.At], nil
}

// again tells whether what begins at from, and could not be read, may be whole with more of
// the response; then there is more, and it is to be read again.
func (d *decoder) again(from int) error {
	if d.ended || d.x.At+certain < len(d.x.Text) {
		return d.wrong()
	}
	d.x.At = from
	if len(d.x.Text)-from > maxRecordBytes {
		return errLong
	}
	return d.fill(from)
}

// errLong says that a value is too long to be looked at.
var errLong = errors.New("a value is too long")

// open tells whether a value that reaches to the end of what was read may go on.
func (d *decoder) open() bool { return d.x.At == len(d.x.Text) && !d.ended }

// walk goes through a value of the response's frame.
func (d *decoder) walk(n *node, depth int) error {
	c, err := d.next()
	switch {
	case err != nil:
		return err
	case n == nil:
		return d.skip()
	case n.records:
		return d.records(c)
	case depth == 0:
		return d.wrong()
	case len(n.slots) > 0:
		return d.note(n)
	case c == '{' && len(n.edges) > 0:
		return d.object(n, depth)
	case c == '[' && len(n.edges) > 0:
		if depth == maxDepth {
			d.there = append(d.there, ", a list"...)
		}
		return d.array(n, depth)
	}
	return d.skip()
}

// object goes through an object of the frame.
func (d *decoder) object(n *node, depth int) error {
	d.x.At++
	c, err := d.next()
	if err != nil {
		return err
	}
	if c == '}' {
		d.x.At++
		return nil
	}
	for {
		to, err := d.key(n)
		if err != nil {
			return err
		}
		if err := d.walk(to, depth-1); err != nil {
			return err
		}
		if more, err := d.more('}'); err != nil || !more {
			return err
		}
	}
}

// key goes through a key and its colon.
func (d *decoder) key(n *node) (*node, error) {
	for {
		if _, err := d.next(); err != nil {
			return nil, err
		}
		from := d.x.At
		if d.x.Take('"') {
			if key, escaped, ok := d.x.Inside(); ok {
				to := n.member(key, escaped, &d.x.scratch)
				if to == nil && len(d.there)+len(key)+2 < maxThere {
					d.there = append(append(d.there, ", "...), key...)
				}
				c, err := d.next()
				if err == nil && c != ':' {
					err = d.wrong()
				}
				d.x.At++
				return to, err
			}
		} else {
			return nil, d.wrong()
		}
		if err := d.again(from); err != nil {
			return nil, err
		}
	}
}

// more goes over what follows an element: a comma, or the end.
func (d *decoder) more(end byte) (bool, error) {
	c, err := d.next()
	switch {
	case err != nil:
		return false, err
	case c != ',' && c != end:
		return false, d.wrong()
	}
	d.x.At++
	return c == ',', nil
}

// array goes through an array of the frame.
func (d *decoder) array(n *node, depth int) error {
	return d.each(func(i int) error { return d.walk(n.element(i), depth-1) })
}

// each calls f for the elements of an array.
func (d *decoder) each(f func(i int) error) error {
	d.x.At++
	c, err := d.next()
	if err != nil {
		return err
	}
	if c == ']' {
		d.x.At++
		return nil
	}
	for i := 0; ; i++ {
		if err := f(i); err != nil {
			return err
		}
		if more, err := d.more(']'); err != nil || !more {
			return err
		}
	}
}

// note keeps a value of the frame.
func (d *decoder) note(n *node) error {
	d.x.values = d.notes
	from := d.x.At
	for !d.x.extract(n, maxDepth) || d.open() {
		if err := d.again(from); err != nil {
			return err
		}
		from = 0
	}
	for i, v := range d.notes {
		if v.raw != nil {
			d.notes[i].raw = append(make([]byte, 0, len(v.raw)), v.raw...)
		}
	}
	return nil
}

// records goes through the records.
func (d *decoder) records(c byte) error {
	d.found = true
	if c == '[' {
		return d.each(func(int) error {
			if _, err := d.next(); err != nil {
				return err
			}
			return d.shallow(d.one(true))
		})
	}
	if c == 'n' { // null, as some write an empty list
		return d.skip()
	}
	return d.shallow(d.one(false))
}

// shallow goes over a record that is nested too deep.
func (d *decoder) shallow(err error) error {
	wrong, ok := err.(*syntaxError)
	if !ok || !wrong.deep {
		return err
	}
	d.to.bad(wrong.reason(), d.shown())
	return d.skip()
}

// reason says why a line is no record.
func (e *syntaxError) reason() string {
	if e.deep {
		return "too deep"
	}
	return "no JSON"
}

// shown returns the start of what is left out.
func (d *decoder) shown() []byte { return d.x.Text[d.x.At:min(len(d.x.Text), d.x.At+1000)] }

// one goes through one record. In a list, something must follow it: a number at the end of
// what came may be a part of one. Where it is none, the decoder stands at its start.
func (d *decoder) one(listed bool) error {
	from := d.x.At
	d.x.values = d.values
	for {
		clear(d.values)
		if d.x.extract(d.record, maxDepth) && !d.open() && (!listed || d.x.At < len(d.x.Text)) {
			return d.to.take(d.x.Text[from:d.x.At:d.x.At], d.values)
		}
		switch err := d.again(from); err {
		case nil:
			from = 0
		case errLong:
			d.to.bad("too long", d.shown())
			return d.skip()
		default:
			if wrong, ok := err.(*syntaxError); ok && from <= d.x.At {
				wrong.deep = isDeep(d.x.Text[from:d.x.At])
			}
			d.x.At = min(from, len(d.x.Text))
			return err
		}
	}
}

// lines goes through records that are a line each. A line that is none is left out.
func (d *decoder) lines() error {
	for {
		if end, err := d.space(); err != nil || end {
			return err
		}
		err := d.one(false)
		var wrong *syntaxError
		if !errors.As(err, &wrong) {
			if err != nil {
				return err
			}
			continue
		}
		d.to.bad(wrong.reason(), d.shown())
		if err := d.line(); err != nil {
			return err
		}
	}
}

// line goes on to the end of the line.
func (d *decoder) line() error {
	for {
		for d.x.At < len(d.x.Text) {
			if d.x.At++; d.x.Text[d.x.At-1] == '\n' {
				return nil
			}
		}
		if d.ended {
			return nil
		}
		if err := d.fill(d.x.At); err != nil {
			return err
		}
	}
}

// skip goes over a value of any length. Of what is in it, strings and brackets are looked at.
func (d *decoder) skip() error {
	depth := 0
	for {
		c, err := d.next()
		if err != nil {
			return err
		}
		switch c {
		case '{', '[':
			depth++
			d.x.At++
		case '}', ']':
			depth--
			d.x.At++
		case '"':
			d.x.At++
			err = d.skipText()
		case ',', ':':
			if depth == 0 {
				return d.wrong()
			}
			d.x.At++
			continue
		default:
			err = d.skipLiteral()
		}
		switch {
		case err != nil:
			return err
		case depth < 0:
			return d.wrong()
		case depth == 0:
			return nil
		}
	}
}

func (d *decoder) skipText() error {
	escaped := false
	for {
		for ; d.x.At < len(d.x.Text); d.x.At++ {
			switch c := d.x.Text[d.x.At]; {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				d.x.At++
				return nil
			}
		}
		if err := d.fill(d.x.At); err != nil {
			return err
		}
	}
}

func (d *decoder) skipLiteral() error {
	from := d.x.At
	for !d.x.Literal() || d.open() {
		if err := d.again(from); err != nil {
			return err
		}
		from = 0
	}
	return nil
}

// plain returns what was noted in a slot as text, "" if nothing was.
func (d *decoder) plain(slot int) string {
	v := d.notes[slot]
	if v.absent() {
		return ""
	}
	return string(v.plain(&d.x.scratch))
}

// newDecoder returns a decoder of so many values and notes.
func newDecoder(envelope, record *node, notes, values int) *decoder {
	return &decoder{
		envelope: envelope, record: record, notes: make([]value, notes), values: make([]value, values),
		x: extractor{Scanner: jsontext.Scanner{}},
	}
}
