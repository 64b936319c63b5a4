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

// known are the attributes of a log record that are no fields as they are.
type known struct {
	message, msg, levelname, levelno, created text
	exception, stack                          text
	pathname, filename, module                text
}

// builder makes records of attributes. What it makes of names is as in the package comment.
type builder struct {
	batch   *record.Batch
	base    uint32 // where the present pickle lies in the arena
	known   known
	first   int // field of the present record
	earlier int // of the one before
	left    int // bytes that fields may have yet
	excess  int // fields that were left out
	host    []byte
	scratch []byte
}

// reset forgets the batch.
func (x *builder) reset() { x.batch, x.first, x.earlier = nil, 0, 0 }

// begin begins a record of b.
func (x *builder) begin(b *record.Batch) {
	x.batch = b
	x.earlier, x.first = x.first, len(b.Fields)
	x.known = known{}
	x.left = maxFieldBytes
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
		x.attr(name, value, a.Context)
	}
	x.end(record.Span{Off: base, Len: uint32(len(body))})
}

func (x *builder) within(base uint32, s record.Span) record.Span {
	return record.Span{Off: base + s.Off, Len: s.Len}
}

// attr takes one attribute.
func (x *builder) attr(name record.Span, v text, context bool) {
	if context {
		if v.kind != wire.Null {
			x.ofContext(name, v)
		}
		return
	}
	k := &x.known
	switch string(x.batch.Bytes(name)) {
	case "message":
		k.message = v
	case "msg":
		k.msg = v
	case "levelname":
		k.levelname = v
	case "levelno":
		k.levelno = v
	case "created":
		k.created = v
	case "exc_text":
		k.exception = v
	case "stack_info":
		k.stack = v
	case "filename":
		k.filename = v
	case "module":
		k.module = v
	case "pathname":
		k.pathname = v
		x.field(name, v)
	default:
		if !isLeftOut(x.batch.Bytes(name)) {
			x.field(name, v)
		}
	}
}

// isLeftOut tells whether an attribute says nothing that others do not say.
func isLeftOut(name []byte) bool {
	switch string(name) {
	case "args", "asctime", "exc_info", "hostname", "msecs", "relativeCreated":
		return true
	}
	return false
}

// ofContext takes an attribute of the context.
func (x *builder) ofContext(name record.Span, v text) {
	b := x.batch
	if string(b.Bytes(name)) == "key" && (v.kind == wire.Text || v.kind == wire.Escaped) {
		plain := x.plainSpan(v)
		if _, ok := wire.ParseKey(b.Bytes(plain)); ok {
			x.field(name, text{plain, wire.Text})
			return
		}
	}
	off := len(b.Arena)
	b.Arena = append(b.Arena, "context_"...)
	b.Arena = append(b.Arena, b.Bytes(name)...)
	x.field(record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, v)
}

// field adds a field to the present record, unless its value is none. The last of one name
// counts. Only what the arena ends with may be taken back.
func (x *builder) field(name record.Span, v text) {
	if v.kind == wire.Null || v.span.Len == 0 {
		return
	}
	b := x.batch
	value := x.plainSpan(v)
	if x.left -= int(name.Len + value.Len); x.left < 0 || len(b.Fields)-x.first >= maxFields || name.Len > maxName {
		x.excess++
		return
	}
	if name = x.valid(name); isWire(b.Bytes(name)) {
		name = b.Append(append(b.Bytes(name)[:name.Len:name.Len], '_'))
	}
	for i := x.first; i < len(b.Fields); i++ {
		if f := &b.Fields[i]; f.Name.Len == name.Len && bytes.Equal(b.Bytes(f.Name), b.Bytes(name)) {
			f.Value = value
			return
		}
	}
	b.Fields = append(b.Fields, record.Field{Record: len(b.Records), Name: name, Value: value})
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

// valid returns a name of letters, digits and _ alone, whose first is no digit.
func (x *builder) valid(name record.Span) record.Span {
	b := x.batch
	from := b.Bytes(name)
	for i, c := range from {
		if isNameByte[c] && (i > 0 || c > '9') {
			continue
		}
		off := len(b.Arena)
		if i == 0 && c-'0' <= 9 {
			b.Arena = append(b.Arena, '_')
		}
		for len(from) > 0 {
			_, n := utf8.DecodeRune(from)
			if c := from[0]; isNameByte[c] {
				b.Arena = append(b.Arena, c)
			} else {
				b.Arena = append(b.Arena, '_')
			}
			from = from[n:]
		}
		return record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
	}
	if len(from) == 0 {
		return b.Append([]byte{'_'})
	}
	return name
}

// isNameByte tells of each byte whether it may stand in the name of a field.
var isNameByte = func() (is [256]bool) {
	for c := range is {
		is[c] = c == '_' || c-'0' >= 0 && c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	return is
}()

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
	x.tidy()
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

// maxScratch is how much memory a connection keeps for the next long text.
const maxScratch = 64 << 10

func (x *builder) tidy() {
	if cap(x.scratch) > maxScratch {
		x.scratch = nil
	}
}

// end completes the record; whole is the text of all of it.
func (x *builder) end(whole record.Span) {
	b, k := x.batch, &x.known
	r := record.Record{Time: x.time(k.created), Level: x.level()}
	if x.isLog() {
		x.body(&r)
		x.rest()
	} else {
		r.Body = whole
		x.keepKey()
	}
	if len(x.host) > 0 {
		x.field(b.Append([]byte("hostname")), text{b.Append(x.host), wire.Text})
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
	return k.message.isText() || k.msg.isText() && k.levelno.kind == wire.Number
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
	message := k.message
	if !message.isText() {
		message = k.msg
	}
	r.Body = x.plainSpan(message)
	if k.exception.isText() || k.stack.isText() {
		r.Body = x.below(x.below(r.Body, k.exception), k.stack)
	}
	if k.msg.kind != wire.Null && !x.same(k.msg, message) {
		x.named("msg", k.msg)
	}
}

// same tells whether two texts are written in the same way.
func (x *builder) same(a, b text) bool {
	return a.kind == b.kind && bytes.Equal(x.batch.Bytes(a.span), x.batch.Bytes(b.span))
}

// below returns a text with another one below it. distlog writes the line feeds of a
// traceback as \n.
func (x *builder) below(above record.Span, v text) record.Span {
	if !v.isText() || v.span.Len == 0 {
		return above
	}
	b := x.batch
	lines := b.Bytes(x.plainSpan(v))
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
	off := len(x.batch.Arena)
	x.batch.Arena = append(x.batch.Arena, name...)
	x.field(record.Span{Off: uint32(off), Len: uint32(len(name))}, v)
}

// rest adds the fields of a log record that say something only when they are not as usual.
func (x *builder) rest() {
	b, k := x.batch, &x.known
	if k.levelname.isText() && usualLevel(b.Bytes(k.levelname.span)) != string(b.Bytes(k.levelno.span)) {
		x.named("levelname", k.levelname)
	}
	path, file := b.Bytes(k.pathname.span), b.Bytes(k.filename.span)
	if k.filename.isText() && !bytes.HasSuffix(path, file) {
		x.named("filename", k.filename)
	}
	if k.module.isText() && !bytes.Equal(bytes.TrimSuffix(file, []byte(".py")), b.Bytes(k.module.span)) {
		x.named("module", k.module)
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
	if k.levelno.kind == wire.Number {
		if n, ok := integer(x.batch.Bytes(k.levelno.span)); ok {
			return levelOf(n)
		}
	}
	if k.levelname.isText() {
		return severity.FromValue(x.batch.Bytes(k.levelname.span))
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
