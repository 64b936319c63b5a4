package otlp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/lokipush"
	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

const (
	// maxLineBytes is where texts are cut.
	maxLineBytes = 1 << 20
	// maxBatchBytes is how much text a batch has, but for a single record with its fields, and
	// maxBatchRecords how many records.
	maxBatchBytes   = 512 << 10
	maxBatchRecords = 8 << 10
	// leastBytes is what a record of a request counts for at least: two bytes make one without
	// anything, which has a hundred in the journal. One with a time and a letter of text has more.
	leastBytes = 16
	// maxFieldBytes is how much the fields of a record have.
	maxFieldBytes = 64 << 10
	// maxReasons is how many reasons a sender is told.
	maxReasons = 5
)

// Attributes that say what a record was in weir, which the sink of weir sets, or has meaning for
// weir.
const (
	// Origin of a resource is the identity of a stream in another weir: all other attributes are
	// its labels.
	originAttribute = "weir.stream"
	// streamAttribute is OpenTelemetry's for where a record was written to.
	streamAttribute = "log.iostream"
	cutAttribute    = "weir.cut"
	lostAttribute   = "weir.lost"
	weightAttribute = "weir.weight"
)

// outcome is what became of a request.
type outcome struct {
	accepted int
	refused  int
	reasons  []string // why, of the first
}

// refuse counts one that is not taken.
func (o *outcome) refuse(reason string) {
	o.refused++
	for _, r := range o.reasons {
		if r == reason {
			return
		}
	}
	switch {
	case len(o.reasons) < maxReasons:
		o.reasons = append(o.reasons, reason)
	case len(o.reasons) == maxReasons:
		o.reasons = append(o.reasons, "…")
	}
}

// write writes the body of j, all of which makes sense, or none of it.
func (s *Source) write(ctx context.Context, j *job, what wire.Request) (outcome, error) {
	lines, leave, ok := s.gate.Enter()
	if !ok {
		return outcome{}, errStopped
	}
	defer leave()
	if what == wire.Metrics {
		return s.writeMetrics(ctx, j)
	}
	return s.writeLogs(ctx, j, lines)
}

func (s *Source) writeLogs(ctx context.Context, j *job, lines flow.Lines) (outcome, error) {
	v := &j.survey
	v.begin(s, &j.Body)
	defer v.release()
	if err := v.of(&j.decoder, j.Text); err != nil {
		return outcome{}, err
	}
	b, err := s.deps.Batches.Get(ctx, nil)
	if err != nil {
		return outcome{}, err
	}
	defer s.deps.Batches.Put(b)
	w := &j.writer
	w.begin(v, b)
	w.open = lines.Open
	w.put = func(l flow.Line) error { return l.Write(ctx, b) }
	w.take = func(st *intake.Stream) error {
		if !st.Take(ctx.Done()) {
			return ctx.Err()
		}
		return nil
	}
	w.check = func() error { return j.checker.Logs(j.Text, &counter{left: s.maxRecords()}) }
	if err := j.decoder.Logs(j.Text, w); w.err == nil { // else that is why it ended, or nothing came after it
		w.err = err
	}
	w.checked = true // it was read to its end, or failed
	w.end()
	result, err := w.outcome, w.err
	if err == nil || result.accepted > 0 {
		s.deps.Ledger.Dropped("attributes", w.excess)
		s.deps.Ledger.Dropped("streams", result.refused)
	}
	w.release()
	return result, err
}

// errTooMany says that a request has more records than maxRecords.
var errTooMany = errors.New("too many records")

// maxRecords is how many records a request may have: never less than one batch has.
func (s *Source) maxRecords() int { return max(int(s.cfg.MaxBody)/leastBytes, maxBatchRecords) }

// isOwn tells whether another weir has sent a resource.
func isOwn(r *wire.Resource) bool {
	for i := range r.Attributes {
		if string(r.Attributes[i].Key) == originAttribute {
			return true
		}
	}
	return false
}

// label returns the name of the label that an attribute of a resource becomes, if it becomes one.
func (s *Source) label(key []byte, own bool) (name string, is bool) {
	if own {
		if string(key) == originAttribute {
			return "", false
		}
		return string(lokipush.AppendName(nil, key)), true
	}
	name, is = s.labelled[string(key)]
	return name, is
}

// labels returns the labels of a resource's stream.
func (s *Source) labels(r *wire.Resource, own bool) record.Labels {
	m := map[string]string{"source": s.deps.Name}
	left := lokipush.MaxLabelBytes
	for i := range r.Attributes {
		a := &r.Attributes[i]
		name, is := s.label(a.Key, own)
		text, _ := a.Value.Plain(nil)
		text = cutText(text, lokipush.MaxValueBytes)
		if left -= len(name) + len(text); !is || len(m) == lokipush.MaxLabels || len(name) > lokipush.MaxNameBytes || left < 0 {
			continue
		}
		m[name] = string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
	}
	for name, value := range s.cfg.Labels {
		m[name] = value
	}
	return record.NewLabels(m)
}

// cutText returns what is kept of a text that is too long: no part of a letter is at its end.
func cutText(text []byte, most int) []byte {
	if len(text) <= most {
		return text
	}
	n := most
	for n > most-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// writer is the visitor that writes records to the lines of their streams, one stream at a
// time, so that no request waits for another that waits for it. Nothing is written before all
// of the body is known to make sense: most have one batch, which waits for their end, and of
// others the rest is checked before the first batch goes.
type writer struct {
	outcome
	source  *Source
	found   *intake.Found
	stream  *intake.Stream // the present one; nil: it is refused
	mine    bool           // the turn of the present stream
	own     bool           // another weir has sent it
	checked bool           // the body makes sense
	batch   *record.Batch
	excess  int // attributes that were left out
	err     error
	open    func(flow.Input) (flow.Line, error)
	put     func(flow.Line) error
	take    func(*intake.Stream) error
	check   func() error

	common  []pair // fields of all records of a scope
	scoped  int    // how many of them are the resource's
	text    []byte // of common
	placed  bool   // common has places in the batch
	plain   []byte // scratch
	from    int    // where the fields of the next record begin
	earlier int    // where those of the one before do
	left    int    // bytes of fields that the record may have yet
	// keys are those of the fields of the record before, as they were sent; same says that the
	// next record had the same so far, as most do: then its names are known to be different.
	keys [][]byte
	same bool
}

// pair is a field of all records of a scope.
type pair struct {
	name, value textSpan     // of writer.text
	placed      record.Field // of the batch, without its record
	hidden      bool         // the last record has a field of that name itself
}

type textSpan struct{ from, to int }

func (w *writer) begin(v *survey, b *record.Batch) {
	*w = writer{source: v.source, found: &v.found, batch: b, common: w.common[:0], text: w.text[:0], plain: w.plain[:0], keys: w.keys[:0]}
}

// release lets go of what a request had.
func (w *writer) release() {
	clear(w.keys[:cap(w.keys)])
	*w = writer{common: w.common[:0], text: w.text[:0], plain: w.plain[:0], keys: w.keys[:0]}
	if cap(w.text) > maxFieldBytes || cap(w.plain) > maxFieldBytes {
		w.text, w.plain = nil, nil
	}
}

// Resource implements wire.LogVisitor.
func (w *writer) Resource(r *wire.Resource) bool {
	w.end()
	w.stream = w.found.Next()
	w.reset()
	w.own = isOwn(r)
	w.common, w.text, w.placed = w.common[:0], w.text[:0], false
	w.excess += r.Excess
	for i := range r.Attributes {
		a := &r.Attributes[i]
		if _, is := w.source.label(a.Key, w.own); !is && string(a.Key) != originAttribute {
			w.share(a.Key, a.Value)
		}
	}
	w.scoped = len(w.common)
	return true
}

// Scope implements wire.LogVisitor.
func (w *writer) Scope(s *wire.Scope) {
	w.common, w.placed = w.common[:w.scoped], false
	if w.own {
		return
	}
	w.shareText([]byte("scope_name"), s.Name)
	w.shareText([]byte("scope_version"), s.Version)
	for i := range s.Attributes {
		w.share(s.Attributes[i].Key, s.Attributes[i].Value)
	}
}

func (w *writer) share(key []byte, v wire.Value) {
	var text []byte
	text, w.plain = v.Plain(w.plain[:0])
	w.shareText(key, text)
}

// shareText adds a field of all records. The first of one name counts.
func (w *writer) shareText(key, value []byte) {
	if len(value) == 0 {
		return
	}
	from := len(w.text)
	w.text = lokipush.AppendName(w.text, key)
	name := textSpan{from, len(w.text)}
	for i := range w.common {
		if bytes.Equal(w.span(w.common[i].name), w.span(name)) {
			w.text = w.text[:from]
			return
		}
	}
	if len(w.text)+len(value) > maxFieldBytes {
		w.text = w.text[:from]
		w.excess++
		return
	}
	w.text = append(w.text, value...)
	w.common = append(w.common, pair{name: name, value: textSpan{name.to, len(w.text)}})
}

func (w *writer) span(s textSpan) []byte { return w.text[s.from:s.to] }

// Log implements wire.LogVisitor.
func (w *writer) Log(l *wire.Log) error {
	if n := len(w.batch.Records); n == maxBatchRecords || n > 0 && len(w.batch.Arena)+len(w.text)+sizeOf(l) > maxBatchBytes {
		w.flush()
	}
	switch {
	case w.err != nil:
		return w.err
	case w.stream == nil:
		w.refuse(unopened)
		return nil
	}
	w.add(l)
	return nil
}

// unopened is why records are refused that come after those that found it out.
const unopened = "the stream cannot be opened"

// sizeOf is how much of the arena a record takes at most, or nearly.
func sizeOf(l *wire.Log) int {
	n := min(len(l.Body), maxLineBytes)
	for i := range l.Attributes {
		n += len(l.Attributes[i].Key) + len(l.Attributes[i].Value)
	}
	return n
}

// end writes what is left of the present stream.
func (w *writer) end() {
	if w.stream == nil {
		return
	}
	w.flush()
	if w.mine {
		w.mine = false
		w.stream.Give()
	}
}

// flush writes the batch.
func (w *writer) flush() {
	n := len(w.batch.Records)
	if n == 0 || w.err != nil || !w.enter() {
		return
	}
	w.batch.Refusable = true
	if w.err = w.put(w.stream.Line); w.err == nil {
		w.accepted += n
	}
	w.reset()
}

// enter makes the present stream ready for a batch, and tells whether it is. One that cannot
// have a line is refused.
func (w *writer) enter() bool {
	if !w.checked {
		if w.err = w.check(); w.err != nil {
			return false
		}
		w.checked = true
	}
	st := w.stream
	if !w.mine {
		if w.err = w.take(st); w.err != nil {
			return false
		}
		w.mine = true
	}
	if st.Line != nil {
		return true
	}
	line, err := w.open(st.Input)
	if err != nil {
		st.Give()
		w.source.deps.Log.Warn("open stream", "stream", st.Input.Stream.ID, "error", err)
		for range w.batch.Records {
			w.refuse(unopened)
		}
		w.stream, w.mine = nil, false
		w.batch.Reset(nil)
		return false
	}
	st.Line = line
	return true
}

func (w *writer) reset() {
	w.batch.Reset(&w.stream.Input.Stream)
	w.earlier, w.placed, w.keys = 0, false, w.keys[:0]
}

// add appends a record to the batch.
func (w *writer) add(l *wire.Log) {
	b := w.batch
	r := record.Record{Time: wire.Nanoseconds(l.Time), Level: wire.LevelOf(l.Severity)}
	if r.Time == 0 {
		r.Time = wire.Nanoseconds(l.Observed)
	}
	if r.Level == record.LevelUnknown && len(l.SeverityText) > 0 {
		r.Level = severity.FromValue(l.SeverityText)
	}
	var body []byte
	body, w.plain = l.Body.Plain(w.plain[:0])
	if len(body) > maxLineBytes {
		body = cutText(body, maxLineBytes)
		r.Flags = record.Cut
	}
	r.Body = b.Append(body)
	w.from, w.left, w.same = len(b.Fields), maxFieldBytes, true
	w.known(l, r.Level)
	for i := range l.Attributes {
		w.attribute(&l.Attributes[i], &r)
	}
	w.addCommon()
	w.earlier = w.from
	w.excess += l.Excess
	b.Records = append(b.Records, r)
}

// The fields that a record has beside its attributes.
var (
	keySeverityText   = []byte("severity_text")
	keySeverityNumber = []byte("severity_number")
	keyObserved       = []byte("observed_timestamp")
	keyTraceID        = []byte("trace_id")
	keySpanID         = []byte("span_id")
	keyFlags          = []byte("flags")
	keyEventName      = []byte("event_name")
	keyDropped        = []byte("dropped_attributes_count")
)

// observedLater is by how much the time when a record was seen has to differ from its own to be kept, in
// nanoseconds: those of programs that send their own records differ by their haste.
const observedLater = 1e9

// known adds the fields that a record has beside its attributes.
func (w *writer) known(l *wire.Log, level record.Level) {
	if len(l.SeverityText) > 0 && !bytes.EqualFold(l.SeverityText, []byte(level.String())) {
		w.field(keySeverityText, l.SeverityText)
	}
	var digits [20]byte
	if l.Severity != 0 && l.Severity != wire.Severity(level) {
		w.field(keySeverityNumber, strconv.AppendInt(digits[:0], int64(l.Severity), 10))
	}
	if l.Time != 0 && l.Observed != 0 && max(l.Time, l.Observed)-min(l.Time, l.Observed) >= observedLater {
		w.field(keyObserved, strconv.AppendUint(digits[:0], l.Observed, 10))
	}
	if len(l.TraceID) > 0 {
		w.id(keyTraceID, l.TraceID)
	}
	if len(l.SpanID) > 0 {
		w.id(keySpanID, l.SpanID)
	}
	if l.Flags != 0 {
		w.field(keyFlags, strconv.AppendUint(digits[:0], uint64(l.Flags), 10))
	}
	w.field(keyEventName, l.EventName)
	if l.Dropped != 0 {
		w.field(keyDropped, strconv.AppendUint(digits[:0], uint64(l.Dropped), 10))
	}
}

// maxID is the longest id that is kept, in bytes; OpenTelemetry's have 16 and 8.
const maxID = 64

func (w *writer) id(key, id []byte) {
	var text [2 * maxID]byte
	n := hex.Encode(text[:], id[:min(len(id), maxID)])
	w.field(key, text[:n])
}

// attribute adds an attribute of r.
func (w *writer) attribute(a *wire.Attribute, r *record.Record) {
	var value []byte
	value, w.plain = a.Value.Plain(w.plain[:0])
	switch string(a.Key) {
	case streamAttribute:
		if string(value) == "stderr" {
			r.Flags |= record.Stderr
			return
		}
	case cutAttribute, lostAttribute, weightAttribute:
		if w.own && w.mark(string(a.Key), value, r) {
			return
		}
	}
	w.field(a.Key, value)
}

// mark sets what another weir says of a record.
func (w *writer) mark(key string, value []byte, r *record.Record) bool {
	switch key {
	case cutAttribute:
		r.Flags |= record.Cut
	case lostAttribute:
		r.Flags |= record.Lost
	default:
		n, err := strconv.ParseUint(string(value), 10, 32)
		if err != nil {
			return false
		}
		r.Weight = uint32(n)
	}
	return true
}

// field appends one pair to the fields of the next record. The last of one name counts.
func (w *writer) field(key, value []byte) {
	if len(value) == 0 {
		return
	}
	if w.left -= len(key) + len(value); w.left < 0 || len(key) > lokipush.MaxNameBytes {
		w.excess++
		return
	}
	b := w.batch
	k := len(b.Fields) - w.from
	if w.same && k < len(w.keys) && bytes.Equal(w.keys[k], key) {
		b.Fields = append(b.Fields, record.Field{Record: len(b.Records), Name: b.Fields[w.earlier+k].Name, Value: b.Append(value)})
		return
	}
	if w.same {
		w.same, w.keys = false, w.keys[:k]
	}
	off := len(b.Arena)
	b.Arena = lokipush.AppendName(b.Arena, key)
	f := record.Field{Record: len(b.Records), Name: record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}}
	for i := w.from; i < len(b.Fields); i++ {
		if n := &b.Fields[i].Name; n.Len == f.Name.Len && bytes.Equal(b.Bytes(*n), b.Bytes(f.Name)) {
			b.Arena = b.Arena[:off]
			b.Fields[i].Value = b.Append(value)
			w.keys = w.keys[:0] // the next record is looked at anew
			return
		}
	}
	f.Value = b.Append(value)
	b.Fields = append(b.Fields, f)
	if len(w.keys) == k {
		w.keys = append(w.keys, key)
	}
}

// addCommon appends the fields of the scope and the resource that the next record does not
// have by itself. Their text is in the batch once.
func (w *writer) addCommon() {
	b := w.batch
	own := len(b.Fields)
	again := w.placed && w.same && own-w.from == len(w.keys)
	w.keys = w.keys[:min(own-w.from, len(w.keys))]
	for i := range w.common {
		c := &w.common[i]
		if !w.placed {
			c.placed = record.Field{Name: b.Append(w.span(c.name)), Value: b.Append(w.span(c.value))}
		}
		if !again {
			c.hidden = w.has(c.placed.Name, own)
		}
		if c.hidden {
			continue
		}
		f := c.placed
		f.Record = len(b.Records)
		b.Fields = append(b.Fields, f)
	}
	w.placed = true
}

// has tells whether the next record has a field of that name among its own.
func (w *writer) has(name record.Span, own int) bool {
	b := w.batch
	for k := w.from; k < own; k++ {
		if n := b.Fields[k].Name; n.Len == name.Len && bytes.Equal(b.Bytes(n), b.Bytes(name)) {
			return true
		}
	}
	return false
}
