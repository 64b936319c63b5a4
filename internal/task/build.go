package task

import (
	"bytes"
	"hash/maphash"
	"strings"

	"github.com/weirlog/weir/internal/record"
)

// Limits bound a tree. The zero value is what is meant for use.
type Limits struct {
	// Nodes is how many scopes it may have; 0 is 200,000.
	Nodes int
	// LineBytes is how much text of lines it may have; 0 is 32 MiB.
	LineBytes int
}

func (l *Limits) fill() {
	if l.Nodes <= 0 {
		l.Nodes = 200_000
	}
	if l.LineBytes <= 0 {
		l.LineBytes = 32 << 20
	}
}

const (
	maxName  = 512  // bytes of a message that names a scope
	maxError = 4096 // bytes of an error
	maxLine  = 4096 // bytes of a line
	maxGaps  = 16   // of a scope
)

// Builder makes a tree of events, in whatever order they come.
type Builder struct {
	limits Limits
	lines  bool // lines are wanted
	seed   maphash.Seed

	root    string
	nodes   []node
	byScope map[string]int32 // by name of the scope, or "span:" and the id of a span
	procs   map[string]int32
	lastOf  []int64 // when a process was heard of last
	procOf  []proc
	held    int // bytes of lines
	records int
	omitted int
	cut     bool
	proc    []byte // scratch
}

// proc is a process of a host.
type proc struct{ host, process string }

// node is a scope in the making.
type node struct {
	id     string
	parent int32
	span   bool
	around string // of a span: the one around it
	name   string
	known  bool // it had a record of its own
	begun  bool // its first record is known
	proc   int32
	stream string
	args   []Field

	first, last int64 // times of its records
	start       int64
	numbers     numbers
	repeated    int
	records     int
	errors      int
	warnings    int
	eliot       bool

	nameHash, place uint64 // of the first record
	top             top
	end             end
	trouble         string
	troubleSeq      int64
	lines           []Line
}

// top is the record with the greatest number.
type top struct {
	seq   int64
	time  int64
	level record.Level
	hash  uint64
	place uint64
	text  []byte
}

// end is an end that a record states whatever comes after it.
type end struct {
	says   said
	time   int64
	text   string
	marked bool // it is one by its text alone
}

func newBuilder(root string, limits Limits, lines bool) *Builder {
	limits.fill()
	return &Builder{limits: limits, lines: lines, root: root, seed: maphash.MakeSeed(), byScope: map[string]int32{}, procs: map[string]int32{}}
}

// add takes an event of the task; line is where it was read from.
func (b *Builder) add(e *event, line []byte) {
	if string(e.id()) != b.root {
		return
	}
	b.records++
	at, ok := b.find(e)
	if !ok {
		b.omitted++
		return
	}
	n := &b.nodes[at]
	b.heard(n, e)
	if e.seq >= 0 && !n.numbers.add(e.seq) {
		n.repeated++
		return
	}
	n.note(e)
	if e.begins() {
		b.begin(n, e, line)
	}
	if e.seq > n.top.seq || e.seq == n.top.seq && e.seq >= 0 && n.top.time == 0 {
		n.top.set(e, b.seed)
	}
	n.ends(e)
	if b.lines {
		b.line(n, e)
	}
}

// begins tells whether the record is the first of its scope.
func (e *event) begins() bool {
	if e.eliot {
		return e.seq == 1
	}
	return e.seq == 0
}

// find returns the node of an event, making it, and those around it, if need be.
func (b *Builder) find(e *event) (at int32, ok bool) {
	if e.span != nil {
		return b.findSpan(e)
	}
	if at, ok := b.byScope[string(e.scope)]; ok {
		b.nodes[at].eliot = e.eliot
		return at, true
	}
	parent := int32(-1)
	for end := e.root; ; {
		at, ok = b.byScope[string(e.scope[:end])]
		if !ok && len(b.nodes) == b.limits.Nodes {
			return 0, false
		}
		if !ok {
			at = b.make(node{id: string(e.scope[:end]), parent: parent, eliot: e.eliot})
		}
		if end == len(e.scope) {
			return at, true
		}
		parent = at
		if next := bytes.IndexByte(e.scope[end+1:], '/'); next >= 0 {
			end += 1 + next
		} else {
			end = len(e.scope)
		}
	}
}

// findSpan is find for a record of a span. Which one is around it is settled in the end.
func (b *Builder) findSpan(e *event) (at int32, ok bool) {
	id := "span:" + formatSpan(e.span)
	at, ok = b.byScope[id]
	if !ok {
		root, there := b.byScope[b.root]
		if len(b.nodes)+2 > b.limits.Nodes {
			return 0, false
		}
		if !there {
			root = b.make(node{id: b.root, parent: -1})
		}
		at = b.make(node{id: id, parent: root, span: true})
	}
	if n := &b.nodes[at]; n.around == "" && e.parent != nil {
		n.around = formatSpan(e.parent)
	}
	return at, true
}

func (b *Builder) make(n node) int32 {
	n.proc, n.top.seq, n.troubleSeq = -1, -1, -2
	at := int32(len(b.nodes))
	b.nodes = append(b.nodes, n)
	b.byScope[n.id] = at
	return at
}

// heard notes the process of an event.
func (b *Builder) heard(n *node, e *event) {
	if n.stream == "" {
		n.stream = e.stream
	}
	if b.proc = e.origin.appendKey(b.proc[:0]); len(b.proc) == 0 {
		return
	}
	p, ok := b.procs[string(b.proc)]
	if !ok {
		p = int32(len(b.lastOf))
		b.procs[string(b.proc)] = p
		b.lastOf = append(b.lastOf, e.time)
		b.procOf = append(b.procOf, proc{clip(e.origin.host, maxArg), clip(e.origin.process, maxArg)})
	}
	b.lastOf[p] = max(b.lastOf[p], e.time)
	if n.proc < 0 || e.begins() {
		n.proc = p
	}
}

// streams returns the streams that records are from.
func (b *Builder) streams() (list []string) {
	seen := map[string]bool{"": true}
	for i := range b.nodes {
		if id := b.nodes[i].stream; !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// hears notes that a process did something else, and tells whether that is news: it is one of
// the task's, and has not been heard of since.
func (b *Builder) hears(from origin, time int64) bool {
	b.proc = from.appendKey(b.proc[:0])
	p, ok := b.procs[string(b.proc)]
	if !ok || time <= b.lastOf[p] {
		return false
	}
	b.lastOf[p] = time
	return true
}

// note counts a record of the scope.
func (n *node) note(e *event) {
	n.records++
	if e.seq < 0 && (!n.known || e.time < n.first) {
		n.name = clip(e.text, maxName) // nobody names spans: by what it said first
	}
	if !n.known || e.time < n.first {
		n.first = e.time
	}
	if !n.known || e.time > n.last {
		n.last = e.time
	}
	n.known = true
	switch e.level {
	case record.LevelWarn:
		n.warnings++
	case record.LevelError, record.LevelFatal:
		n.errors++
		n.failure(e)
	}
}

// failure remembers the last error.
func (n *node) failure(e *event) {
	if e.seq < n.troubleSeq {
		return
	}
	n.troubleSeq = e.seq
	text := e.text
	if trouble := lastLine(e.trouble); len(trouble) > 0 {
		text = append(append(bytes.Clone(e.text), ": "...), trouble...)
	}
	n.trouble = clip(text, maxError)
}

// lastLine returns the last line of a traceback, which is the error; distlog writes line
// feeds as \n.
func lastLine(text []byte) []byte {
	text = bytes.TrimSpace(text)
	if at := bytes.LastIndexByte(text, '\n'); at >= 0 {
		text = text[at+1:]
	} else if at := bytes.LastIndex(text, []byte(`\n`)); at >= 0 {
		text = text[at+2:]
	}
	return bytes.TrimSpace(text)
}

// begin takes the first record of a scope.
func (b *Builder) begin(n *node, e *event, line []byte) {
	n.begun, n.start = true, e.time
	n.name, n.nameHash, n.place = clip(e.text, maxName), maphash.Bytes(b.seed, e.text), e.place
	n.args = arguments(e, line)
}

func (t *top) set(e *event, seed maphash.Seed) {
	t.seq, t.time, t.level, t.place = e.seq, e.time, e.level, e.place
	t.hash = maphash.Bytes(seed, e.text)
	t.text = append(t.text[:0], e.text[:min(len(e.text), maxName)]...)
}

// failedMark is how distlog's last record of a scope begins that was left by an exception.
const failedMark = "FAILED "

// ends takes what a record says of the end.
func (n *node) ends(e *event) {
	at := end{says: e.says, time: e.time}
	if e.says == nothing && e.level >= record.LevelError && e.seq > 0 && bytes.HasPrefix(e.text, []byte(failedMark)) {
		at.says, at.marked = failed, true
	}
	if at.says < succeeded || n.end.says != nothing && e.time < n.end.time {
		return
	}
	at.text = clip(e.text, maxName)
	if !n.begun || n.is(&at) {
		n.end = at
	}
}

// is tells whether an end is one of this scope: its text names it.
func (n *node) is(at *end) bool {
	if !at.marked {
		return true
	}
	const sure = maxName - 64 // texts are clipped
	name := strings.TrimPrefix(at.text, failedMark)
	return name == n.name || len(name) > sure && len(n.name) > sure && name[:sure] == n.name[:sure]
}

// line keeps a record's text.
func (b *Builder) line(n *node, e *event) {
	if b.held >= b.limits.LineBytes {
		b.cut = true
		return
	}
	text := clip(e.text, maxLine)
	if len(e.trouble) > 0 {
		text += "\n" + strings.ReplaceAll(clip(e.trouble, maxLine), `\n`, "\n")
	}
	const lineBytes = 80
	b.held += len(text) + lineBytes
	n.lines = append(n.lines, Line{unixTime(e.time), e.seq, levelName(e.level), text})
}
