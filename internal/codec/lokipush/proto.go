package lokipush

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The numbers of fields in logproto.
const (
	requestStreams = 1

	streamLabels  = 1
	streamEntries = 2

	entryTime     = 1
	entryLine     = 2
	entryMetadata = 3

	timeSeconds = 1
	timeNanos   = 2

	pairName  = 1
	pairValue = 2
)

// The wire types of protobuf.
const (
	wireVarint  = 0
	wire64      = 1
	wireBytes   = 2
	wire32      = 5
	wireTypeBit = 3
)

// protoParser visits a body of protobuf. Its methods return false once err is set.
type protoParser struct {
	d    *Decoder
	v    Visitor
	body []byte
	err  error

	stream, item int // where it is, for messages; -1 is nowhere
}

// message is a part of the body.
type message struct{ at, end int }

// field is one field of a message.
type field struct {
	at     int // where it begins
	number uint64
	wire   byte
	value  uint64  // of a varint
	part   message // of bytes
}

// fail notes what is wrong at a place.
func (p *protoParser) fail(at int, text string) bool {
	if p.err == nil {
		path := ""
		if p.stream >= 0 {
			path = "streams[" + strconv.Itoa(p.stream) + "]"
		}
		if p.item >= 0 {
			path += ".entries[" + strconv.Itoa(p.item) + "]"
		}
		p.err = &SyntaxError{Offset: at, Path: path, Message: text}
	}
	return false
}

// next reads the next field of m; done says that there is none.
func (p *protoParser) next(m *message) (f field, done, ok bool) {
	if m.at == m.end {
		return f, true, true
	}
	f.at = m.at
	tag, ok := p.varint(m)
	if !ok {
		return f, false, false
	}
	f.number, f.wire = tag>>wireTypeBit, byte(tag&(1<<wireTypeBit-1))
	if f.number == 0 {
		return f, false, p.fail(f.at, "no field of protobuf begins like this")
	}
	switch f.wire {
	case wireVarint:
		f.value, ok = p.varint(m)
	case wire64:
		ok = p.forward(m, 8)
	case wire32:
		ok = p.forward(m, 4)
	case wireBytes:
		var n uint64
		if n, ok = p.varint(m); ok {
			f.part.at = m.at
			ok = p.forward(m, n)
			f.part.end = m.at
		}
	default:
		return f, false, p.fail(f.at, "a field of a type that protobuf does not have")
	}
	return f, false, ok
}

func (p *protoParser) varint(m *message) (uint64, bool) {
	v, n := binary.Uvarint(p.body[m.at:m.end])
	if n <= 0 {
		return 0, p.fail(m.at, "a number that does not end")
	}
	m.at += n
	return v, true
}

func (p *protoParser) forward(m *message, n uint64) bool {
	if n > uint64(m.end-m.at) {
		return p.fail(m.at, "a field that is longer than what it is in")
	}
	m.at += int(n)
	return true
}

// bytes returns what is in a field of bytes.
func (p *protoParser) bytes(f field) ([]byte, bool) {
	if f.wire != wireBytes {
		return nil, p.fail(f.at, "a field that should have bytes has a number")
	}
	return p.body[f.part.at:f.part.end:f.part.end], true
}

func (p *protoParser) request() error {
	m := message{end: len(p.body)}
	for i := 0; ; {
		f, done, ok := p.next(&m)
		if done || !ok {
			return p.err
		}
		if f.number != requestStreams {
			continue
		}
		p.stream = i
		if _, ok := p.bytes(f); !ok || !p.oneStream(f.part) {
			return p.err
		}
		p.stream = -1
		i++
	}
}

// oneStream reads a StreamAdapter: first its labels, then its entries.
func (p *protoParser) oneStream(m message) bool {
	labels, entries := Labels{}, 0
	for look := m; ; {
		f, done, ok := p.next(&look)
		if !ok {
			return false
		}
		if done {
			break
		}
		switch f.number {
		case streamLabels:
			if labels.Text, ok = p.bytes(f); !ok {
				return false
			}
		case streamEntries:
			entries++
		}
	}
	if entries == 0 {
		return true
	}
	wanted := p.v.Stream(labels)
	for i := 0; i < entries; {
		f, _, ok := p.next(&m)
		if !ok {
			return false
		}
		if f.number != streamEntries {
			continue
		}
		p.item = i
		if _, ok := p.bytes(f); !ok || !p.entry(f.part, wanted) {
			return false
		}
		i++
	}
	p.item = -1
	return true
}

// entry reads an EntryAdapter.
func (p *protoParser) entry(m message, wanted bool) bool {
	e := p.d.begin()
	for {
		f, done, ok := p.next(&m)
		if !ok {
			return false
		}
		if done {
			break
		}
		if f.number < entryTime || f.number > entryMetadata {
			continue
		}
		text, ok := p.bytes(f)
		switch {
		case !ok:
		case f.number == entryLine:
			e.Line = text
		case f.number == entryTime:
			ok = p.time(f.part, e)
		default:
			ok = p.pair(f.part, e)
		}
		if !ok {
			return false
		}
	}
	if wanted {
		p.err = p.v.Entry(e)
	}
	return p.err == nil
}

// second is one in the unit of times.
const second int64 = 1e9

// yearOne is the second in which Go's clock begins: a time that was never set.
const yearOne = -62135596800

// time reads a Timestamp.
func (p *protoParser) time(m message, e *Entry) bool {
	from := m.at
	var seconds, nanos int64
	for {
		f, done, ok := p.next(&m)
		if !ok {
			return false
		}
		if done {
			break
		}
		switch {
		case f.wire != wireVarint:
		case f.number == timeSeconds:
			seconds = int64(f.value)
		case f.number == timeNanos:
			nanos = int64(f.value)
		}
	}
	if nanos < 0 || nanos >= second {
		return p.fail(from, "a time with more than a second of nanoseconds")
	}
	switch {
	case seconds == yearOne && nanos == 0:
		e.Time = 0
	case seconds >= math.MaxInt64/second:
		e.Time = math.MaxInt64
	case seconds <= math.MinInt64/second:
		e.Time = math.MinInt64
	default:
		e.Time = seconds*second + nanos
	}
	return true
}

// pair reads a LabelPairAdapter.
func (p *protoParser) pair(m message, e *Entry) bool {
	var name, value []byte
	for {
		f, done, ok := p.next(&m)
		if !ok {
			return false
		}
		if done {
			break
		}
		switch f.number {
		case pairName:
			name, ok = p.bytes(f)
		case pairValue:
			value, ok = p.bytes(f)
		}
		if !ok {
			return false
		}
	}
	if len(name) > 0 && len(value) > 0 {
		e.add(name, value)
	}
	return true
}
