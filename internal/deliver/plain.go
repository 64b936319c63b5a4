package deliver

import (
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// Pair is a field of a record as plain text.
type Pair struct{ Name, Value []byte }

// Plain gives the texts of a batch's records without escapes. What it returns is valid until
// the next record.
type Plain struct {
	at    int // the field to look at next
	text  []byte
	pairs []Pair
}

// Begin prepares for the records of a batch, which have to be asked for in their order. Some
// may be left out.
func (p *Plain) Begin() { p.at = 0 }

// Record returns the body of record i of b, and its fields: those that rules have extracted,
// and those that came with it.
func (p *Plain) Record(b *record.Batch, i int) (body []byte, fields []Pair) {
	p.text, p.pairs = p.text[:0], p.pairs[:0]
	r := &b.Records[i]
	body = p.plain(b, r, r.Body)
	for p.at < len(b.Fields) && b.Fields[p.at].Record < i {
		p.at++
	}
	for k, name := range b.Slots {
		if span := b.Values[i*len(b.Slots)+k]; span.Len > 0 {
			from := len(p.text)
			p.text = append(p.text, name...)
			p.pairs = append(p.pairs, Pair{p.text[from:len(p.text):len(p.text)], p.plain(b, r, span)})
		}
	}
	for ; p.at < len(b.Fields) && b.Fields[p.at].Record == i; p.at++ {
		f := &b.Fields[p.at]
		if name := b.Bytes(f.Name); !extracted(b, i, name) {
			p.pairs = append(p.pairs, Pair{name, p.plain(b, r, f.Value)})
		}
	}
	return body, p.pairs
}

// plain returns a part of a record without escapes.
func (p *Plain) plain(b *record.Batch, r *record.Record, span record.Span) []byte {
	if r.Flags&record.Escaped == 0 {
		return b.Bytes(span)
	}
	from := len(p.text)
	p.text = jsontext.Unescape(p.text, b.Bytes(span))
	return p.text[from:len(p.text):len(p.text)]
}
