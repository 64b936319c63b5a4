// Package lokipush reads what Loki's clients push: the protobuf that Promtail, Alloy,
// Vector and the Docker driver send (logproto.PushRequest, after snappy), and JSON, in the
// form of /loki/api/v1/push and in that of /api/prom/push before it.
//
//	var d lokipush.Decoder
//	err := d.Visit(lokipush.Protobuf, body, visitor)
//
// A visitor gets the streams and their entries in the order of the body; nothing is built
// for an entry, whose bytes are parts of the body or of memory that the next one reuses. A
// body that is damaged in its middle has been visited up to there: whoever wants all of it
// or nothing visits it first with a visitor that refuses every stream.
//
// A Decoder serves one goroutine at a time. The package leaves out compression, and what a
// record's time or text may be.
package lokipush

import (
	"fmt"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// Format is the form of a body.
type Format uint8

const (
	// Protobuf is logproto.PushRequest, unpacked.
	Protobuf Format = iota
	// JSON may have the keys of either path.
	JSON
)

const (
	// MaxMetadata is how many pairs of one entry are read.
	MaxMetadata = 128
	// maxDepth is how deep a part of JSON that is passed over may nest.
	maxDepth = 100
)

// Pair is one name and value of an entry's structured metadata.
type Pair struct{ Name, Value []byte }

// Entry is one record of a stream. Its bytes are valid until Visitor.Entry returns.
type Entry struct {
	// Time is in Unix nanoseconds, moved to what an int64 can hold; zero where the sender
	// says nothing.
	Time int64
	// Line is plain text. It may have bytes that are not UTF-8.
	Line []byte
	// Metadata is what the sender says about the entry; a name may come twice.
	Metadata []Pair
	// Excess is how many pairs there were beyond MaxMetadata.
	Excess int
}

// Labels are those of a stream, as they were written. Senders repeat them, so the same
// bytes need to be parsed only once.
type Labels struct {
	// Text is {name="value"}, or, if JSON is set, {"name":"value"}.
	Text []byte
	JSON bool
}

// Visitor gets what a body holds.
type Visitor interface {
	// Stream begins a stream, with labels that are valid until it returns. With false its
	// entries are checked but not given.
	Stream(l Labels) bool
	// Entry is one of the stream that began last. Its error ends the visit.
	Entry(e *Entry) error
}

// A SyntaxError says where a body, or the text of labels, stops making sense.
type SyntaxError struct {
	// Offset is in bytes, from the beginning of the unpacked body or of the labels.
	Offset int
	// Path is the part of the body, as in streams[0].values[17]; empty for labels.
	Path string
	// Message says what was wrong or wanted there.
	Message string
}

// Error returns the message with the place.
func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("at byte %d: %s", e.Offset, e.Message)
	}
	return fmt.Sprintf("at byte %d, in %s: %s", e.Offset, e.Path, e.Message)
}

// Decoder reads bodies. The zero value is ready. It keeps memory for the next one.
type Decoder struct {
	entry Entry
	plain []byte // text without escapes, of the present entry
	text  []byte // of the present stream's labels
}

// maxScratch is how much memory a Decoder keeps for the next body.
const maxScratch = 64 << 10

// Visit gives v what body holds. Its error is a *SyntaxError, or what v returned.
func (d *Decoder) Visit(f Format, body []byte, v Visitor) error {
	defer d.trim()
	if f == JSON {
		p := jsonParser{Scanner: jsontext.Scanner{Text: body}, d: d, v: v, stream: -1, item: -1}
		return p.request()
	}
	p := protoParser{d: d, v: v, body: body, stream: -1, item: -1}
	return p.request()
}

// trim lets go of memory that an unusual body needed, and of the body itself.
func (d *Decoder) trim() {
	metadata := d.entry.Metadata[:0]
	clear(metadata[:cap(metadata)])
	d.entry = Entry{Metadata: metadata}
	if cap(d.plain) > maxScratch {
		d.plain = nil
	}
	if cap(d.text) > maxScratch {
		d.text = nil
	}
}

// begin empties the entry for the next one.
func (d *Decoder) begin() *Entry {
	d.entry = Entry{Metadata: d.entry.Metadata[:0]}
	d.plain = d.plain[:0]
	return &d.entry
}

// add appends a pair, or counts it if there are too many.
func (e *Entry) add(name, value []byte) {
	if len(e.Metadata) == MaxMetadata {
		e.Excess++
		return
	}
	e.Metadata = append(e.Metadata, Pair{name, value})
}

// Parse returns the labels, sorted, without those whose value is empty. Its error is a
// *SyntaxError.
func (l Labels) Parse() (record.Labels, error) {
	if len(l.Text) > MaxLabelBytes {
		return nil, &SyntaxError{Offset: MaxLabelBytes, Message: fmt.Sprintf("labels of %d bytes, at most %d are taken", len(l.Text), MaxLabelBytes)}
	}
	p := labelParser{Scanner: jsontext.Scanner{Text: l.Text}}
	if l.JSON {
		p.object()
	} else {
		p.selector()
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.finish()
}
