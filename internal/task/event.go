package task

import (
	"bytes"
	"hash/maphash"
	"strconv"

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
	slotStatus:    {"action_status"},
	slotTime:      {"created", "timestamp", "time", "ts", "@timestamp"},
	slotPath:      {"pathname"},
	slotLine:      {"lineno"},
	slotFunction:  {"funcName"},
	slotTrouble:   {"exc_text", "exception", "reason", "error"},
	slotContext:   {"context"},
}

// Condition is a field that a task has to have in one of its records.
type Condition struct{ Name, Value string }

// extractor makes events of lines of kept text, for one goroutine.
type extractor struct {
	json       *jsonline.Matcher
	logfmt     *logfmt.Matcher
	of         []slot // of a name of the matchers, slots and what follows for conditions
	byName     map[string]int
	conditions []Condition
	seed       maphash.Seed

	stream string
	labels record.Labels
	host   []byte

	values [][]byte // by name, nil if it is not there
	batch  record.Batch
	row    []record.Span
	plain  []byte
	scope  scopeReader
	taken  [slots][]byte
	event  event
}

func newExtractor(conditions []Condition) *extractor {
	x := &extractor{byName: map[string]int{}, conditions: conditions, seed: maphash.MakeSeed()}
	var names []string
	add := func(name string, s slot) {
		if _, ok := x.byName[name]; !ok {
			x.byName[name] = len(names)
			names, x.of = append(names, name), append(x.of, s)
		}
	}
	for s, list := range spellings {
		for _, name := range list {
			add(name, slot(s))
		}
	}
	for _, c := range conditions {
		add(c.Name, slots)
		add("context."+c.Name, slots)
		x.byName["context_"+c.Name] = x.byName["context."+c.Name]
	}
	x.byName["context_key"] = x.byName["context.key"]
	x.json, x.logfmt = jsonline.New(names), logfmt.New(names)
	x.values, x.row = make([][]byte, len(names)), make([]record.Span, len(names))
	return x
}

// begin says from which stream the next lines are.
func (x *extractor) begin(stream string, labels record.Labels) {
	x.stream, x.labels, x.host = stream, labels, []byte(labels.Get("host"))
}

// read makes an event of a line; nil if it says of no task.
func (x *extractor) read(line []byte) *event {
	from, end := kept.BodyAt(line)
	rest, err := kept.Rest(line, end)
	if err != nil || len(rest.Gap) > 0 {
		return nil
	}
	clear(x.values)
	x.plain = x.plain[:0]
	for name, value := range rest.Fields() {
		if i, ok := x.byName[string(name)]; ok {
			x.values[i] = x.unescape(value)
		}
	}
	body := x.unescape(line[from:end])
	if !x.place() {
		x.fromBody(body)
		if !x.place() {
			return nil
		}
	}
	x.fill(line, body)
	return &x.event
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
	b := &x.batch
	b.Arena = append(b.Arena[:0], body...)
	whole := record.Span{Len: uint32(len(body))}
	clear(x.row)
	ok := false
	if trimmed := bytes.TrimLeft(body, " \t"); len(trimmed) > 0 && trimmed[0] == '{' {
		ok = x.json.Match(b, whole, x.row)
	} else if bytes.Contains(body, []byte("trace")) || bytes.Contains(body, []byte("key=")) {
		ok = x.logfmt.Match(b, whole, x.row)
	}
	if !ok {
		return
	}
	for i, s := range x.row {
		if s.Len > 0 && x.values[i] == nil {
			x.values[i] = b.Bytes(s)
		}
	}
}

// place finds out which scope the record belongs to.
func (x *extractor) place() bool {
	clear(x.taken[:])
	for i, v := range x.values {
		if s := x.of[i]; s < slots && len(v) > 0 && x.taken[s] == nil && string(v) != "null" {
			x.taken[s] = v
		}
	}
	t, e := &x.taken, &x.event
	*e = event{seq: -1, origin: origin{t[slotHost], t[slotProcess]}}
	if len(e.origin.host) == 0 {
		e.origin.host = x.host
	}
	if seq, scope, ok := splitKey(t[slotKey]); ok && x.scope.read(scope, e.origin) {
		e.seq, e.scope, e.root = seq, x.scope.text, x.scope.ends[0]
		return true
	}
	if seq, ok := x.scope.readLevel(t[slotTaskUUID], t[slotTaskLevel]); ok {
		e.seq, e.scope, e.root, e.eliot = seq, x.scope.text, x.scope.ends[0], true
		return true
	}
	if root, ok := traceRoot(t[slotTrace]); ok {
		x.scope.text = append(x.scope.text[:0], root...)
		e.scope, e.root = x.scope.text, len(root)
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

func isSpan(id []byte) bool { return len(id) == spanLen && isHex(id) }

// fill sets the rest of the event.
func (x *extractor) fill(line, body []byte) {
	t, e := &x.taken, &x.event
	e.stream, e.level, e.time = x.stream, kept.LevelOf(line), kept.TimeOf(line)
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
		if string(x.values[x.byName[c.Name]]) == c.Value || string(x.values[x.byName["context."+c.Name]]) == c.Value || x.labels.Get(c.Name) == c.Value {
			e.wanted |= 1 << i
		}
	}
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
		list = append(list, Field{name, clip(value, maxArg)})
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
		return string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return string(bytes.ToValidUTF8(text[:most], []byte("\uFFFD"))) + "…"
}

// levelName is the level as it is shown, with the unknown as nothing.
func levelName(l record.Level) string {
	if l == record.LevelUnknown {
		return ""
	}
	return l.String()
}

func formatSpan(id []byte) string { return string(appendLower(nil, id)) }

func hashText(seed maphash.Seed, text []byte) uint64 { return maphash.Bytes(seed, text) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
