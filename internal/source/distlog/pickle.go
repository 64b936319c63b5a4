package distlog

import (
	"bytes"
	"context"
	"strconv"
	"unicode/utf8"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/record"
)

// pickled takes a message that is a pickle.
func (t *taker) pickled(ctx context.Context, topic wire.Topic, parts [][]byte) error {
	body := parts[1]
	v, err := t.decoder.Decode(body)
	if err != nil {
		t.faults.add(t, faultOf(err), body)
		return nil
	}
	if v.Kind() != pickle.Dict {
		t.faults.add(t, notDict, body)
		return nil
	}
	var host []byte
	if h, ok := v.Get("hostname"); ok && h.Kind() == pickle.Text {
		host = h.Text()
	}
	if err := t.turnTo(ctx, topic, host); err != nil {
		return err
	}
	b, err := t.room(ctx, len(body))
	if err != nil {
		return err
	}
	arena, fields := len(b.Arena), len(b.Fields)
	if err := t.build.pickle(b, v, body); err != nil {
		b.Arena, b.Fields = b.Arena[:arena], b.Fields[:fields]
		t.build.reset()
		t.faults.add(t, faultOf(err), body)
		return nil
	}
	t.added(parts[0], body, "wire_pickle")
	t.tally.pickle++
	return nil
}

// maxWritten is how long a value is that is written out as JSON.
const maxWritten = maxLineBytes

// pickle appends a record to b. Only a dictionary that is no log record is written out whole.
func (x *builder) pickle(b *record.Batch, v pickle.Value, body []byte) error {
	x.begin(b)
	x.base = b.Append(body).Off
	e := v.Entries()
	for e.Next() {
		switch {
		case !isName(e.Key.Kind): // no attribute of Python's has such a name
		case e.Value.Kind == pickle.Dict && string(e.Key.Text) == "context":
			c := e.Of(&e.Value).Entries()
			for c.Next() {
				if isName(c.Key.Kind) {
					x.entry(&c, true)
				}
			}
		default:
			x.entry(&e, false)
		}
	}
	whole := record.Span{}
	if !x.isLog() {
		var err error
		off := len(b.Arena)
		if b.Arena, err = v.AppendJSON(b.Arena, maxWritten); err != nil {
			return err
		}
		whole = record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
	}
	x.end(whole)
	return nil
}

// entry takes one attribute. What is left out need not be written out.
func (x *builder) entry(e *pickle.Entries, context bool) {
	if s := x.shape.next(e.Key.Text, context); s.role != leftOutRole {
		x.attr(s, x.value(e))
	}
}

// isName tells whether a key of a dictionary may be the name of an attribute.
func isName(k pickle.Kind) bool { return k == pickle.Text || k == pickle.Bytes }

// value returns the value of the present entry as a text, which is appended to the arena if it
// does not lie there. Halves of surrogate pairs, and bytes that are no UTF-8, become U+FFFD.
func (x *builder) value(e *pickle.Entries) text {
	b := x.batch
	off := len(b.Arena)
	kind := wire.Nested
	switch e.Value.Kind {
	case pickle.None:
		return text{}
	case pickle.Text, pickle.Bytes:
		if !utf8.Valid(e.Value.Text) {
			return text{b.Append(bytes.ToValidUTF8(e.Value.Text, []byte("\uFFFD"))), wire.Text}
		}
		return text{x.place(&e.Value), wire.Text}
	case pickle.Int:
		n, _ := e.Of(&e.Value).Int()
		b.Arena = strconv.AppendInt(b.Arena, n, 10)
		return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, wire.Number}
	case pickle.Long, pickle.Float:
		kind = wire.Number
	case pickle.Bool:
		kind = wire.Bool
	}
	var err error
	if b.Arena, err = e.Of(&e.Value).AppendJSON(b.Arena, maxFieldBytes); err != nil {
		x.excess++
		return text{}
	}
	return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
}

// place returns a text as it is: most stand in the pickle, which lies in the arena.
func (x *builder) place(e *pickle.Entry) record.Span {
	if e.Placed {
		return record.Span{Off: x.base + e.Off, Len: uint32(len(e.Text))}
	}
	return x.batch.Append(e.Text)
}
