package task

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

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

	root      string
	nodes     []node
	byScope   map[string]int32 // by name of the scope, or "span:" and the id of a span
	procs     map[string]int32
	lastOf    []int64 // when a process was heard of last
	procOf    []proc
	room      room // for all but lines
	linesRoom room // for lines
	records   int
	omitted   int
	cut       int
	proc      []byte // scratch
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
	clipped     bool // some of its texts had no room

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
	says  said
	hash  uint64
	place uint64
	text  []byte
}

// end is an end that a record states whatever comes after it.
type end struct {
	says   said
	time   int64
	text   string
	hash   uint64 // of the text, or of the name in it
	marked bool   // it is one by its text alone
}

func newBuilder(root string, limits Limits, lines bool) *Builder {
	limits.fill()
	return &Builder{
		limits: limits, room: room{limits.Bytes}, linesRoom: room{limits.LineBytes}, lines: lines,
		root: root, seed: maphash.MakeSeed(), byScope: map[string]int32{}, procs: map[string]int32{},
	}
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
	if e.seq >= 0 && !b.number(n, e.seq) {
		n.repeated++
		return
	}
	b.note(n, e)
	if e.begins() {
		b.begin(n, e, line)
	}
	if e.seq > n.top.seq || e.seq == n.top.seq && e.seq >= 0 && n.top.time == 0 {
		b.tops(n, e)
	}
	b.ends(n, e)
	if b.lines {
		b.line(n, e)
	}
}

// number takes the number of a record, and tells whether it is new, as far as is known.
func (b *Builder) number(n *node, seq int64) bool {
	before := len(n.numbers.ranges)
	fresh := n.numbers.add(seq, before < 2 || b.room.left >= rangeBytes)
	if more := len(n.numbers.ranges) - before; more > 0 && before > 0 {
		b.room.take(rangeBytes)
	}
	n.clipped = n.clipped || n.numbers.full
	return fresh
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
	parent, full := int32(-1), string(e.scope) // those around it share its text
	for end := e.root; ; {
		at, ok = b.byScope[full[:end]]
		if !ok && !b.fits(full[:end]) {
			return 0, false
		}
		if !ok {
			at = b.make(node{id: full[:end], parent: parent, eliot: e.eliot})
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
		if !there {
			if !b.fits(b.root) {
				return 0, false
			}
			root = b.make(node{id: b.root, parent: -1})
		}
		if !b.fits(id) {
			return 0, false
		}
		at = b.make(node{id: id, parent: root, span: true})
	}
	if n := &b.nodes[at]; n.around == "" && e.parent != nil {
		n.around = formatSpan(e.parent)
	}
	return at, true
}

// fits takes the room for a scope, if there is any.
func (b *Builder) fits(id string) bool {
	return len(b.nodes) < b.limits.Nodes && b.room.take(nodeBytes+cost(id))
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
	if !ok && !b.room.take(nodeBytes+2*len(b.proc)) {
		n.clipped = true
		return
	}
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

// say sets a text of a scope, or as much of it as there is room for.
func (b *Builder) say(n *node, where *string, text []byte, most int) {
	if !b.room.set(where, clip(text, most)) {
		n.clipped = true
	}
}

// note counts a record of the scope.
func (b *Builder) note(n *node, e *event) {
	n.records++
	if e.seq < 0 && (!n.known || e.time < n.first) {
		b.say(n, &n.name, e.text, maxName) // nobody names spans: by what it said first
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
		b.failure(n, e)
	}
}

// failure remembers the last error.
func (b *Builder) failure(n *node, e *event) {
	if e.seq < n.troubleSeq {
		return
	}
	n.troubleSeq = e.seq
	text := e.text
	if trouble := lastLine(e.trouble); len(trouble) > 0 {
		text = append(append(bytes.Clone(e.text), ": "...), trouble...)
	}
	b.say(n, &n.trouble, text, maxError)
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
	n.nameHash, n.place = maphash.Bytes(b.seed, e.text), e.place
	b.say(n, &n.name, e.text, maxName)
	for _, f := range n.args {
		b.room.left += f.cost()
	}
	n.args = arguments(e, line)
	for i, f := range n.args {
		if !b.room.take(f.cost()) {
			n.args, n.clipped = slices.Clone(n.args[:i]), true
			break
		}
	}
}

func (f Field) cost() int { return fieldBytes + cost(f.Name) + cost(f.Value) }

// tops takes the record that is the last one so far.
func (b *Builder) tops(n *node, e *event) {
	t := &n.top
	t.seq, t.time, t.level, t.says, t.place = e.seq, e.time, e.level, e.says, e.place
	t.hash = maphash.Bytes(b.seed, e.text)
	text := e.text[:min(len(e.text), maxName+utf8.UTFMax)] // it is clipped in the end
	if more := len(text) - cap(t.text); more > 0 && !b.room.take(more) {
		text, n.clipped = text[:cap(t.text)], true
	}
	t.text = append(t.text[:0], text...)
}

// failedMark is how distlog's last record of a scope begins that was left by an exception.
const failedMark = "FAILED "

// ends takes what a record says of the end.
func (b *Builder) ends(n *node, e *event) {
	at, name := end{says: e.says, time: e.time, text: n.end.text}, e.text
	if rest, ok := bytes.CutPrefix(e.text, []byte(failedMark)); ok && e.says == nothing && e.level >= record.LevelError && e.seq > 0 {
		at.says, at.marked, name = failed, true, rest
	}
	if at.says < succeeded || n.end.says != nothing && e.time < n.end.time {
		return
	}
	if at.hash = maphash.Bytes(b.seed, name); !n.begun || n.is(&at) {
		n.end = at
		b.say(n, &n.end.text, e.text, maxName)
	}
}

// is tells whether an end is one of this scope: its text names it.
func (n *node) is(at *end) bool { return !at.marked || n.begun && at.hash == n.nameHash }

// line keeps a record's text.
func (b *Builder) line(n *node, e *event) {
	text := clip(e.text, maxLine)
	if len(e.trouble) > 0 {
		text += "\n" + strings.ReplaceAll(clip(e.trouble, maxLine), `\n`, "\n")
	}
	if !b.linesRoom.take(lineBytes + cost(text)) {
		b.cut++
		return
	}
	n.lines = append(n.lines, Line{unixTime(e.time), e.seq, levelName(e.level), text})
}
