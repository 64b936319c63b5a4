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
	t.pairs = v.AppendPairs(t.pairs[:0])
	pairs := t.pairs
	if cap(pairs) > maxKeptAttrs {
		t.pairs = nil
	}
	var host []byte
	for i := len(pairs) - 1; i >= 0; i-- { // it is the last one most of the time
		if p := &pairs[i]; p.Kind == pickle.Text && string(textOf(body, p.Key, p.KeyPlace)) == "hostname" {
			host = p.Value.Text()
			break
		}
	}
	if err := t.turnTo(ctx, topic, host); err != nil {
		return err
	}
	b, err := t.room(ctx, len(body))
	if err != nil {
		return err
	}
	arena, fields := len(b.Arena), len(b.Fields)
	if err := t.build.pickle(b, v, pairs, body); err != nil {
		b.Arena, b.Fields = b.Arena[:arena], b.Fields[:fields]
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
func (x *builder) pickle(b *record.Batch, v pickle.Value, pairs []pickle.Pair, body []byte) error {
	x.begin(b)
	x.base = b.Append(body).Off
	for i := range pairs {
		p := &pairs[i]
		if p.KeyKind != pickle.Text && p.KeyKind != pickle.Bytes {
			continue // no attribute of Python's has such a name
		}
		name := textOf(body, p.Key, p.KeyPlace)
		switch {
		case isLeftOut(name):
		case p.Kind == pickle.Dict && string(name) == "context":
			x.pairs = p.Value.AppendPairs(x.pairs[:0])
			for k := range x.pairs {
				p := &x.pairs[k]
				x.attr(x.place(p.Key, p.KeyPlace), x.value(p), true)
			}
			if cap(x.pairs) > maxKeptAttrs {
				x.pairs = nil
			}
		default:
			x.attr(x.place(p.Key, p.KeyPlace), x.value(p), false)
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

// textOf returns the text of a value of the pickle in body.
func textOf(body []byte, v pickle.Value, at pickle.Place) []byte {
	if at.OK {
		return body[at.Off : at.Off+at.Len]
	}
	return v.Text()
}

// value returns the value of p as a text, which is appended to the arena if it does not lie
// there. Halves of surrogate pairs, and bytes that are no UTF-8, become U+FFFD.
func (x *builder) value(p *pickle.Pair) text {
	b := x.batch
	off := len(b.Arena)
	kind := wire.Nested
	switch p.Kind {
	case pickle.None:
		return text{}
	case pickle.Text, pickle.Bytes:
		span := x.place(p.Value, p.Place)
		if plain := b.Bytes(span); !utf8.Valid(plain) {
			span = b.Append(bytes.ToValidUTF8(plain, []byte("\uFFFD")))
		}
		return text{span, wire.Text}
	case pickle.Int:
		n, _ := p.Value.Int()
		b.Arena = strconv.AppendInt(b.Arena, n, 10)
		return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, wire.Number}
	case pickle.Long, pickle.Float:
		kind = wire.Number
	case pickle.Bool:
		kind = wire.Bool
	}
	var err error
	if b.Arena, err = p.Value.AppendJSON(b.Arena, maxFieldBytes); err != nil {
		x.excess++
		return text{}
	}
	return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
}

// place returns a text as it is: most stand in the pickle, which lies in the arena.
func (x *builder) place(v pickle.Value, at pickle.Place) record.Span {
	if at.OK {
		return record.Span{Off: x.base + at.Off, Len: at.Len}
	}
	return x.batch.Append(v.Text())
}
