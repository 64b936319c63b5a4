package distlog

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

const (
	// maxLineBytes is where texts are cut.
	maxLineBytes = 1 << 20
	// maxFieldBytes is how much of fields a record keeps, and maxFields how many.
	maxFieldBytes = 64 << 10
	maxFields     = 256
	// maxName is how long the name of a field is.
	maxName = 255
)

// text is a text of the present record, in the batch's arena.
type text struct {
	span record.Span
	kind wire.Kind // Null where there is none
}

// instant is the kind of a text that is a time already: span has its nanoseconds.
const instant = ^wire.Kind(0)

// at returns the text of a time that is known.
func at(ns int64) text { return text{record.Span{Off: uint32(ns >> 32), Len: uint32(ns)}, instant} }

// nanoseconds returns the time of a text that at has made.
func (t text) nanoseconds() int64 { return int64(t.span.Off)<<32 | int64(t.span.Len) }

// builder makes records of attributes. What it makes of names is as in the package comment.
type builder struct {
	batch   *record.Batch
	base    uint32 // where the present pickle lies in the arena
	shape   shape
	known   [knownRoles]text
	first   int // field of the present record
	left    int // bytes that fields may have yet
	spare   int // bytes of the values of a pickle that may be looked at yet
	attrs   int // of the present record, if the machine has read it
	excess  int // fields that were left out
	host    []byte
	scratch []byte
}

// reset forgets what the batch has, or the end of it.
func (x *builder) reset() { x.batch, x.first, x.shape.turn = nil, 0, x.shape.turn+1 }

// begin begins a record of b.
func (x *builder) begin(b *record.Batch) {
	x.batch = b
	x.first, x.shape.at = len(b.Fields), 0
	clear(x.known[:])
	x.left, x.spare, x.attrs = maxFieldBytes, maxLooked, 0
}

// json appends a record of JSON to b. The text of body lies in the arena from then on, and
// what has no escapes is a part of it.
func (x *builder) json(b *record.Batch, attrs []wire.Attr, body []byte) {
	x.begin(b)
	base := b.Append(body).Off
	for i := range attrs {
		a := &attrs[i]
		name, value := x.within(base, a.Name), text{x.within(base, a.Value), a.Kind}
		if a.EscapedName {
			name = x.unescape(name)
		}
		x.attr(x.shape.next(b.Bytes(name), a.Context), value)
	}
	x.end(record.Span{Off: base, Len: uint32(len(body))})
}

func (x *builder) within(base uint32, s record.Span) record.Span {
	return record.Span{Off: base + s.Off, Len: s.Len}
}

// attr takes one attribute. It returns false if the record has no room for it.
func (x *builder) attr(s *slot, v text) bool {
	switch {
	case s.role < pathnameRole:
		x.known[s.role] = v
	case v.kind == wire.Null:
	case s.role == pathnameRole:
		x.known[s.role] = v
		x.field(s, v)
	case s.role == keyRole && v.isText():
		return x.key(s, v)
	case s.role != leftOutRole:
		return x.field(s, v)
	}
	return true
}

// key takes the attribute key of a context, which is no more than that if it is no key.
func (x *builder) key(s *slot, v text) bool {
	plain := x.plainSpan(v)
	if _, ok := wire.ParseKey(x.batch.Bytes(plain)); ok {
		s, v = x.shape.keySlot(s), text{plain, wire.Text}
	}
	return x.field(s, v)
}

// field adds a field to the present record, unless its value is none. The last of one name
// counts. It returns false if there is no room for it.
func (x *builder) field(s *slot, v text) bool {
	if v.kind == wire.Null || v.span.Len == 0 {
		return true
	}
	b := x.batch
	value := x.plainSpan(v)
	if x.left -= s.long + int(value.Len); x.left < 0 || !x.hasRoom(s) {
		x.excess++
		return false
	}
	if s.turn != x.shape.turn {
		s.turn, s.span = x.shape.turn, b.Append(s.field)
	}
	if !s.first && x.again(s.field, value) {
		return true
	}
	b.Fields = append(b.Fields, record.Field{})
	f := &b.Fields[len(b.Fields)-1] // to copy what was just written would make the processor wait
	f.Record, f.Name, f.Value = len(b.Records), s.span, value
	return true
}

// hasRoom tells whether the present record may have one field more.
func (x *builder) hasRoom(s *slot) bool {
	return len(x.batch.Fields)-x.first < maxFields && s.role != tooLongRole
}

// The fields of a message as it came.
const (
	wireTopic   = "wire_topic"
	wireTopic64 = "wire_topic_base64" // of a topic that is not UTF-8
	wireJSON    = "wire_json"
	wirePickle  = "wire_pickle" // in base64
)

// isWire tells whether a name is one of these, which no sender may choose.
func isWire(name []byte) bool {
	switch string(name) {
	case wireTopic, wireTopic64, wireJSON, wirePickle:
		return true
	}
	return false
}

// again gives a field of the present record another value, if it is there.
func (x *builder) again(name []byte, value record.Span) bool {
	b := x.batch
	for i := x.first; i < len(b.Fields); i++ {
		if f := &b.Fields[i]; int(f.Name.Len) == len(name) && bytes.Equal(b.Bytes(f.Name), name) {
			f.Value = value
			return true
		}
	}
	return false
}

// plainSpan returns a text without its escapes.
func (x *builder) plainSpan(v text) record.Span {
	if v.kind != wire.Escaped {
		return v.span
	}
	return x.unescape(v.span)
}

func (x *builder) unescape(s record.Span) record.Span {
	b := x.batch
	x.scratch = jsontext.Unescape(x.scratch[:0], b.Bytes(s))
	s = b.Append(x.scratch)
	x.tidy(maxScratch)
	return s
}

// plain returns a text without its escapes, valid until the next record.
func (x *builder) plain(value []byte, k wire.Kind) []byte {
	if k != wire.Escaped {
		return value
	}
	x.scratch = jsontext.Unescape(x.scratch[:0], value)
	return x.scratch
}

// maxScratch is how much memory a connection keeps for the next long text, and maxIdleScratch
// how much of that while it waits.
const (
	maxScratch     = 64 << 10
	maxIdleScratch = 4 << 10
)

func (x *builder) tidy(most int) {
	if cap(x.scratch) > most {
		x.scratch = nil
	}
}

// end completes the record; whole is the text of all of it.
func (x *builder) end(whole record.Span) {
	b := x.batch
	r := record.Record{Time: x.time(x.known[createdRole]), Level: x.level()}
	if x.isLog() {
		x.body(&r)
		x.rest()
	} else {
		r.Body = whole
		x.keepKey()
	}
	if len(x.host) > 0 {
		x.named("hostname", text{b.Append(x.host), wire.Text})
	}
	if r.Body.Len > maxLineBytes {
		r.Body.Len = uint32(cut(b.Bytes(r.Body)))
		r.Flags = record.Cut
	}
	b.Records = append(b.Records, r)
}

// isLog tells whether the attributes are those of a log record.
func (x *builder) isLog() bool {
	k := &x.known
	return k[messageRole].isText() || k[msgRole].isText() && k[levelnoRole].kind == wire.Number
}

func (t text) isText() bool { return t.kind == wire.Text || t.kind == wire.Escaped }

// cut returns how much is kept of a text that is too long: no part of a letter is at its end.
func cut(line []byte) int {
	n := maxLineBytes
	for n > maxLineBytes-utf8.UTFMax && !utf8.RuneStart(line[n]) {
		n--
	}
	return n
}

// body makes the text of a log record: the message, and what belongs below it.
func (x *builder) body(r *record.Record) {
	k := &x.known
	message := k[messageRole]
	if !message.isText() {
		message = k[msgRole]
	}
	r.Body = x.plainSpan(message)
	if k[exceptionRole].isText() || k[stackRole].isText() {
		r.Body = x.below(x.below(r.Body, k[exceptionRole]), k[stackRole])
	}
	if k[msgRole].kind != wire.Null && !x.same(k[msgRole], message) {
		x.named("msg", k[msgRole])
	}
}

// same tells whether two texts are written in the same way.
func (x *builder) same(a, b text) bool {
	return a.kind == b.kind && bytes.Equal(x.batch.Bytes(a.span), x.batch.Bytes(b.span))
}

// below returns a text with another one below it. distlog writes the line feeds of a
// traceback as \n.
func (x *builder) below(above record.Span, v text) record.Span {
	if !v.isText() || v.span.Len == 0 || above.Len > maxLineBytes {
		return above
	}
	b := x.batch
	lines := b.Bytes(x.plainSpan(v))
	if len(lines) > 2*maxLineBytes+utf8.UTFMax { // each line feed may be two letters
		lines = lines[:2*maxLineBytes+utf8.UTFMax]
	}
	if bytes.IndexByte(lines, '\n') < 0 {
		lines = bytes.ReplaceAll(lines, []byte(`\n`), []byte("\n"))
	}
	off := len(b.Arena)
	b.Arena = append(b.Arena, b.Bytes(above)...)
	b.Arena = append(b.Arena, '\n')
	b.Arena = append(b.Arena, lines...)
	return record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
}

// named adds a field whose name is ours.
func (x *builder) named(name string, v text) {
	s := &x.shape.ours
	*s = slot{role: fieldRole, field: append(s.field[:0], name...), long: len(name), turn: -1, said: -1}
	x.field(s, v)
}

// rest adds the fields of a log record that say something only when they are not as usual.
func (x *builder) rest() {
	b, k := x.batch, &x.known
	if k[levelnameRole].isText() && usualLevel(b.Bytes(k[levelnameRole].span)) != string(b.Bytes(k[levelnoRole].span)) {
		x.named("levelname", k[levelnameRole])
	}
	path, file := b.Bytes(k[pathnameRole].span), b.Bytes(k[filenameRole].span)
	if k[filenameRole].isText() && !bytes.HasSuffix(path, file) {
		x.named("filename", k[filenameRole])
	}
	if k[moduleRole].isText() && !bytes.Equal(bytes.TrimSuffix(file, []byte(".py")), b.Bytes(k[moduleRole].span)) {
		x.named("module", k[moduleRole])
	}
}

// usualLevel returns the number of a level of Python's, as text.
func usualLevel(name []byte) string {
	switch string(name) {
	case "DEBUG":
		return "10"
	case "INFO":
		return "20"
	case "WARNING":
		return "30"
	case "ERROR":
		return "40"
	case "CRITICAL":
		return "50"
	}
	return ""
}

// keepKey leaves of the fields of a dictionary that is no log record the key alone: its text
// has them all.
func (x *builder) keepKey() {
	b := x.batch
	fields := b.Fields[x.first:]
	b.Fields = b.Fields[:x.first]
	for _, f := range fields {
		if string(b.Bytes(f.Name)) == "key" {
			if _, ok := wire.ParseKey(b.Bytes(f.Value)); ok {
				b.Fields = append(b.Fields, f)
			}
		}
	}
}

// level returns the level of the record.
func (x *builder) level() record.Level {
	k := &x.known
	if k[levelnoRole].kind == wire.Number {
		if n, ok := integer(x.batch.Bytes(k[levelnoRole].span)); ok {
			return levelOf(n)
		}
	}
	if k[levelnameRole].isText() {
		return severity.FromValue(x.batch.Bytes(k[levelnameRole].span))
	}
	return record.LevelUnknown
}

// levelOf maps a number of Python's logging.
func levelOf(n int64) record.Level {
	switch {
	case n >= 50:
		return record.LevelFatal
	case n >= 40:
		return record.LevelError
	case n >= 30:
		return record.LevelWarn
	case n >= 20:
		return record.LevelInfo
	case n >= 10:
		return record.LevelDebug
	case n > 0:
		return record.LevelTrace
	}
	return record.LevelUnknown
}

// wire keeps a message as it came, as fields of the last record.
func (x *builder) wire(b *record.Batch, topic, body []byte, name string) {
	field := func(name string, value record.Span) {
		b.Fields = append(b.Fields, record.Field{Record: len(b.Records) - 1, Name: b.Append([]byte(name)), Value: value})
	}
	packed := func(name string, value []byte) {
		off := len(b.Arena)
		b.Arena = base64.StdEncoding.AppendEncode(b.Arena, value)
		field(name, record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)})
	}
	if utf8.Valid(topic) {
		field(wireTopic, b.Append(topic))
	} else {
		packed(wireTopic64, topic)
	}
	if name == wireJSON {
		field(name, b.Append(body))
	} else {
		packed(name, body)
	}
}
