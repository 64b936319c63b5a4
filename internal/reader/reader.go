// Package reader brings kept text to a sink: it follows the streams that a selector matches
// through the archive, in order, with a cursor for each that the sink keeps.
//
//	r := reader.New(reader.Options{Archive: a, Match: sel.Matches, Sink: s, State: j, Name: "files"})
//	err := r.Run(ctx)
//
// A sink that fails is tried again and holds back no other reader. What retention removes
// before the sink could take it is a gap: a record that says how many are missing. Streams
// that exist when a sink runs for the very first time are read from where they stand, or
// from as long ago as Start says; streams that come later from the first record they had,
// whether that is still there or not. When a selector changes, streams that are not known
// yet are read from what there is of them.
//
// The package leaves out what a sink does with records and how it keeps its place.
package reader

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// batchBytes is how much text a batch has, but for its last record.
	batchBytes = 256 << 10
	// pace is the least time between two looks, so that a busy node brings batches and not
	// single records.
	pace = 200 * time.Millisecond
	// finalTime is how long it may take to bring what is left at the end.
	finalTime = 2 * time.Second
)

// StatePrefix is what the keys of all states begin with.
const StatePrefix = "reader\x00"

// State keeps values over restarts, as journal.Journal does.
type State interface {
	// Load returns what was last stored under key, or nil.
	Load(key string) []byte
	// Store keeps value with the next commit.
	Store(key string, value []byte)
}

// Chooser tells which records a sink wants.
type Chooser interface {
	// Stream says whose records the lines to come are.
	Stream(labels record.Labels)
	// Chooses tells whether it wants a record, which is a whole line as it was kept.
	Chooses(line []byte, level record.Level) bool
}

// Options say what is read and who gets it.
type Options struct {
	Archive *archive.Archive
	// Match tells which streams are read, by their labels, and Selector is its text.
	Match    func(record.Labels) bool
	Selector string
	// Chooser, unless nil, chooses records of these streams. Those that it does not choose
	// are brought with the flag record.Dropped, and without their text.
	Chooser Chooser
	Sink    flow.TextSink
	// State keeps that the sink has begun, and with which selector, under Key(Name).
	State State
	Name  string
	// Start is how far back a sink begins that never ran; negative: at the beginning.
	Start time.Duration
	// Ledger is told about failures, and of records that are missing. It may be nil.
	Ledger *ledger.Component
	// Delivered, if set, is told what the sink has of a stream and will not ask for again.
	Delivered func(s *archive.Stream, next uint64)
}

// Reader reads for one sink. Run must not be called twice at a time.
type Reader struct {
	opts    Options
	decoder archive.Decoder
	text    []byte
	batch   record.Batch
	bad     int // how many records of batch are damaged
	failed  bool
	late    map[string]uint64 // the streams that failed, and when: by turn
	turn    uint64
}

// New returns a reader.
func New(o Options) *Reader { return &Reader{opts: o} }

// Key returns the key under which it is kept that the sink of that name has begun.
func Key(name string) string { return StatePrefix + name }

// Run reads until ctx ends, then once more what is there by then, unless ctx ends for a
// reload.
func (r *Reader) Run(ctx context.Context) error {
	// What is under way when ctx ends is finished: begun again it would come twice.
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(finalTime, abandon) })()
	if err := r.begin(work); err != nil {
		return err
	}
	backoff := retry.Backoff{Min: pace, Max: 10 * time.Second}
	for version := uint64(0); ; {
		seen, err := r.opts.Archive.Wait(ctx, version)
		if err != nil {
			break
		}
		if err := r.pass(work); err != nil {
			if ctx.Err() != nil {
				break
			}
			r.fail(err)
			r.measure()
			if backoff.Wait(ctx) != nil {
				break
			}
			continue // the version as it was: what failed is still to do
		}
		backoff.Reset()
		r.recover()
		r.behind(0, 0)
		version = seen
		rest := time.NewTimer(pace)
		select {
		case <-ctx.Done():
		case <-rest.C:
		}
		rest.Stop()
	}
	if errors.Is(context.Cause(ctx), flow.ErrReload) {
		return nil
	}
	return r.pass(work)
}

// begin tells a sink that never ran, or not with this selector, where the streams stand that
// exist: what came before that is not missing.
func (r *Reader) begin(ctx context.Context) error {
	before, now := r.opts.State.Load(Key(r.opts.Name)), append([]byte{1}, r.opts.Selector...)
	if bytes.Equal(before, now) {
		return nil
	}
	for _, s := range r.opts.Archive.All() { // one without text may have had some
		if _, known := r.opts.Sink.Next(s.ID()); known || !r.opts.Match(s.Labels()) {
			continue
		}
		v := s.View()
		next := r.place(v, before == nil)
		v.Close()
		def := s.Definition()
		r.batch.Reset(&def)
		r.batch.First = next
		if err := r.opts.Sink.Write(ctx, &r.batch); err != nil {
			return err
		}
	}
	if err := r.opts.Sink.Flush(ctx); err != nil {
		return err
	}
	r.opts.State.Store(Key(r.opts.Name), now)
	return nil
}

// place returns the record with which a stream begins for a sink: as Start says if it is the
// sink's first run, else with what there is.
func (r *Reader) place(v *archive.View, first bool) uint64 {
	if first && r.opts.Start < 0 {
		return v.Begun()
	}
	next, since := v.Next(), time.Now().Add(-r.opts.Start).UnixNano()
	for i := v.Len() - 1; i >= 0 && (!first || r.opts.Start > 0 && v.Head(i).MaxTime >= since); i-- {
		next = v.Head(i).First
	}
	return next
}

// pass brings what is shown and not delivered yet: first of the streams that were not refused,
// so that one whose records the sink does not take for a long time holds up no other.
func (r *Reader) pass(ctx context.Context) error {
	var streams []*archive.Stream
	late := map[string]uint64{}
	for _, s := range r.opts.Archive.All() { // what came may have gone already
		if r.opts.Match(s.Labels()) {
			streams = append(streams, s)
			if turn := r.late[s.ID()]; turn > 0 {
				late[s.ID()] = turn
			}
		}
	}
	r.late = late
	slices.SortFunc(streams, func(x, y *archive.Stream) int {
		return cmp.Or(cmp.Compare(late[x.ID()], late[y.ID()]), strings.Compare(x.ID(), y.ID()))
	})
	timely := len(streams) - len(late)
	err := r.bring(ctx, streams[:timely])
	if err == nil && len(late) > 0 {
		err = r.bring(ctx, streams[timely:])
	}
	return err
}

// bring brings what is new of some streams. One that fails is behind those that failed before.
func (r *Reader) bring(ctx context.Context, streams []*archive.Stream) error {
	for _, s := range streams {
		switch err := r.stream(ctx, s); {
		case err == nil:
			delete(r.late, s.ID())
		case errors.Is(err, flow.ErrNotNow): // it is not about this stream
			return err
		default:
			r.turn++
			r.late[s.ID()] = r.turn
			return err
		}
	}
	if err := r.opts.Sink.Flush(ctx); err != nil {
		return err
	}
	if r.opts.Delivered != nil {
		for _, s := range streams {
			if next, ok := r.opts.Sink.Next(s.ID()); ok {
				r.opts.Delivered(s, next)
			}
		}
	}
	return nil
}

// stream brings what is new of one stream.
func (r *Reader) stream(ctx context.Context, s *archive.Stream) error {
	v := s.View()
	defer v.Close()
	next, known := r.opts.Sink.Next(s.ID())
	if !known {
		next = v.Begun()
	}
	def := s.Definition()
	lost := hole{from: next, to: next}
	for i := range v.Len() {
		h := v.Head(i)
		end := h.First + uint64(h.Records+h.Gaps)
		if end <= next {
			continue
		}
		next = max(next, h.First)
		if err := r.lose(ctx, &def, &lost, hole{from: lost.to, to: next}); err != nil {
			return err
		}
		text, err := v.AppendText(r.text[:0], i, &r.decoder)
		var corrupt *archive.CorruptError
		bad := errors.As(err, &corrupt)
		switch {
		case bad || errors.Is(err, archive.ErrGone):
			err = r.lose(ctx, &def, &lost, hole{from: next, to: end, damaged: bad})
		case err == nil:
			r.text = text
			if err = r.missing(ctx, &def, lost); err == nil {
				err = r.block(ctx, &def, h.First, next)
			}
			lost = hole{from: end, to: end}
		}
		if err != nil {
			return err
		}
		next = end
	}
	if err := r.lose(ctx, &def, &lost, hole{from: next, to: v.Next()}); err != nil { // all that there was
		return err
	}
	return r.missing(ctx, &def, lost)
}

// hole is records, those from one on and before another, that a sink cannot have: they were
// removed, or are damaged.
type hole struct {
	from, to uint64
	damaged  bool
}

// lose adds to a hole one that follows it. Where that is for another reason the sink is told
// of the first.
func (r *Reader) lose(ctx context.Context, def *record.Stream, h *hole, more hole) error {
	if more.from >= more.to {
		return nil
	}
	if h.from < h.to && h.damaged != more.damaged {
		if err := r.missing(ctx, def, *h); err != nil {
			return err
		}
		h.from = h.to
	}
	h.to, h.damaged = more.to, more.damaged
	return nil
}

// missing tells the sink that records are gone, if there are any in the hole.
func (r *Reader) missing(ctx context.Context, def *record.Stream, h hole) error {
	if h.from >= h.to {
		return nil
	}
	drop, body := "removed before it was sent", "%d records were removed before they could be sent here"
	if h.damaged {
		drop, body = damaged, "%d records were damaged on disk before they could be sent here"
	}
	r.batch.Reset(def)
	r.batch.First = h.to - 1 // it stands in the place of the last of them
	r.batch.Records = append(r.batch.Records, record.Record{
		Time: time.Now().UnixNano(), Level: record.LevelWarn, Flags: record.Lost, Body: r.batch.Append(fmt.Appendf(nil, body, h.to-h.from)),
	})
	if err := r.opts.Sink.Write(ctx, &r.batch); err != nil {
		return err // it is stated, and counted, when it works again
	}
	r.dropped(drop, int(h.to-h.from))
	return nil
}

// damaged is why records are dropped that cannot be read.
const damaged = "damaged before it was sent"

// dropped counts records that are missing.
func (r *Reader) dropped(why string, n int) {
	if r.opts.Ledger != nil && n > 0 {
		r.opts.Ledger.Dropped(why, n)
	}
}

// block brings the records of r.text, the first of which has a number, from next on.
func (r *Reader) block(ctx context.Context, def *record.Stream, number, next uint64) error {
	r.batch.Reset(def)
	if r.opts.Chooser != nil {
		r.opts.Chooser.Stream(def.Labels)
	}
	for line := range kept.Lines(r.text) {
		number++
		if number <= next {
			continue
		}
		if len(r.batch.Records) == 0 {
			r.batch.First = number - 1
		}
		r.add(line)
		if len(r.batch.Arena) >= batchBytes {
			if err := r.write(ctx); err != nil {
				return err
			}
			r.batch.Reset(def)
		}
	}
	if len(r.batch.Records) == 0 {
		return nil
	}
	return r.write(ctx)
}

// write brings the batch, and counts those of its records that are damaged.
func (r *Reader) write(ctx context.Context) error {
	bad := r.bad
	r.bad = 0
	if err := r.opts.Sink.Write(ctx, &r.batch); err != nil {
		return err
	}
	r.dropped(damaged, bad)
	return nil
}

// add appends a line to the batch. One that is damaged is empty, so that numbers hold.
func (r *Reader) add(line []byte) {
	b := &r.batch
	l, err := kept.Parse(line)
	if err != nil {
		r.bad++
		b.Records = append(b.Records, record.Record{Flags: record.Lost, Level: record.LevelWarn, Body: b.Append([]byte("a damaged record"))})
		return
	}
	rec := record.Record{Time: l.Time, Level: l.Level, Flags: l.Flags &^ record.Escaped, Weight: l.Weight}
	if len(l.Gap) > 0 {
		rec.Flags |= record.Lost
	} else if r.opts.Chooser != nil && !r.opts.Chooser.Chooses(line, l.Level) {
		b.Records = append(b.Records, record.Record{Flags: record.Dropped})
		return
	}
	off := len(b.Arena)
	b.Arena = l.AppendText(b.Arena)
	rec.Body = record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
	for name, value := range l.Fields() {
		b.Fields = append(b.Fields, record.Field{Record: len(b.Records), Name: appendPlain(b, name), Value: appendPlain(b, value)})
	}
	b.Records = append(b.Records, rec)
}

// appendPlain puts what is in canonical escaping into the arena as plain text.
func appendPlain(b *record.Batch, text []byte) record.Span {
	off := len(b.Arena)
	b.Arena = kept.Unescape(b.Arena, text)
	return record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
}

// measure tells how much there is that the sink has not, and how old the oldest of it is.
func (r *Reader) measure() {
	if r.opts.Ledger == nil {
		return
	}
	now, oldest, bytes := time.Now().UnixNano(), int64(0), int64(0)
	for _, s := range r.opts.Archive.All() {
		if !r.opts.Match(s.Labels()) {
			continue
		}
		next, _ := r.opts.Sink.Next(s.ID())
		v := s.View()
		for i := v.Len() - 1; i >= 0; i-- {
			h := v.Head(i)
			if h.First+uint64(h.Records+h.Gaps) <= next {
				break
			}
			bytes += int64(h.Bytes)
			oldest = max(oldest, now-h.MinTime)
		}
		v.Close()
	}
	r.behind(bytes, time.Duration(oldest))
}

// behind shows it.
func (r *Reader) behind(bytes int64, age time.Duration) {
	if r.opts.Ledger != nil {
		r.opts.Ledger.BehindBytes(bytes)
		r.opts.Ledger.Behind(age)
	}
}

func (r *Reader) fail(err error) {
	r.failed = true
	if r.opts.Ledger != nil {
		r.opts.Ledger.Degraded(err.Error(), "what is not sent stays in the journal, within its bounds, and is sent when it works again")
	}
}

func (r *Reader) recover() {
	if r.failed && r.opts.Ledger != nil {
		r.opts.Ledger.Healthy()
	}
	r.failed = false
}
