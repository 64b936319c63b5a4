package task

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// Table is tasks in a few words each, found in whatever order. It holds those that come first
// in the list that is asked for, as far as is known when it has to choose: what fits the
// question, then what failed, was slow or is open, then what was heard of last. Those of which
// more may be read that matters have room of their own, for as many.
type Table struct {
	q       *ListRequest
	now     int64
	name    string // that is asked for, in small letters
	most    int
	full    int // with how many it has to choose
	maxGone int
	seed    maphash.Seed

	entries []entry
	byID    map[taskID]int32
	odd     map[taskID]string // the names of those that are no UUIDs
	names   interned
	procs   interned
	lastOf  []int64 // when a process was heard of last
	spare   []byte

	// gone are the tasks that had no room; what comes of such does not make them known again.
	// Once they are too many to be told apart, records of others are omitted.
	gone    gone
	omitted int

	// reading has a time for each reader: he brings no record anymore that was kept after it.
	// newest is the greatest of them. Once over is set, there are no readers, and none to come.
	reading []int64
	newest  int64
	over    bool
}

// taskID is a UUID, or a hash of another name.
type taskID [16]byte

// entry is a task. There may be a million, so texts are hashes and numbers of what is interned.
type entry struct {
	id          taskID
	first, last int64 // times of its records
	start       int64 // of the first record of the task's own scope; 0 is not known
	begun       int64 // when that was kept
	topSeq      int64 // the greatest number in the task's own scope; -1 if there is none
	topTime     int64
	endTime     int64
	name, proc  int32
	nameHash    uint32
	topHash     uint32
	place       uint32
	topPlace    uint32
	endHash     uint32 // of the name in an end that is one by its text; 0 otherwise
	records     uint32
	errors      uint32
	warnings    uint32
	wanted      uint8
	says        said
	topLevel    record.Level
	eliot       bool
	topStarted  bool // it says that the scope goes on
	named       bool // its name has what is asked for
}

// interned is texts with numbers.
type interned struct {
	texts  []string
	number map[string]int32
}

// maxInterned is how many there are; what comes then is "(other)".
const maxInterned = 1 << 16

func (n *interned) of(text []byte) int32 {
	if at, ok := n.number[string(text)]; ok {
		return at
	}
	if len(n.texts) == maxInterned {
		text = []byte("(other)")
		if at, ok := n.number[string(text)]; ok {
			return at
		}
	}
	if n.number == nil {
		n.number = map[string]int32{}
	}
	at := int32(len(n.texts))
	n.texts = append(n.texts, string(text))
	n.number[n.texts[at]] = at
	return at
}

// newTable returns a table of so many tasks for a question, which is to stay as it is.
func newTable(most int, q *ListRequest) *Table {
	if most <= 0 {
		most = 100_000
	}
	q.Patience = q.filled()
	return &Table{
		q: q, now: q.now().UnixNano(), name: strings.ToLower(q.Name), most: most, full: most + most/8, maxGone: maxGone,
		seed: maphash.MakeSeed(), byID: map[taskID]int32{}, odd: map[taskID]string{}, newest: math.MinInt64,
	}
}

// idOf returns what a task is told by.
func (t *Table) idOf(name []byte) (id taskID, odd bool) {
	if isUUID(name) {
		t.spare = append(append(append(append(append(t.spare[:0], name[:8]...), name[9:13]...), name[14:18]...), name[19:23]...), name[24:]...)
		if _, err := hex.Decode(id[:], t.spare); err == nil {
			return id, false
		}
	}
	sum := sha256.Sum256(name)
	copy(id[:], sum[:])
	return id, true
}

// nameOf returns the name of a task.
func (t *Table) nameOf(id taskID) string {
	if name, ok := t.odd[id]; ok {
		return name
	}
	var b [traceLen]byte
	hex.Encode(b[:], id[:])
	root, _ := traceRoot(b[:])
	return cmp.Or(root, "00000000-0000-0000-0000-000000000000")
}

// reader returns the number of one who will bring events, of blocks with the newest records
// first.
func (t *Table) reader() int {
	t.reading, t.newest = append(t.reading, math.MaxInt64), math.MaxInt64
	return len(t.reading) - 1
}

// begin says that a reader has come to a block, the newest record of which was kept then. He
// may have been given the next one already, but none that is newer.
func (t *Table) begin(reader int, newest int64) {
	t.reading[reader] = newest
	t.newest = slices.Max(t.reading)
}

// end says that the readers have brought all they had.
func (t *Table) end() { t.reading, t.newest = nil, math.MinInt64 }

// mayGrow tells whether records of a task may still come: older ones, if its first is not
// known, or such as were kept after that.
func (t *Table) mayGrow(n *entry) bool {
	return !t.over && (n.start == 0 || n.begun <= t.newest)
}

// add takes an event.
func (t *Table) add(e *event) {
	id, odd := t.idOf(e.id())
	at, ok := t.byID[id]
	if !ok {
		if at, ok = t.enter(id, e); !ok {
			return
		}
		if odd {
			t.odd[id] = string(e.id())
		}
	}
	n := &t.entries[at]
	n.first, n.last = min(n.first, e.time), max(n.last, e.time)
	n.records++
	n.wanted |= uint8(e.wanted)
	switch e.level {
	case record.LevelWarn:
		n.warnings++
	case record.LevelError, record.LevelFatal:
		n.errors++
	}
	t.heard(n, e)
	switch {
	case e.seq < 0: // nobody names traces: by what was said first
		if n.name < 0 || e.time == n.first && n.start == 0 {
			t.call(n, e.text)
		}
	case len(e.scope) == e.root:
		t.own(n, e)
	}
}

// enter makes an entry for a task that is not known, unless it was forgotten.
func (t *Table) enter(id taskID, e *event) (at int32, ok bool) {
	switch {
	case t.gone.has(hashID(t.seed, id)):
		return 0, false
	case t.gone.len >= t.maxGone:
		t.omitted++ // it may be one of those that are not remembered
		return 0, false
	case len(t.entries) > t.full:
		t.sweep()
	}
	at = int32(len(t.entries))
	t.entries = append(t.entries, entry{id: id, first: e.time, last: e.time, topSeq: -1, name: -1, proc: -1})
	t.byID[id] = at
	return at, true
}

// call names a task.
func (t *Table) call(n *entry, text []byte) {
	name := clip(text, maxArg)
	n.name = t.names.of([]byte(name))
	n.named = t.name == "" || strings.Contains(strings.ToLower(name), t.name)
}

// heard notes the process of an event.
func (t *Table) heard(n *entry, e *event) {
	if t.spare = e.origin.appendKey(t.spare[:0]); len(t.spare) == 0 {
		return
	}
	p := t.procs.of(t.spare)
	if int(p) == len(t.lastOf) {
		t.lastOf = append(t.lastOf, e.time)
	}
	t.lastOf[p] = max(t.lastOf[p], e.time)
	if own := len(e.scope) == e.root; n.proc < 0 || own && e.begins() {
		n.proc = p
	}
}

// own takes a record of the task's own scope.
func (t *Table) own(n *entry, e *event) {
	n.eliot = n.eliot || e.eliot
	if e.begins() {
		n.start, n.begun, n.place, n.nameHash = e.time, e.kept, uint32(e.place), t.hash(e.text)
		t.call(n, e.text)
	}
	if e.seq > n.topSeq {
		n.topSeq, n.topTime, n.topLevel, n.topPlace, n.topHash = e.seq, e.time, e.level, uint32(e.place), t.hash(e.text)
		n.topStarted = e.says == started
	}
	says, hash := e.says, uint32(0)
	if name, ok := bytes.CutPrefix(e.text, []byte(failedMark)); ok && says == nothing && e.level >= record.LevelError && e.seq > 0 {
		says, hash = failed, t.hash(name)
	}
	if says < succeeded || n.says != nothing && e.time < n.endTime || hash != 0 && n.start != 0 && hash != n.nameHash {
		return
	}
	n.says, n.endTime, n.endHash = says, e.time, hash
}

func (t *Table) hash(text []byte) uint32 { return uint32(maphash.Bytes(t.seed, text)) | 1 }

// sweep forgets the tasks that would come last in the list, so that there is room. What is
// pending takes none from what is not, nor the other way round.
func (t *Table) sweep() {
	type place struct {
		class   int
		pending bool
		last    int64
		at      int32
	}
	places := make([]place, len(t.entries))
	for i := range t.entries {
		n := &t.entries[i]
		class, pending := t.class(n)
		places[i] = place{class, pending, n.last, int32(i)}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.last, a.last)) })
	room, pendingRoom := t.most, t.most
	for _, p := range places {
		left := &room
		if p.pending {
			left = &pendingRoom
		}
		if *left--; *left >= 0 {
			continue
		}
		n := &t.entries[p.at]
		t.gone.add(hashID(t.seed, n.id))
		delete(t.odd, n.id)
		n.records = 0
	}
	t.entries = slices.DeleteFunc(t.entries, func(n entry) bool { return n.records == 0 })
	t.full = max(t.most, len(t.entries)) + t.most/8
	clear(t.byID)
	for i := range t.entries {
		t.byID[t.entries[i].id] = int32(i)
	}
}

// class returns how far behind in the list a task would be, by what is known of it, and
// whether that is pending: records that may still come can make it another one.
func (t *Table) class(n *entry) (class int, pending bool) {
	s, _, slow, when := t.fate(n)
	named, fulfils := n.named || t.name == "", t.fulfils(n)
	if n.start != 0 && !named {
		return rankUnfit, false
	}
	changes := n.start == 0 || when.end == 0
	pending = t.mayGrow(n) && (changes || !fulfils)
	if pending && n.start == 0 && when.end == 0 {
		s = Unknown // most such are those whose last record was read first
	}
	switch fits := t.q.wants(s, slow); {
	case fits && named && fulfils:
		return rank(s, slow), pending
	case pending && changes:
		return rankPending, true
	case pending && fits:
		return rankOverlap, true
	}
	return rankUnfit, false
}

// fulfils tells whether its records have the fields that are asked for.
func (t *Table) fulfils(n *entry) bool {
	all := uint8(1)<<len(t.q.Where) - 1
	return n.wanted&all == all
}

// state says what became of a task, and when it ended.
func (t *Table) state(n *entry, p Patience, now int64) (s State, why string, end int64) {
	begun := n.start != 0
	done := n.topSeq > 0 && n.topLevel == record.LevelInfo && !n.topStarted && begun && !n.eliot && (n.topHash == n.nameHash || n.topPlace != 0 && n.topPlace == n.place)
	stated := n.says != nothing && (n.endHash == 0 || !begun || n.endHash == n.nameHash)
	switch {
	case stated && !(done && n.endHash != 0 && n.topTime > n.endTime):
		if n.says == failed {
			return Failed, "", n.endTime
		}
		return Success, "", n.endTime
	case done:
		return Success, "", n.topTime
	case n.topSeq < 0:
		return Unknown, "", 0
	}
	quiet := time.Duration(now - n.last)
	switch {
	case !begun && !n.eliot && quiet >= p.WentOn:
		return Unknown, whyHeadless, 0
	case t.sure(n.proc) && t.lastOf[n.proc] > n.last && quiet >= p.WentOn:
		return Lost, whyWentOn, 0
	case quiet >= p.Silent:
		return Lost, whySilent(p), 0
	}
	return Open, "", 0
}

// sure tells whether it is known which process one is.
func (t *Table) sure(p int32) bool {
	if p < 0 {
		return false
	}
	_, process := t.procOf(p)
	return process != ""
}

// procOf returns the host of a process, and what it is called there.
func (t *Table) procOf(p int32) (host, process string) {
	host, process, _ = strings.Cut(t.procs.texts[p], "\x00")
	process, _, _ = strings.Cut(process, "\x00")
	return host, process
}

// fate says what became of a task, in what time, and whether that was slow.
func (t *Table) fate(n *entry) (s State, why string, slow bool, when span) {
	when.start = n.first
	if n.start != 0 {
		when.start = n.start
	}
	s, why, when.end = t.state(n, t.q.Patience, t.now)
	last := when.end
	if last == 0 {
		if last = n.last; s == Open {
			last = max(last, t.now)
		}
	}
	when.took = max(0, time.Duration(last-when.start))
	return s, why, t.q.Slow > 0 && when.took >= t.q.Slow, when
}

// span is the time of a task; its end is 0 if it has none.
type span struct {
	start, end int64
	took       time.Duration
}

// summary is what a list says of a task.
func (t *Table) summary(n *entry) Summary {
	s := Summary{ID: t.nameOf(n.id), Records: int(n.records), Errors: int(n.errors), Warnings: int(n.warnings), Last: unixTime(n.last)}
	if n.name >= 0 {
		s.Name = t.names.texts[n.name]
	}
	if n.proc >= 0 {
		host, process := t.procOf(n.proc)
		s.Host, s.Process = clip([]byte(host), maxArg), clip([]byte(process), maxArg)
	}
	var when span
	s.State, s.Why, s.Slow, when = t.fate(n)
	if s.Start = unixTime(when.start); when.end != 0 {
		at := unixTime(when.end)
		s.End = &at
	}
	s.Duration = when.took.Seconds()
	return s
}
