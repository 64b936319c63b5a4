package push

import (
	"bytes"
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

const (
	// maxReasons is how many refused streams a sender is told about.
	maxReasons = 5
	// maxFieldBytes is how much structured metadata a record keeps.
	maxFieldBytes = 64 << 10
	// shownLabels is how much of refused labels is in a message.
	shownLabels = 200
)

// outcome is what became of a push.
type outcome struct {
	accepted int
	refused  int      // entries of streams that are not taken
	reasons  []string // why, of the first such streams
}

// push checks the body of j, and then writes it to the lines. After an error of syntax, or
// intake.ErrFull or errStopped, none of it was written.
func (s *Source) push(ctx context.Context, j *job, form lokipush.Format, tenant string) (outcome, error) {
	lines, leave, ok := s.gate.Enter()
	if !ok {
		return outcome{}, errStopped
	}
	defer leave()
	v := &j.survey
	*v = survey{streams: s.streams, body: &j.Body, tenant: tenant, found: v.found}
	defer v.release()
	err := j.decoder.Visit(form, j.Text, v)
	if err == nil {
		err = v.err
	}
	if err != nil {
		return outcome{}, err
	}
	b, err := s.deps.Batches.Get(ctx, nil)
	if err != nil {
		return outcome{}, err
	}
	defer s.deps.Batches.Put(b)
	w := writer{
		found: &v.found, batch: b, outcome: outcome{reasons: v.reasons},
		open: lines.Open,
		put: func(l flow.Line) error {
			b.Refusable = true
			return l.Write(ctx, b)
		},
		take: func(turn chan struct{}) error { return take(ctx, turn) },
	}
	err = j.decoder.Visit(form, j.Text, &w)
	w.end()
	if err == nil {
		err = w.err
	}
	if w.excess > 0 {
		s.deps.Ledger.Dropped("structured metadata", w.excess)
	}
	if w.refused > 0 {
		s.deps.Ledger.Dropped("labels", w.refused)
	}
	return w.outcome, err
}

func take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// survey is the visitor that finds the streams of a push.
type survey struct {
	streams *streams
	tenant  string
	body    *intake.Body
	found   intake.Found // one for each that the body has, nil where it is refused
	reasons []string
	err     error
}

// Stream implements lokipush.Visitor.
func (v *survey) Stream(l lokipush.Labels) bool {
	if v.err != nil {
		return false
	}
	st, err := v.streams.get(l, v.tenant)
	switch {
	case err == intake.ErrFull:
		v.err = err
		return false
	case err != nil:
		v.reasons = addReason(v.reasons, shorten(l.Text), err)
	}
	v.err = v.found.Add(v.streams.Streams, v.body, st)
	return false
}

// Entry implements lokipush.Visitor.
func (v *survey) Entry(*lokipush.Entry) error { return nil }

// release lets the streams be closed.
func (v *survey) release() {
	v.found.Release(v.streams.Streams)
	v.streams, v.body = nil, nil
}

func addReason(reasons []string, labels string, err error) []string {
	switch {
	case len(reasons) < maxReasons:
		return append(reasons, fmt.Sprintf("stream %s: %v", labels, err))
	case len(reasons) == maxReasons:
		return append(reasons, "…")
	}
	return reasons
}

func shorten(text []byte) string {
	if len(text) > shownLabels {
		return string(bytes.ToValidUTF8(text[:shownLabels], nil)) + "…"
	}
	return string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
}

// writer is the visitor that writes entries to the lines of their streams, one stream at a
// time, so that no push waits for another that waits for it.
type writer struct {
	outcome
	found   *intake.Found
	stream  *intake.Stream // the present one; nil: it is refused
	mine    bool           // the turn of the present stream
	batch   *record.Batch
	earlier int // where the fields of the batch's last record begin
	excess  int // pairs of metadata that were left out
	err     error

	open func(flow.Input) (flow.Line, error)
	put  func(flow.Line) error
	take func(turn chan struct{}) error
}

// Stream implements lokipush.Visitor.
func (w *writer) Stream(lokipush.Labels) bool {
	w.end()
	w.stream = w.found.Next()
	return true
}

// Entry implements lokipush.Visitor.
func (w *writer) Entry(e *lokipush.Entry) error {
	if w.stream != nil && !w.mine {
		w.begin()
	}
	switch {
	case w.err != nil:
		return w.err
	case w.stream == nil:
		w.refused++
		return nil
	}
	if n := len(w.batch.Records); n == maxBatchRecords || n > 0 && len(w.batch.Arena)+size(e) > maxBatchBytes {
		if w.flush(); w.err != nil {
			return w.err
		}
	}
	w.add(e)
	return nil
}

// begin makes the present stream ready for its first record. A stream that cannot have a
// line is refused.
func (w *writer) begin() {
	st := w.stream
	if w.err = w.take(st.Turn); w.err != nil {
		return
	}
	if st.Line == nil {
		line, err := w.open(st.Input)
		if err != nil {
			<-st.Turn
			w.stream = nil
			w.reasons = addReason(w.reasons, st.Input.Stream.Labels.String(), err)
			return
		}
		st.Line = line
	}
	w.mine = true
	w.batch.Reset(&st.Input.Stream)
}

// end writes what is left of the present stream.
func (w *writer) end() {
	if !w.mine {
		return
	}
	w.flush()
	w.mine = false
	<-w.stream.Turn
}

func (w *writer) flush() {
	n := len(w.batch.Records)
	if n == 0 || w.err != nil {
		return
	}
	if w.err = w.put(w.stream.Line); w.err == nil {
		w.accepted += n
	}
	w.batch.Reset(&w.stream.Input.Stream)
	w.earlier = 0
}

// size is how much of the arena an entry takes at most.
func size(e *lokipush.Entry) int {
	n := min(len(e.Line), maxLineBytes)
	for i := range e.Metadata {
		n += len(e.Metadata[i].Name) + len(e.Metadata[i].Value)
	}
	return n
}

// add appends an entry to the batch.
func (w *writer) add(e *lokipush.Entry) {
	b := w.batch
	r := record.Record{Time: e.Time, Level: w.stream.Level}
	line := e.Line
	if len(line) > maxLineBytes {
		line = cut(line)
		r.Flags = record.Cut
	}
	r.Body = b.Append(line)
	if len(e.Metadata) > 0 {
		w.fields(e, &r)
	}
	w.excess += e.Excess
	b.Records = append(b.Records, r)
}

// cut returns what is kept of a line that is too long: no part of a letter is at its end.
func cut(line []byte) []byte {
	n := maxLineBytes
	for n > maxLineBytes-utf8.UTFMax && !utf8.RuneStart(line[n]) {
		n--
	}
	return line[:n]
}

// fields appends the metadata of r, the record that comes next, and takes its level from it.
func (w *writer) fields(e *lokipush.Entry, r *record.Record) {
	b := w.batch
	from, best, left := len(b.Fields), 0, maxFieldBytes
	for i := range e.Metadata {
		p := &e.Metadata[i]
		rank := levelName(string(p.Name))
		if rank > best {
			if level := severity.FromValue(p.Value); level != record.LevelUnknown {
				best, r.Level = rank, level
				if rank == surest {
					continue // queries have the record's level under this name
				}
			}
		}
		if left -= len(p.Name) + len(p.Value); left < 0 || len(p.Name) > lokipush.MaxNameBytes {
			w.excess++
			continue
		}
		w.field(p, from)
	}
	w.earlier = from
}

// field appends one pair to the fields of the next record, which begin at from. The last of
// one name counts.
func (w *writer) field(p *lokipush.Pair, from int) {
	b := w.batch
	off := len(b.Arena)
	b.Arena = lokipush.AppendName(b.Arena, p.Name)
	f := record.Field{Record: len(b.Records), Name: record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}}
	for i := from; i < len(b.Fields); i++ {
		if bytes.Equal(b.Bytes(b.Fields[i].Name), b.Bytes(f.Name)) {
			b.Arena = b.Arena[:off]
			b.Fields[i].Value = b.Append(p.Value)
			return
		}
	}
	// The record before has most likely the same names in the same order.
	if i := w.earlier + len(b.Fields) - from; i < from && bytes.Equal(b.Bytes(b.Fields[i].Name), b.Bytes(f.Name)) {
		f.Name = b.Fields[i].Name
		b.Arena = b.Arena[:off]
	}
	f.Value = b.Append(p.Value)
	b.Fields = append(b.Fields, f)
}
