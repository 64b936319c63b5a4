package zmq

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// writer makes messages of records.
type writer struct {
	node   string
	system System
	// distlog tells whether a source is one of distlog's.
	distlog func(source string) bool

	batch  *record.Batch
	ours   bool // its stream is of such a source
	at     int  // the field to look at next
	topic  [3]byte
	host   []byte
	tail   []byte // what is the same for all records of the batch
	second int64
	clock  []byte // of that second

	known [attributes]record.Span // of the present record
	has   [attributes]bool
	extra []record.Field
	lines []byte
}

// attribute is a field of which distlog's records have one of the same name.
type attribute uint8

const (
	attrName attribute = iota
	attrMsg
	attrLevelname
	attrPathname
	attrFilename
	attrModule
	attrLineno
	attrFuncName
	attrThread
	attrThreadName
	attrProcessName
	attrProcess
	attrTaskName
	attrHostname
	attrKey
	attrWireTopic
	attrWireTopic64
	attrWireJSON
	attrWirePickle
	attributes
)

// attributeOf returns the attribute of a field, or attributes.
func attributeOf(field []byte) attribute {
	switch string(field) {
	case "name":
		return attrName
	case "msg":
		return attrMsg
	case "levelname":
		return attrLevelname
	case "pathname":
		return attrPathname
	case "filename":
		return attrFilename
	case "module":
		return attrModule
	case "lineno":
		return attrLineno
	case "funcName":
		return attrFuncName
	case "thread":
		return attrThread
	case "threadName":
		return attrThreadName
	case "processName":
		return attrProcessName
	case "process":
		return attrProcess
	case "taskName":
		return attrTaskName
	case "hostname":
		return attrHostname
	case "key":
		return attrKey
	case "wire_topic":
		return attrWireTopic
	case "wire_topic_base64":
		return attrWireTopic64
	case "wire_json":
		return attrWireJSON
	case "wire_pickle":
		return attrWirePickle
	}
	return attributes
}

// isMade tells whether an attribute is made of something else than a field of its name.
func isMade(field []byte) bool {
	switch string(field) {
	case "message", "levelno", "created", "args", "exc_info", "exc_text", "stack_info", "asctime", "msecs", "relativeCreated", "context", "weir":
		return true
	}
	return false
}

// begin prepares for the records of b, which have to be appended in their order.
func (w *writer) begin(b *record.Batch) {
	labels := b.Stream.Labels
	w.batch, w.at, w.ours = b, 0, w.distlog(b.Stream.Source)
	w.topic = [3]byte{w.systemOf(labels.Get("system")), 'L', 'J'}
	if labels.Get("kind") == "performance" {
		w.topic[1] = 'P'
	}
	w.host = append(w.host[:0], labels.Get("host")...)
	if len(w.host) == 0 {
		w.host = append(w.host, w.node...)
	}
	w.tail = append(kept.Escape(append(w.tail[:0], `,"weir":{"stream":"`...), []byte(b.Stream.ID)), `","labels":{`...)
	for i, l := range labels {
		if i > 0 {
			w.tail = append(w.tail, ',')
		}
		w.tail = append(kept.Escape(append(w.tail, '"'), []byte(l.Name)), `":"`...)
		w.tail = append(kept.Escape(w.tail, []byte(l.Value)), '"')
	}
	w.tail = append(w.tail, '}')
}

// systemOf returns the letter of a system.
func (w *writer) systemOf(label string) byte {
	switch System(label) {
	case Production:
		return 'P'
	case Staging:
		return 'S'
	case Test:
		return 'T'
	}
	if label == "" || w.ours {
		return w.systemOf(string(w.system))
	}
	return w.systemOf("")
}

// append appends the topic and the body of record i. It returns where the topic ends.
func (w *writer) append(dst []byte, i int) (out []byte, topicEnd int) {
	w.sort(i)
	if w.ours && (w.has[attrWireJSON] || w.has[attrWirePickle]) {
		if out, end, ok := w.asItCame(dst); ok {
			return out, end
		}
	}
	dst = append(dst, w.topic[:]...)
	topicEnd = len(dst)
	return w.made(dst, i), topicEnd
}

// sort finds out which fields record i has.
func (w *writer) sort(i int) {
	b := w.batch
	w.known, w.has, w.extra = [attributes]record.Span{}, [attributes]bool{}, w.extra[:0]
	for w.at < len(b.Fields) && b.Fields[w.at].Record < i {
		w.at++
	}
	for ; w.at < len(b.Fields) && b.Fields[w.at].Record == i; w.at++ {
		f := b.Fields[w.at]
		if a := attributeOf(b.Bytes(f.Name)); a < attributes && w.fits(a, b.Bytes(f.Value)) {
			w.known[a], w.has[a] = f.Value, true
		} else {
			w.extra = append(w.extra, f)
		}
	}
}

// fits tells whether an attribute can have a value.
func (w *writer) fits(a attribute, value []byte) bool {
	switch a {
	case attrLineno, attrThread, attrProcess:
		return isInteger(value)
	case attrKey:
		_, ok := wire.ParseKey(value)
		return ok
	case attrWireTopic, attrWireTopic64, attrWireJSON, attrWirePickle:
		return w.ours
	}
	return true
}

// isInteger tells whether a text is a whole number as JSON has it.
func isInteger(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// asItCame appends the two frames of a message that was kept as it came.
func (w *writer) asItCame(dst []byte) (out []byte, topicEnd int, ok bool) {
	from := len(dst)
	dst = append(dst, w.value(attrWireTopic)...)
	dst, err := base64.StdEncoding.AppendDecode(dst, w.value(attrWireTopic64))
	topicEnd = len(dst)
	if err == nil && w.has[attrWirePickle] {
		dst, err = base64.StdEncoding.AppendDecode(dst, w.value(attrWirePickle))
	} else {
		dst = append(dst, w.value(attrWireJSON)...)
	}
	if err != nil { // somebody has changed it, as a plugin may
		return dst[:from], 0, false
	}
	return dst, topicEnd, true
}

// value returns the value of an attribute.
func (w *writer) value(a attribute) []byte { return w.batch.Bytes(w.known[a]) }

// made appends a record as distlog's JSON formatter writes it, as far as it is known.
func (w *writer) made(dst []byte, i int) []byte {
	b := w.batch
	r := &b.Records[i]
	body := b.Bytes(r.Body)
	dst = w.text(append(dst, `{"name":`...), attrName, []byte(b.Stream.Source))
	dst = w.text(append(dst, `,"msg":`...), attrMsg, body)
	level, number := levelOf(r.Level)
	dst = w.text(append(dst, `,"args":null,"levelname":`...), attrLevelname, []byte(level))
	dst = strconv.AppendInt(append(dst, `,"levelno":`...), number, 10)
	path := w.value(attrPathname)
	file := path[bytes.LastIndexByte(path, '/')+1:]
	if w.has[attrFilename] {
		file = w.value(attrFilename)
	}
	dst = w.text(append(dst, `,"pathname":`...), attrPathname, nil)
	dst = w.text(append(dst, `,"filename":`...), attrFilename, file)
	dst = w.text(append(dst, `,"module":`...), attrModule, bytes.TrimSuffix(file, []byte(".py")))
	dst = w.number(append(dst, `,"exc_info":null,"exc_text":null,"stack_info":null,"lineno":`...), attrLineno, "0")
	dst = w.textOrNull(append(dst, `,"funcName":`...), attrFuncName)
	dst = w.times(dst, r.Time)
	dst = w.number(append(dst, `,"thread":`...), attrThread, "null")
	dst = w.textOrNull(append(dst, `,"threadName":`...), attrThreadName)
	dst = w.textOrNull(append(dst, `,"processName":`...), attrProcessName)
	dst = w.number(append(dst, `,"process":`...), attrProcess, "null")
	if w.has[attrTaskName] {
		dst = w.text(append(dst, `,"taskName":`...), attrTaskName, nil)
	}
	dst = w.context(append(dst, `,"context":`...))
	w.lines = w.lines[:0]
	for line := range bytes.SplitSeq(body, []byte{'\n'}) { // as distlog does it
		w.lines = append(append(w.lines, line...), `\n`...)
	}
	dst = quoted(append(dst, `,"message":`...), w.lines[:len(w.lines)-len(`\n`)])
	dst = w.asctime(append(dst, `,"asctime":"`...), r.Time)
	dst = w.text(append(dst, `","hostname":`...), attrHostname, w.host)
	dst = w.extras(dst)
	dst = w.ofWeir(dst, i, body)
	return append(dst, "}}"...)
}

func quoted(dst, text []byte) []byte {
	return append(kept.Escape(append(dst, '"'), text), '"')
}

// text appends the value of an attribute, or another text if there is none.
func (w *writer) text(dst []byte, a attribute, otherwise []byte) []byte {
	if w.has[a] {
		otherwise = w.value(a)
	}
	return quoted(dst, otherwise)
}

func (w *writer) textOrNull(dst []byte, a attribute) []byte {
	if !w.has[a] {
		return append(dst, "null"...)
	}
	return quoted(dst, w.value(a))
}

func (w *writer) number(dst []byte, a attribute, otherwise string) []byte {
	if !w.has[a] {
		return append(dst, otherwise...)
	}
	return append(dst, w.value(a)...)
}

// levelOf returns Python's name and number of a level.
func levelOf(l record.Level) (string, int64) {
	switch l {
	case record.LevelTrace:
		return "Level 5", 5
	case record.LevelDebug:
		return "DEBUG", 10
	case record.LevelInfo:
		return "INFO", 20
	case record.LevelWarn:
		return "WARNING", 30
	case record.LevelError:
		return "ERROR", 40
	case record.LevelFatal:
		return "CRITICAL", 50
	}
	return "NOTSET", 0
}

// times appends the attributes that tell the time as numbers.
func (w *writer) times(dst []byte, ns int64) []byte {
	ns = max(ns, 0)
	dst = strconv.AppendInt(append(dst, `,"created":`...), ns/1e9, 10)
	dst = digits(append(dst, '.'), ns%1e9, 9)
	dst = strconv.AppendInt(append(dst, `,"msecs":`...), ns%1e9/1e6, 10)
	dst = digits(append(dst, '.'), ns%1e6/1e3, 3)
	return append(dst, `,"relativeCreated":0.0`...)
}

// asctime appends the time as logging.Formatter does: local, with a comma.
func (w *writer) asctime(dst []byte, ns int64) []byte {
	ns = max(ns, 0)
	if second := ns / 1e9; len(w.clock) == 0 || second != w.second {
		w.second, w.clock = second, time.Unix(second, 0).AppendFormat(w.clock[:0], "2006-01-02 15:04:05,")
	}
	return digits(append(dst, w.clock...), ns%1e9/1e6, 3)
}

// digits appends n with as many digits.
func digits(dst []byte, n int64, count int) []byte {
	at := len(dst)
	for range count {
		dst = append(dst, '0')
	}
	for i := at + count - 1; i >= at; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

const contextPrefix = "context_"

// context appends what the fields tell of the record's context.
func (w *writer) context(dst []byte) []byte {
	from := len(dst)
	if w.has[attrKey] {
		dst = quoted(append(dst, `,"key":`...), w.value(attrKey))
	}
	for i := range w.extra {
		if field, ok := w.inContext(&w.extra[i]); ok {
			dst = quoted(append(dst, ','), field)
			dst = quoted(append(dst, ':'), w.batch.Bytes(w.extra[i].Value))
		}
	}
	if len(dst) == from {
		return append(dst, "null"...)
	}
	dst[from] = '{' // for the first comma
	return append(dst, '}')
}

// inContext tells whether the source has taken a field from the context.
func (w *writer) inContext(f *record.Field) (field []byte, ok bool) {
	field, ok = bytes.CutPrefix(w.batch.Bytes(f.Name), []byte(contextPrefix))
	return field, ok && w.ours
}

// extras appends the fields that are no attribute of every record, as extra= does.
func (w *writer) extras(dst []byte) []byte {
	for i := range w.extra {
		f := &w.extra[i]
		if _, ok := w.inContext(f); ok {
			continue
		}
		dst = append(dst, `,"`...)
		if field := w.batch.Bytes(f.Name); isMade(field) || attributeOf(field) < attributes {
			dst = append(dst, "field_"...)
		}
		dst = append(kept.Escape(dst, w.batch.Bytes(f.Name)), `":`...)
		dst = quoted(dst, w.batch.Bytes(f.Value))
	}
	return dst
}

// ofWeir appends what a record of distlog's does not have, up to the last brace.
func (w *writer) ofWeir(dst []byte, i int, body []byte) []byte {
	b := w.batch
	r := &b.Records[i]
	dst = append(dst, w.tail...)
	if b.First > 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), b.First+uint64(i), 10)
	}
	if r.Flags&record.Stderr != 0 {
		dst = append(dst, `,"stderr":true`...)
	}
	if r.Flags&record.Cut != 0 {
		dst = append(dst, `,"cut":true`...)
	}
	if r.Weight > 1 {
		dst = strconv.AppendUint(append(dst, `,"weight":`...), uint64(r.Weight), 10)
	}
	if r.Flags&record.Lost != 0 {
		dst = append(dst, `,"lost":true`...)
	}
	if !utf8.Valid(body) {
		dst = append(base64.StdEncoding.AppendEncode(append(dst, `,"raw":"`...), body), '"')
	}
	return dst
}
