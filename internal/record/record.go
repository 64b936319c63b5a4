// Package record holds what flows through weir: a Record is one event of a Stream, a
// Batch is a run of consecutive records of one stream with the arena that all their
// bytes live in, the source position after the last of them, and the counts they made.
//
// Everything a record refers to is a Span of the batch's arena, so that a batch can be
// filled, changed by stages and reused without an allocation per record:
//
//	b.Reset(stream)
//	body := b.Append(line)
//	b.Records = append(b.Records, record.Record{Body: body, Start: 0, End: int64(len(line)) + 1})
//
// A batch belongs to one goroutine at a time. Spans and the slices made from them are
// valid until the batch is Reset. The package leaves out where records come from and
// where they are kept.
package record

// Level is the severity of a record. The zero value means that nothing has said it yet.
type Level uint8

// The levels, from least to most severe.
const (
	LevelUnknown Level = iota
	LevelTrace
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
	LevelFatal
)

var levelNames = [...]string{"unknown", "trace", "debug", "info", "warn", "error", "fatal"}

// String returns the level's name in lower case, as it appears in labels.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return levelNames[LevelUnknown]
}

// Flags say how a record's bytes have to be read and what happened to them.
type Flags uint8

const (
	// Escaped marks a body that is the inside of a JSON string, still escaped.
	Escaped Flags = 1 << iota
	// Partial marks a piece of a message whose rest follows in the same sub-stream.
	Partial
	// Stderr marks the second sub-stream; without it a record belongs to the first.
	Stderr
	// Cut marks a record that was longer than the limit and lost its end.
	Cut
	// Dropped marks a record that a filter took out: it is counted, but not kept.
	Dropped
	// Lost marks a record that weir wrote itself, in the place of text that was lost.
	Lost
)

// Sub returns the index of the record's sub-stream: 0, or 1 for stderr.
func (f Flags) Sub() int {
	if f&Stderr != 0 {
		return 1
	}
	return 0
}

// Span is a piece of a batch's arena. The zero Span is empty and means "absent".
type Span struct {
	Off uint32
	Len uint32
}

// Record is one event of a stream.
type Record struct {
	// Time is when the event happened, in Unix nanoseconds. Zero: the source does not say.
	Time int64
	// Start and End are the input's positions before and after the record. They are
	// opaque but ordered: of two records of one input the earlier has the smaller ones.
	Start, End int64
	// Rules has a bit for each rule of the stream's line, by the rule's place in the
	// line: set when the rule applies to this record, that is when it parsed it.
	Rules uint64
	// Body is the text without its line end, as it was read.
	Body Span
	// Weight is how many records this one stands for, since a filter has kept it as a
	// sample of them. Zero means 1.
	Weight uint32
	Level  Level
	Flags  Flags
	// Class is which of the classes of the stream's kept text the record is of, from 1 on; 0:
	// of none.
	Class uint8
}

// Delta is a change of one cell of a durable series, made by records of a batch. It
// takes effect when the batch's commit is synced, never before.
type Delta struct {
	Series uint32  // the series' durable number, from the metric registry
	Cell   uint32  // 0 for a counter; the bucket, then sum, of a histogram; perhaps with SetCell
	Add    float64 // in the series' unit
}

// Exemplar is a record that stands for those which a batch counts in a cell of a durable
// series. Like a Delta it takes effect when the batch's commit is synced; it is not stored.
type Exemplar struct {
	Series, Cell uint32 // as in Delta
	Value        float64
	Time         int64 // Unix nanoseconds
	// Labels are names and values in turn, each ended by LabelEnd.
	Labels Span
}

// LabelEnd ends a text in Exemplar.Labels. It is no part of UTF-8.
const LabelEnd = "\xff"

// SetCell, added to a Delta's Cell, says that Add is what the cell has from then on, whatever
// it had before: a gauge does not add up.
const SetCell = 1 << 30

// Target returns the cell that d changes, and whether it sets that instead of adding to it.
func (d Delta) Target() (cell uint32, set bool) { return d.Cell &^ SetCell, d.Cell&SetCell != 0 }

// Change returns what a cell of d's series has after d, if that is d's cell and had v.
func (d Delta) Change(v float64) float64 {
	if d.Cell&SetCell != 0 {
		return d.Add
	}
	return v + d.Add
}

// Position is where reading of an input resumes.
type Position struct {
	// Source is the source's own encoding of what it has open and how far it has read.
	// Empty: nothing was read yet.
	Source []byte
	// Resume is, for each sub-stream, the position (as in Record.Start) before which
	// every record is accounted for. A source that resumes reads again from the smaller
	// one and leaves out the records of a sub-stream that start before its own.
	Resume [2]int64
}

// Gap states that something of a stream was lost before weir could read it, or was left out
// by a filter that says so.
type Gap struct {
	// Bytes is how much; -1 when that cannot be known.
	Bytes int64
	// Records is how many; 0 when that cannot be known.
	Records int64
	// Reason is a short constant phrase: "truncated", "rotated away", "removed".
	Reason string
}

// Field is a name and a value that came with a record.
type Field struct {
	// Record is the record's place in the batch.
	Record int
	// Name has letters, digits and _ only; a record has each name once.
	Name Span
	// Value is plain text.
	Value Span
}

// Batch is consecutive records of one stream.
type Batch struct {
	Stream  *Stream
	Records []Record
	// First is the sequence number of the first record in its stream's kept text; zero for
	// records that are not read from there.
	First uint64
	// Arena holds the bytes of all spans. Appending to it keeps spans valid.
	Arena []byte
	// Position is what the commit of this batch makes durable. Source sets it whole,
	// with both Resume positions after the last record; a stage that holds records back
	// moves Resume to the first it holds.
	Position Position
	// Slots names the fields that the line's rules extract; Values has len(Slots) spans
	// for each record, in the order of Records.
	Slots  []string
	Values []Span
	// Fields came with records beside their text, as Loki's structured metadata does. They
	// are in the order of Records, of which nobody puts any together.
	Fields []Field
	// Deltas are the counts that the batch's records made.
	Deltas []Delta
	// Exemplars are of some of what Deltas count.
	Exemplars []Exemplar
	// Gaps are the losses that the source noticed before the batch's first record.
	Gaps []Gap
	// Held is set by a stage that keeps the start of an unfinished record. The source
	// then writes a batch without records within a second, so that it can be let go.
	Held bool
	// Refusable is set by a source whose sender can send the records again: if their text
	// cannot be kept, Write fails with flow.ErrNoRoom instead of counting them without it.
	Refusable bool
}

// Reset empties b for records of s. It keeps the memory for reuse.
func (b *Batch) Reset(s *Stream) {
	b.Stream = s
	b.Records = b.Records[:0]
	b.First = 0
	b.Arena = b.Arena[:0]
	b.Position.Source = b.Position.Source[:0]
	b.Position.Resume = [2]int64{}
	b.Slots = nil
	b.Values = b.Values[:0]
	b.Fields = b.Fields[:0]
	b.Deltas = b.Deltas[:0]
	b.Exemplars = b.Exemplars[:0]
	b.Gaps = b.Gaps[:0]
	b.Held = false
	b.Refusable = false
}

// Append copies p to the arena and returns its span.
func (b *Batch) Append(p []byte) Span {
	off := len(b.Arena)
	b.Arena = append(b.Arena, p...)
	return Span{Off: uint32(off), Len: uint32(len(p))}
}

// Bytes returns the bytes of s, valid until b is Reset or its arena grows.
func (b *Batch) Bytes(s Span) []byte {
	return b.Arena[s.Off : s.Off+s.Len : s.Off+s.Len]
}

// Row returns the field values of record i, one span a slot.
func (b *Batch) Row(i int) []Span {
	n := len(b.Slots)
	return b.Values[i*n : i*n+n : i*n+n]
}
