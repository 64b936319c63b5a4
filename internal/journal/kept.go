package journal

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// maxWaiting is how much text waits for a commit, of all inputs together; with more, Write
// waits too.
const maxWaiting = 4 << 20

// With half of that in one commit text comes in about as fast as it can: that
// is remembered for pressedFor.
const pressedFor = 100 * time.Millisecond

// Keep says what of an input's text is kept.
type Keep struct {
	// Bound is how much of the stream is kept; its zero value leaves that to the node's.
	Bound archive.Bound
	// Fields names the extracted fields that are stored beside the text.
	Fields []string
	// Until names sinks for which alone the text is kept: what all of them have goes.
	Until []string
	// Classes are kept as streams of their own: the records whose Class is 1 as the first.
	Classes []Class
}

// Class is how records of a class are kept.
type Class struct {
	Stream record.Stream
	Bound  archive.Bound
}

// pending is the text of one stream that is in no commit yet. Guarded by Journal.mu.
type pending struct {
	stream *archive.Stream
	def    record.Stream
	text   kept.Text
	missed int  // how many records were not kept
	listed bool // in Journal.texts
	inputs int  // that write it
}

// Archive returns the kept text.
func (j *Journal) Archive() *archive.Archive { return j.commit.archive }

// Pressed tells whether text comes in so fast that others should leave the processors to it.
// It may be called by anyone.
func (j *Journal) Pressed() bool { return time.Now().UnixNano() < j.pressed.Load() }

// Keep has the text of what is written from now on kept. It must be called before the
// first Write, and Close after the last.
func (w *Writer) Keep(k Keep) {
	w.fields = k.Fields
	w.keep(w.input.def.stream, k.Bound, k.Until)
	for _, c := range k.Classes {
		w.keep(c.Stream, c.Bound, nil)
	}
}

// keep adds one stream to those that text goes to.
func (w *Writer) keep(def record.Stream, bound archive.Bound, until []string) {
	j := w.journal
	stream := j.commit.archive.Stream(def, bound)
	stream.Until(until)
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.streams[stream]
	if p == nil {
		p = &pending{stream: stream}
		j.streams[stream] = p
	}
	p.def = def
	p.inputs++
	w.keeping = append(w.keeping, p)
}

// Close says that nothing more is written. It may be called twice.
func (w *Writer) Close() {
	if w.closed {
		return
	}
	w.closed = true
	for _, p := range w.keeping {
		p.stream.Release()
	}
	j := w.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range w.keeping {
		p.inputs--
		j.releaseLocked(p)
	}
}

// releaseLocked forgets a stream's pending text that nobody adds to any more.
func (j *Journal) releaseLocked(p *pending) {
	if p.inputs == 0 && !p.listed {
		delete(j.streams, p.stream)
	}
}

// renderer makes NDJSON of records.
type renderer struct {
	appender kept.Appender
	parts    []rendered // of the stream and its classes, which begin with 1
	fields   []kept.Field
	slots    []string // those that columns is about
	columns  []int
}

// sameTime is how many records of a batch that say no time get the same one. Clients page
// through answers by time, logcli a thousand lines at a time, and come no further where one
// time has a page of records. A nanosecond for each record would take a sixth more disk for
// lines that are read thousands at once, one for so many takes a twentieth more.
const sameTime = 64

// rendered is text, and how many records it has.
type rendered struct {
	text    kept.Text
	records int
}

// render returns the records of b that no filter took out, those of a class apart. The texts
// are valid until the next call.
func (w *Writer) render(b *record.Batch) []rendered {
	r := &w.renderer
	for len(r.parts) < max(len(w.keeping), 1) {
		r.parts = append(r.parts, rendered{})
	}
	for i := range r.parts {
		r.parts[i].text.Reset()
		r.parts[i].records = 0
	}
	now := time.Now().UnixNano()
	for _, g := range b.Gaps {
		r.parts[0].text.Add(archive.AppendGap(nil, now, g))
	}
	r.choose(b.Slots, w.fields)
	came := b.Fields
	for i := range b.Records {
		rec := &b.Records[i]
		var fields []kept.Field
		if fields, came = r.row(b, i, came); rec.Flags&record.Dropped != 0 {
			continue
		}
		part := &r.parts[0]
		if class := int(rec.Class); class < len(r.parts) {
			part = &r.parts[class]
		}
		part.records++
		line := kept.Record{Time: rec.Time, Level: rec.Level, Flags: rec.Flags, Body: b.Bytes(rec.Body), Weight: rec.Weight, Fields: fields}
		if line.Time == 0 {
			line.Time = now + int64(i/sameTime) // of a later batch now is further on
		}
		r.appender.AppendTo(&part.text, &line)
	}
	return r.parts
}

// choose finds the columns of the stored fields.
func (r *renderer) choose(slots, fields []string) {
	if len(slots) == len(r.slots) && (len(slots) == 0 || &slots[0] == &r.slots[0]) {
		return
	}
	r.slots, r.columns, r.fields = slots, r.columns[:0], r.fields[:0]
	for _, name := range fields {
		if i := slices.Index(slots, name); i >= 0 {
			r.columns = append(r.columns, i)
			r.fields = append(r.fields, kept.Field{Name: kept.Escape(nil, []byte(name))})
		}
	}
}

// row returns the stored fields of record i: those that rules extract, and of those that
// came with it, the first of came, the others. rest are those of later records.
func (r *renderer) row(b *record.Batch, i int, came []record.Field) (fields []kept.Field, rest []record.Field) {
	fields = r.fields[:len(r.columns)]
	if len(r.columns) > 0 {
		row := b.Row(i)
		for k, column := range r.columns {
			fields[k].Value = b.Bytes(row[column])
		}
	}
	for ; len(came) > 0 && came[0].Record <= i; came = came[1:] {
		if name := b.Bytes(came[0].Name); came[0].Record == i && !hasField(fields[:len(r.columns)], name) {
			fields = append(fields, kept.Field{})
			f := &fields[len(fields)-1] // to copy what was just written would make the processor wait
			f.Name, f.Value = name, b.Bytes(came[0].Value)
		}
	}
	r.fields = fields[:len(r.columns)]
	return fields, came
}

func hasField(fields []kept.Field, name []byte) bool {
	for i := range fields {
		if len(fields[i].Value) > 0 && bytes.Equal(fields[i].Name, name) {
			return true
		}
	}
	return false
}

// room waits until there is room for that much text.
func (j *Journal) room(ctx context.Context, size int) error {
	for {
		j.mu.Lock()
		enough := j.waiting == 0 || j.waiting+size <= maxWaiting
		taken := j.taken
		j.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case j.crowded <- struct{}{}:
		default:
		}
		select {
		case <-taken:
		case <-j.ended:
			return errors.New("commits have ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// acceptLocked takes text for the next commit, or a number of records that have none.
func (j *Journal) acceptLocked(p *pending, text kept.Text, missed int) {
	if len(text.Bytes)+missed == 0 {
		return
	}
	p.missed += missed
	if n := len(j.spares); p.text.Cap() == 0 && len(text.Bytes) > 0 && n > 0 {
		p.text, j.spares[n-1], j.spares = j.spares[n-1], kept.Text{}, j.spares[:n-1]
		j.spare -= p.text.Cap()
	}
	p.text.AddText(text)
	j.waiting += len(text.Bytes)
	if !p.listed {
		p.listed = true
		p.stream.Hold() // until the text is taken, whoever closes
		j.texts = append(j.texts, p)
	}
}

// takeTextsLocked moves the text that waits to c and lets those go on that wait for room.
func (j *Journal) takeTextsLocked(c *change) {
	for _, p := range j.texts {
		c.texts = append(c.texts, takenText{stream: p.stream, def: p.def, text: p.text, missed: p.missed})
		p.text, p.missed = kept.Text{}, 0
		p.listed = false
		j.releaseLocked(p)
	}
	j.texts = j.texts[:0]
	if j.waiting >= maxWaiting/2 {
		j.pressed.Store(time.Now().Add(pressedFor).UnixNano())
	}
	j.waiting = 0
	close(j.taken)
	j.taken = make(chan struct{})
}

// takenText is the text of one stream on its way to the log.
type takenText struct {
	stream *archive.Stream
	def    record.Stream
	text   kept.Text
	missed int
}

// maxSpare is how much memory commits leave to later ones, of all streams together, and
// maxSpares in how many pieces. Where one stream has all the text, two pieces take turns: as
// much as may wait, with what a slice grows by and where the lines are.
const (
	maxSpare  = 3 * maxWaiting
	maxSpares = 1024
)

// maxScratch is how much memory a commit leaves to the next one for what it writes to the log.
const maxScratch = 2 * maxWaiting

// addTexts hands the taken text to the archive, and what the log needs of it to c.
func (l *commitLog) addTexts(j *Journal, c *change) {
	for i := range c.texts {
		t := &c.texts[i]
		l.logText(c, t.stream, t.def, func(dst []byte) []byte {
			if len(t.text.Bytes) > 0 {
				dst = t.stream.Add(dst, t.text)
			}
			if t.missed > 0 {
				dst = t.stream.Missed(dst, t.missed)
			}
			return dst
		})
		t.stream.Release()
		j.mu.Lock()
		if size := t.text.Cap(); size > 0 && j.spare+size <= maxSpare && len(j.spares) < maxSpares {
			t.text.Reset()
			j.spares = append(j.spares, t.text)
			j.spare += size
		}
		j.mu.Unlock()
	}
	l.archive.Due(time.Now(), func(s *archive.Stream, log []byte) {
		l.logText(c, s, s.Definition(), func(dst []byte) []byte { return append(dst, log...) })
	})
}

// logText appends what the log holds about a stream to c, with what the stream is where
// this generation has not said it yet.
func (l *commitLog) logText(c *change, s *archive.Stream, def record.Stream, add func(dst []byte) []byte) {
	before := len(c.arena)
	c.arena = add(c.arena)
	if len(c.arena) == before {
		return
	}
	k := keptDef{id: def.ID, log: c.arena[before:len(c.arena):len(c.arena)]}
	if !l.described[s] {
		l.described[s] = true
		k.stream = &def
	}
	c.kept = append(c.kept, k)
}

// writtenText is the text of a batch, until the writer renders the next.
type writtenText struct {
	parts  []rendered // of the stream, and of each of its classes
	keep   bool       // or it is for those alone who follow the stream live
	missed bool       // it should be kept and cannot
}

// text renders what is kept of b, and waits for room. A batch whose text cannot be kept is
// counted all the same.
func (w *Writer) text(ctx context.Context, b *record.Batch) (writtenText, error) {
	a := w.journal.commit.archive
	if len(w.keeping) == 0 && !a.Followed(&w.input.def.stream) || len(b.Records)+len(b.Gaps) == 0 {
		return writtenText{}, nil
	}
	var t writtenText
	t.parts = w.render(b)
	if len(w.keeping) == 0 {
		return t, nil
	}
	if full := a.Full(); full && b.Refusable {
		return writtenText{}, flow.ErrNoRoom
	} else if full && (a.Low() || w.journal.commit.strained.Load()) {
		t.missed = true
		return t, nil
	}
	t.keep = true
	size := 0
	for i := range t.parts {
		size += len(t.parts[i].text.Bytes)
	}
	return t, w.journal.room(ctx, size)
}

// acceptTextLocked takes the text of a batch, all of it for the same commit, and shows it to
// those who follow it live.
func (w *Writer) acceptTextLocked(t writtenText) {
	j := w.journal
	for i := range t.parts {
		part, def := &t.parts[i], &w.input.def.stream
		switch {
		case t.keep:
			j.acceptLocked(w.keeping[i], part.text, 0)
		case t.missed:
			j.acceptLocked(w.keeping[i], kept.Text{}, part.records)
		}
		if i > 0 {
			def = &w.keeping[i].def
		}
		if len(part.text.Bytes) > 0 {
			// Under the lock, so that one who begins to follow, and then has a commit made, gets
			// each record from one of the two and none from neither.
			j.commit.archive.Publish(def, part.text.Bytes, part.records)
		}
	}
}
