package crawl

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

const (
	// maxLineBytes is where texts are cut.
	maxLineBytes = 1 << 20
	// maxBatchBytes is how much text a batch has, but for a single record: so much that the
	// batch's memory is kept for the next one.
	maxBatchBytes = 512 << 10
	// maxBatchRecords is how many records it has.
	maxBatchRecords = 4096
	// maxFieldBytes is how much a record's fields have.
	maxFieldBytes = 64 << 10
	// recentIDs is how many ids are remembered where a cursor is no time.
	recentIDs = 1000
)

// The values that are wanted of a record; those of fields follow.
const (
	timeSlot = iota
	idSlot
	levelSlot
	messageSlot
	fieldSlots
)

// stream is one sequence of records with its cursor. It belongs to the goroutine that runs it.
type stream struct {
	source *Source
	name   string
	cfg    Stream
	input  flow.Input
	kind   kind
	order  Order
	maxAge time.Duration
	most   int // ids that the cursor may have

	decoder *decoder
	asks    *asking
	printed *printed
	whole   bool // what is added belongs into one batch
	clock   clock
	fields  []string // names, as they are kept

	line  flow.Line
	at    position // as of the record taken last
	aside aside
	first bool          // nothing was committed yet
	moved bool          // at, or a number, is ahead of what was written
	lost  bool          // what was written was not accepted
	skew  time.Duration // how far the server's clock is ahead
	told  bool          // that is known
	later time.Time     // before that the server does not want to be asked

	batch   *record.Batch
	names   []record.Span // of fields, in the batch
	skipped [reasons]int  // since the last batch
	series  [reasons]uint32
	scratch []byte

	run  runState
	look *look // unless nil, is told what records have
}

// runState is what is known while a run lasts.
type runState struct {
	get          func() (*record.Batch, error)
	put          func(*record.Batch) error
	now          int64           // the server's time
	oldest       int64           // what is before that is too old; 0: nothing is
	head         []byte          // the id of the run's first record
	records      int             // that came
	taken        int             // of them
	old          int             // of them, before oldest
	met          bool            // one came that is from before the run
	outage       bool            // there is a time that nobody has asked for, and nobody will
	again        bool            // it was begun again, by the server's clock
	first, prior []byte          // records, that this page and the one before begin with
	begins       bool            // the page has had no record yet
	timeless     map[idHash]bool // ids of records without a time that came
	nothing      bool            // records without a time are before oldest
}

// maxFirst is how much of a page's first record is kept, to know the page again.
const maxFirst = 4 << 10

// turn begins a page.
func (r *runState) turn() { r.first, r.prior, r.begins = r.prior[:0], r.first, true }

// samePage tells whether the page is the one before.
func (r *runState) samePage() bool { return len(r.first) > 0 && bytes.Equal(r.first, r.prior) }

// came counts a record.
func (r *runState) came(raw []byte) {
	if r.records++; r.begins {
		r.begins, r.first = false, append(r.first, raw[:min(len(raw), maxFirst)]...)
	}
}

// noteTimeless notes that a record without a time came.
func (r *runState) noteTimeless(id idHash) {
	if r.timeless == nil {
		r.timeless = map[idHash]bool{}
	}
	r.timeless[id] = true
}

// newStream makes what a stream needs. Its settings were checked.
func (s *Source) newStream(name string, c Stream) (*stream, error) {
	st := &stream{
		source: s, name: name, cfg: c, aside: aside{state: s.deps.State, prefix: "ids/" + name + "/"}, order: c.Order, maxAge: c.MaxAge, most: maxSeen, series: s.counts.skipSeries(s.deps.Name, name),
		input: newInput(s.deps.Name, name, s.cfg.Labels, c.Labels),
		kind:  map[Cursor]kind{"time": timeKind, "id": idKind, "token": tokenKind}[c.Cursor],
	}
	if len(c.Exec) > 0 {
		st.kind = execKind
	}
	if st.order == "auto" {
		st.order = map[Cursor]Order{"time": "any", "id": "ascending", "token": "any"}[c.Cursor]
	}
	if c.Preset == "datadog" && st.maxAge == 0 {
		st.maxAge = datadogAge
	}
	var err error
	if st.clock, err = newClock(c.TimeFormat, c.TimeZone); err != nil {
		return nil, err
	}
	rec := new(node)
	paths := []string{c.Time, c.ID, c.Level, c.Message}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		st.fields = append(st.fields, string(lokipush.AppendName(nil, []byte(name))))
		paths = append(paths, c.Fields[name])
	}
	for slot, path := range paths {
		if path != "" {
			err = errors.Join(err, rec.want(path, slot))
		}
	}
	frame, failed := c.frame()
	st.decoder = newDecoder(frame, rec, notes, len(paths))
	st.decoder.to = st
	if st.kind == execKind {
		st.printed = newPrinted(st, rec, len(paths))
		return st, err
	}
	if err = errors.Join(err, failed); err == nil {
		if st.asks, err = s.newAsking(name, &st.cfg); err == nil {
			st.asks.skew = st.noticeSkew
		}
	}
	return st, err
}

// The values that are wanted of a response.
const (
	tokenNote = iota
	errorNote
	notes
)

// frame returns what is wanted of a response.
func (c *Stream) frame() (*node, error) {
	frame := new(node)
	steps, err := parsePath(c.Records)
	frame.add(steps).records = true
	if c.Error != "" {
		err = errors.Join(err, frame.want(c.Error, errorNote))
	}
	if c.Pages.Token != "" && !strings.HasPrefix(c.Pages.Token, headerPrefix) {
		err = errors.Join(err, frame.want(c.Pages.Token, tokenNote))
	}
	return frame, err
}

// open takes up the position of a line.
func (st *stream) open(line flow.Line) error {
	st.line, st.lost, st.moved = line, false, false
	st.skipped = [reasons]int{}
	p := line.Position()
	st.first = len(p.Source) == 0
	st.at = position{kind: st.kind}
	if st.first {
		return nil
	}
	at, err := decodePosition(p.Source, st.aside.load)
	if err != nil {
		return err
	}
	st.aside.open(&at.seen)
	if at.kind != st.kind {
		st.source.deps.Log.Warn("the cursor is of another kind than before, so it begins anew", "stream", st.name)
		st.first = true
		st.at.count = at.count
		st.at.seen.generation = at.seen.generation + 1
		return nil
	}
	st.at = at
	return nil
}

// begin makes the stream ready for a run.
func (st *stream) begin(ctx context.Context) error {
	if st.lost {
		if err := st.open(st.line); err != nil {
			return err
		}
	}
	pool := st.source.deps.Batches
	st.run = runState{
		get: func() (*record.Batch, error) { return pool.Get(ctx, &st.input.Stream) },
		put: func(b *record.Batch) error { return st.line.Write(ctx, b) },
	}
	return nil
}

// take implements taker.
func (st *stream) take(raw []byte, values []value) error {
	st.run.came(raw)
	if st.look != nil {
		st.look.at(raw, values)
	}
	t, known := st.clock.parse(values[timeSlot].plain(&st.scratch))
	if !known {
		t = 0
		if st.cfg.Time != "" {
			st.noTime()
		}
	}
	if err := st.room(len(raw)); err != nil {
		return err
	}
	skip, err := st.judge(raw, values, t)
	if err != nil {
		return err
	}
	st.moved = true
	if skip >= 0 {
		st.skipped[skip]++
		if skip == tooOld {
			st.run.old++
		}
		return nil
	}
	st.run.taken++
	return st.add(raw, values, t)
}

// room writes the batch if a record of so many bytes has no place in it. That must be before
// the cursor moves over the record: it is in the commit.
func (st *stream) room(size int) error {
	if b := st.batch; b != nil && !st.whole && (len(b.Arena)+2*size > maxBatchBytes || len(b.Records) >= maxBatchRecords) {
		return st.flush()
	}
	return nil
}

// taking says that a record is new.
const taking = -1

// judge says whether a record is new, or why it is left out, and moves the cursor over it.
func (st *stream) judge(raw []byte, values []value, t int64) (skip int, err error) {
	p, r := &st.at, &st.run
	at := t
	if at == 0 { // it has no time: then it is taken for one between its neighbours
		at = max(p.high, p.since)
	}
	switch {
	case st.kind == execKind:
		if t != 0 && t < r.oldest {
			return tooOld, nil
		}
		return taking, nil
	case st.kind == timeKind && at < p.since:
		r.met = true
		return earlier, nil
	case st.kind == timeKind && t != 0 && t < r.oldest:
		return tooOld, nil
	case st.kind != timeKind:
		at = p.high // the number of the run
	}
	what := raw
	if !values[idSlot].absent() {
		what = values[idSlot].plain(&st.scratch)
	}
	id := hashID(what)
	if st.kind == idKind && r.head == nil {
		r.head = append([]byte{}, what[:min(len(what), maxCursor)]...)
	}
	if st.kind == timeKind && t == 0 {
		at = timeless
		r.noteTimeless(id)
	}
	from, known := p.seen.has(id)
	if st.kind == idKind && st.order == "descending" {
		if r.met = r.met || known && from < p.high || string(what) == string(p.cursor); r.met {
			return earlier, nil // and so is all that follows, whether its id is still known or not
		}
	}
	if known {
		st.reach(from)
		return duplicate, nil
	}
	if p.seen.len() >= st.most {
		if p.seen.keep(func(i int) bool { return st.kind != timeKind || p.seen.list[i].time >= p.since }); p.seen.len() >= st.most {
			return 0, errCrowded
		}
	}
	p.seen.add(at, id)
	st.reach(at)
	if st.kind == idKind && st.order == "ascending" {
		p.cursor = append(p.cursor[:0], what[:min(len(what), maxCursor)]...)
		p.seen.newest(recentIDs)
	}
	if r.nothing && t == 0 || t != 0 && t < r.oldest {
		return tooOld, nil
	}
	return taking, nil
}

// reach takes note of the time of the latest record. One that is ahead of the server's clock
// does not count until that time has come: what others write before then would be before the
// cursor.
func (st *stream) reach(at int64) {
	if p := &st.at; st.kind == timeKind && at > p.high && at <= time.Now().Add(st.skew).UnixNano() {
		p.high = at
	}
}

var errCrowded = errors.New("a run brings more new records than can be told apart: let the API give the oldest first and set order: ascending, or set window")

// add appends a record to the batch.
func (st *stream) add(raw []byte, values []value, t int64) error {
	b := st.batch
	if b == nil {
		var err error
		if b, err = st.run.get(); err != nil {
			st.lost = true
			return err
		}
		st.batch, st.names = b, st.names[:0]
		for _, name := range st.fields {
			st.names = append(st.names, b.Append([]byte(name)))
		}
	}
	r := record.Record{Time: t, Start: st.at.count, End: st.at.count + 1}
	st.at.count++
	st.body(&r, raw, values)
	if v := values[levelSlot]; !v.absent() {
		r.Level = severity.FromValue(v.plain(&st.scratch))
	}
	left := maxFieldBytes
	for i, name := range st.names {
		v := values[fieldSlots+i]
		if left -= len(v.raw); v.absent() || left < 0 {
			if left < 0 {
				st.source.deps.Ledger.Dropped("fields", 1)
			}
			continue
		}
		b.Fields = append(b.Fields, record.Field{Record: len(b.Records), Name: name, Value: b.Append(v.plain(&st.scratch))})
	}
	b.Records = append(b.Records, r)
	return nil
}

// body appends the text of a record.
func (st *stream) body(r *record.Record, raw []byte, values []value) {
	b := st.batch
	text := raw
	switch v := values[messageSlot]; {
	case !v.absent():
		text = v.plain(&st.scratch)
	case len(raw) > 0 && raw[0] == '"':
		text = value{raw: raw, text: true, escaped: true}.plain(&st.scratch)
	case bytes.IndexByte(raw, '\n') >= 0:
		st.scratch = compact(st.scratch[:0], raw)
		text = st.scratch
	}
	if len(text) > maxLineBytes {
		n := maxLineBytes
		for n > maxLineBytes-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
		r.Flags |= record.Cut
	}
	r.Body = b.Append(text)
}

// compact appends JSON without the white space between its parts.
func compact(dst, src []byte) []byte {
	inside := false
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case inside && c == '\\' && i+1 < len(src):
			dst = append(dst, c)
			i++
			c = src[i]
		case c == '"':
			inside = !inside
		case !inside && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// pause implements taker: it writes what there is.
func (st *stream) pause() error {
	if st.batch == nil {
		return nil
	}
	return st.flush()
}

// flush writes the batch, or what was left out or moved, if that is not written yet.
func (st *stream) flush() error {
	if st.lost { // the cursor may be ahead of the records
		if st.batch != nil {
			st.source.deps.Batches.Put(st.batch)
			st.batch = nil
		}
		return nil
	}
	if st.order == "ascending" && st.kind == timeKind {
		st.advance(st.at.high)
	}
	if !st.moved {
		return nil
	}
	b := st.batch
	if b == nil {
		var err error
		if b, err = st.run.get(); err != nil {
			st.lost = true
			return err
		}
	}
	st.batch = nil
	defer st.source.deps.Batches.Put(b)
	st.aside.before(&st.at.seen)
	st.gap(b)
	b.Position.Source = st.at.appendTo(b.Position.Source[:0])
	b.Position.Resume = [2]int64{st.at.count, st.at.count}
	for reason, n := range st.skipped {
		if n > 0 {
			b.Deltas = append(b.Deltas, record.Delta{Series: st.series[reason], Add: float64(n)})
		}
	}
	if err := st.run.put(b); err != nil {
		st.lost = true
		return err
	}
	st.aside.after(&st.at.seen)
	st.skipped = [reasons]int{}
	st.moved, st.first = false, false
	return nil
}

// advance moves the cursor up to a time, less the overlap.
func (st *stream) advance(to int64) {
	to -= int64(st.cfg.Overlap)
	if 2*st.at.seen.len() < st.most { // else there are too many to remember
		to = st.clock.hold(to)
	}
	if to > st.at.since {
		st.at.since = to
		st.at.seen.prune(to)
		st.moved = true
	}
}

// bad implements taker.
func (st *stream) bad(reason string, raw []byte) {
	st.source.counts.bad.Series(st.source.deps.Name, st.name, reason).Add(1)
	st.source.deps.Ledger.Bad(reason, raw)
}

// noTime counts a record without a time, which is taken all the same.
func (st *stream) noTime() {
	st.source.counts.bad.Series(st.source.deps.Name, st.name, "no time").Add(1)
}
