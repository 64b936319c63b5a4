package task

import (
	"bytes"
	"hash/maphash"
	"strings"

	"github.com/weirlog/weir/internal/codec/jsonline"
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/logfmt"
	"github.com/weirlog/weir/internal/codec/rfc3339"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

// said is what a record says of its scope's fate.
type said uint8

const (
	nothing said = iota
	started
	succeeded
	failed
)

// event is a record of a task. Its bytes are valid until the next one is read.
type event struct {
	time  int64 // Unix nanoseconds
	kept  int64 // when it was kept
	level record.Level
	// scope is the name of its scope, the first root bytes of which are the task's. Of a span
	// it is the task's, and span the span's id.
	scope  []byte
	root   int
	span   []byte
	parent []byte // the span around it
	seq    int64  // -1: the record has no number
	// text is the message; trouble is the text of an error below it.
	text, trouble []byte
	says          said
	eliot         bool
	place         uint64 // where in the program it was logged; 0 is not known
	origin        origin
	stream        string
	wanted        uint64 // has a bit for each condition of the question that the record fulfils
	args          []byte // the inside of the JSON object that has the key, or nil
}

// id returns the name of the task.
func (e *event) id() []byte { return e.scope[:e.root] }

// slot is what is taken from a record.
type slot int

const (
	slotKey slot = iota
	slotTaskUUID
	slotTaskLevel
	slotTrace
	slotSpan
	slotParent
	slotMessage
	slotLevel
	slotHost
	slotProcess
	slotThread
	slotStatus
	slotTime
	slotPath
	slotLine
	slotFunction
	slotTrouble
	slotContext
	slots
)

// spellings are the names under which it is found, the better ones first.
var spellings = [slots][]string{
	slotKey:       {"context.key", "key"},
	slotTaskUUID:  {"task_uuid"},
	slotTaskLevel: {"task_level"},
	slotTrace:     {"trace_id", "traceId", "trace.id", "traceID"},
	slotSpan:      {"span_id", "spanId", "span.id", "spanID"},
	slotParent:    {"parent_span_id", "parentSpanId", "parent_id", "parent.id"},
	slotMessage:   {"message", "msg", "action_type", "message_type", "event", "body"},
	slotLevel:     {"levelname", "level", "severity"},
	slotHost:      {"hostname", "host"},
	slotProcess:   {"process", "pid"},
	slotThread:    {"thread"},
	slotStatus:    {"action_status"},
	slotTime:      {"created", "timestamp", "time", "ts", "@timestamp"},
	slotPath:      {"pathname"},
	slotLine:      {"lineno"},
	slotFunction:  {"funcName"},
	slotTrouble:   {"exc_text", "exception", "reason", "error"},
	slotContext:   {"context"},
}

// eliotMessage is the place of the first of Eliot's names for a message.
const eliotMessage = 2

// Condition is a field that a task has to have in one of its records.
type Condition struct{ Name, Value string }

// spot is where the value of a name goes: that of the better spelling, which is the smaller
// one, stays.
type spot struct {
	slot     slot // from slots on, a condition
	spelling int
}

// MaxConditions is how many conditions a request may have.
const MaxConditions = 8

// extractor makes events of lines of kept text, for one goroutine.
type extractor struct {
	top    names             // by name
	nested map[string]*names // by the name of an object, and names in it
	field  names             // by the name of a stored field

	conditions []Condition
	seed       maphash.Seed

	stream string
	labels record.Labels
	host   []byte

	keys     keys                          // of the JSON before
	taken    [slots + MaxConditions][]byte // nil if it is not there
	spelling [slots + MaxConditions]int
	plain    []byte
	scope    scopeReader
	event    event
}

func newExtractor(conditions []Condition, seed maphash.Seed) *extractor {
	x := &extractor{nested: map[string]*names{}, conditions: conditions, seed: seed}
	for s, list := range spellings {
		for i, name := range list {
			x.know(name, spot{slot(s), i})
		}
	}
	for i, c := range conditions {
		x.know(c.Name, spot{slots + slot(i), 0})
		x.know("context."+c.Name, spot{slots + slot(i), 1})
	}
	return x
}

// know enters a name: a key with a dot in it, or one in an object. As a stored field it has
// no dots. A name that is looked for as a condition, too, is two.
func (x *extractor) know(name string, s spot) {
	x.top.add(name, s)
	x.field.add(strings.ReplaceAll(name, ".", "_"), s)
	if object, inner, ok := strings.Cut(name, "."); ok {
		if x.nested[object] == nil {
			x.nested[object] = &names{}
		}
		x.nested[object].add(inner, s)
	}
}

// begin says from which stream the next lines are.
func (x *extractor) begin(stream string, labels record.Labels) {
	x.stream, x.labels, x.host = stream, labels, []byte(labels.Get("host"))
}

// read makes an event of a line; nil if it says of no task.
func (x *extractor) read(line []byte) *event {
	body, ok := x.fields(line)
	if !ok {
		return nil
	}
	if known := x.place(); !known || len(body) > 0 && body[0] == '{' {
		x.fromBody(body)
		if !x.place() {
			return nil
		}
	}
	x.fill(line, body)
	return &x.event
}

// where returns where a record comes from, whatever it belongs to, and its time.
func (x *extractor) where(line []byte) (from origin, time int64) {
	body, ok := x.fields(line)
	if !ok {
		return from, 0
	}
	if x.taken[slotProcess] == nil {
		x.fromBody(body)
	}
	x.place()
	time = kept.TimeOf(line)
	if at := timeOf(x.taken[slotTime]); at != 0 {
		time = at
	}
	return x.event.origin, time
}

// fields takes the stored fields of a line, and returns its body; ok is false if it is no
// record.
func (x *extractor) fields(line []byte) (body []byte, ok bool) {
	from, end := kept.BodyAt(line)
	rest, err := kept.Rest(line, end)
	if err != nil || len(rest.Gap) > 0 {
		return nil, false
	}
	clear(x.taken[:])
	x.plain = x.plain[:0]
	for name, value := range rest.Fields() {
		// The message is the body; distlog's field msg is what it was made from.
		if s, ok := x.field.find(name); ok && (s.slot != slotMessage || s.spelling >= eliotMessage) {
			x.take(s, x.unescape(value))
		}
	}
	return x.unescape(line[from:end]), true
}

// take takes a value, unless there is one of a better spelling.
func (x *extractor) take(s spot, value []byte) {
	if len(value) > 0 && (x.taken[s.slot] == nil || s.spelling < x.spelling[s.slot]) {
		x.taken[s.slot], x.spelling[s.slot] = value, s.spelling
	}
}

// unescape returns the text of a string of JSON.
func (x *extractor) unescape(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	at := len(x.plain)
	x.plain = jsontext.Unescape(x.plain, text)
	return x.plain[at:len(x.plain):len(x.plain)]
}

// fromBody takes values from a body that is JSON or logfmt.
func (x *extractor) fromBody(body []byte) {
	scan := jsontext.Scanner{Text: body}
	if scan.Space(); scan.Take('{') {
		before := x.taken
		x.keys.at = 0
		if !x.object(&scan, &x.top, true) {
			x.taken = before // it is no JSON
		}
		return
	}
	if bytes.Contains(body, []byte("trace")) || bytes.Contains(body, []byte("key=")) {
		logfmt.Each(body, func(name string, value []byte) bool {
			if s, ok := x.top.find([]byte(name)); ok {
				at := len(x.plain)
				x.plain = append(x.plain, value...)
				x.take(s, x.plain[at:len(x.plain):len(x.plain)])
			}
			return true
		})
	}
}

// maxNesting is how deep JSON may nest.
const maxNesting = 64

// object goes through an object after its brace, whose wanted keys are known; that of the
// body may have objects with such.
func (x *extractor) object(scan *jsontext.Scanner, known *names, outer bool) bool {
	scan.Space()
	if scan.Take('}') {
		return true
	}
	for {
		k := x.keys.next(scan, known)
		if k == nil || !x.value(scan, k, outer) {
			return false
		}
		scan.Space()
		if !scan.Take(',') {
			return scan.Take('}')
		}
		scan.Space()
	}
}

// value goes through the value of a key.
func (x *extractor) value(scan *jsontext.Scanner, k *key, outer bool) bool {
	from, s, wanted := scan.At, k.spot, k.wanted // k may be another one after an inner object
	if scan.Take('"') {
		inside, escaped, ok := scan.Inside()
		if ok && wanted {
			if escaped {
				inside = x.unescape(inside)
			}
			x.take(s, inside)
		}
		return ok
	}
	if outer && scan.Next('{') {
		if inner := x.nested[string(k.name())]; inner != nil {
			scan.At++
			if !x.object(scan, inner, false) {
				return false
			}
			x.take(s, scan.Text[from:scan.At])
			return true
		}
	}
	if !scan.Skip(maxNesting) {
		return false
	}
	if text := scan.Text[from:scan.At]; wanted && string(text) != "null" {
		x.take(s, text)
	}
	return true
}

// place finds out which scope the record belongs to.
func (x *extractor) place() bool {
	t, e := &x.taken, &x.event
	*e = event{seq: -1, origin: origin{head(t[slotHost]), head(t[slotProcess]), head(t[slotThread])}}
	if len(e.origin.host) == 0 {
		e.origin.host = head(x.host)
	}
	if seq, scope, ok := splitKey(t[slotKey]); ok && x.scope.read(scope, e.origin) {
		e.seq, e.scope, e.root = seq, x.scope.text, x.scope.ends[0]
		return true
	}
	if seq, ok := x.scope.readLevel(t[slotTaskUUID], t[slotTaskLevel]); ok {
		e.seq, e.scope, e.root, e.eliot = seq, x.scope.text, x.scope.ends[0], true
		return true
	}
	var ok bool
	if x.scope.text, ok = appendTrace(x.scope.text[:0], t[slotTrace]); ok {
		e.scope, e.root = x.scope.text, uuidLen
		if isSpan(t[slotSpan]) {
			e.span = t[slotSpan]
		}
		if isSpan(t[slotParent]) && !bytes.EqualFold(t[slotParent], e.span) {
			e.parent = t[slotParent]
		}
		return true
	}
	return false
}

// head returns as much of a name as tells hosts, processes and threads apart.
func head(name []byte) []byte { return name[:min(len(name), maxArg)] }

func isSpan(id []byte) bool { return len(id) == spanLen && isHex(id) }

// fill sets the rest of the event.
func (x *extractor) fill(line, body []byte) {
	t, e := &x.taken, &x.event
	e.stream, e.level, e.kept = x.stream, kept.LevelOf(line), kept.TimeOf(line)
	e.time = e.kept
	if at := timeOf(t[slotTime]); at != 0 {
		e.time = at
	}
	if e.level == record.LevelUnknown {
		e.level = severity.FromValue(t[slotLevel])
	}
	e.text, e.trouble = t[slotMessage], t[slotTrouble]
	if e.text == nil {
		e.text, e.trouble, _ = bytes.Cut(body, []byte{'\n'})
	}
	if len(e.trouble) == 0 {
		e.trouble = t[slotTrouble]
	}
	switch string(t[slotStatus]) {
	case "started":
		e.says = started
	case "succeeded":
		e.says = succeeded
	case "failed":
		e.says = failed
	}
	if t[slotPath] != nil && t[slotLine] != nil {
		var h maphash.Hash
		h.SetSeed(x.seed)
		for _, s := range [...]slot{slotPath, slotLine, slotFunction} {
			_, _ = h.Write(t[s])
			_ = h.WriteByte(0)
		}
		e.place = h.Sum64() | 1
	}
	e.args = t[slotContext]
	for i := range x.conditions {
		c := &x.conditions[i]
		if string(x.condition(i)) == c.Value || x.labels.Get(c.Name) == c.Value {
			e.wanted |= 1 << i
		}
	}
}

// condition returns the value of the field that a condition is about.
func (x *extractor) condition(i int) []byte {
	if v := x.taken[int(slots)+i]; v != nil {
		return v
	}
	// It may be one of those that are looked for anyway.
	if s, ok := x.top.find([]byte(x.conditions[i].Name)); ok && s.slot < slots && x.spelling[s.slot] == s.spelling {
		return x.taken[s.slot]
	}
	return nil
}

// The times that are believed: in the years 2001 to 2261.
const (
	minSeconds = 1e9
	maxSeconds = 9.2e9
)

// timeOf reads seconds since 1970, with a fraction, or RFC 3339; 0 if it is neither.
func timeOf(text []byte) int64 {
	if len(text) == 0 {
		return 0
	}
	if ns, ok := rfc3339.Parse(text); ok {
		return ns
	}
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	seconds := number(whole)
	if seconds < minSeconds || seconds > maxSeconds || len(fraction) > maxDigits {
		return 0
	}
	ns := int64(0)
	if len(fraction) > 0 {
		const digits = 9
		f := number(fraction[:min(len(fraction), digits)])
		if f < 0 {
			return 0
		}
		for range digits - min(len(fraction), digits) {
			f *= 10
		}
		ns = f
	}
	return seconds*1e9 + ns
}

// maxArgs is how many arguments of a task are shown, and maxArg how much of each.
const (
	maxArgs = 32
	maxArg  = 256
)

// arguments returns what a task was begun with: the fields beside its key.
func arguments(e *event, line []byte) (list []Field) {
	add := func(name string, value []byte) bool {
		if name == "key" || len(value) == 0 {
			return true
		}
		list = append(list, Field{clip([]byte(name), maxArg), clip(value, maxArg)})
		return len(list) < maxArgs
	}
	if e.args != nil {
		jsonline.Each(e.args, add)
		return list
	}
	_, end := kept.BodyAt(line)
	rest, err := kept.Rest(line, end)
	if err != nil {
		return nil
	}
	for name, value := range rest.Fields() {
		if name, ok := bytes.CutPrefix(name, []byte("context_")); ok && !add(string(name), jsontext.Unescape(nil, value)) {
			break
		}
	}
	return list
}

// clip returns a text of so many bytes at most, whose last letter is whole.
func clip(text []byte, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(string(text), "\uFFFD")
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return strings.ToValidUTF8(string(text[:most]), "\uFFFD") + "…"
}

// levelName is the level as it is shown, with the unknown as nothing.
func levelName(l record.Level) string {
	if l == record.LevelUnknown {
		return ""
	}
	return l.String()
}

func formatSpan(id []byte) string { return string(appendLower(nil, id)) }
