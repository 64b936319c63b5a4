package distlog

import (
	"bytes"
	"context"
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
		if h := &pairs[i].Value; h.Kind() == pickle.Text && string(pairs[i].Key.Text()) == "hostname" {
			host = h.Text()
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
		if k := p.Key.Kind(); k != pickle.Text && k != pickle.Bytes {
			continue // no attribute of Python's has such a name
		}
		name := p.Key.Text()
		switch {
		case isLeftOut(name):
		case p.Value.Kind() == pickle.Dict && string(name) == "context":
			for name, value := range p.Value.Pairs() {
				x.attr(x.name(name), x.value(value), true)
			}
		default:
			x.attr(x.name(p.Key), x.value(p.Value), false)
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

// value appends a value of a pickle to the arena.
func (x *builder) value(v pickle.Value) text {
	b := x.batch
	kind := wire.Nested
	switch v.Kind() {
	case pickle.None:
		return text{}
	case pickle.Text, pickle.Bytes:
		return text{x.utf8(v), wire.Text}
	case pickle.Int, pickle.Long, pickle.Float:
		kind = wire.Number
	case pickle.Bool:
		kind = wire.Bool
	}
	off := len(b.Arena)
	var err error
	if b.Arena, err = v.AppendJSON(b.Arena, maxFieldBytes); err != nil {
		x.excess++
		return text{}
	}
	return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
}

// utf8 returns a text as UTF-8. Halves of surrogate pairs, and bytes that are none, become
// U+FFFD.
func (x *builder) utf8(v pickle.Value) record.Span {
	p := v.Text()
	if !utf8.Valid(p) {
		return x.batch.Append(bytes.ToValidUTF8(p, []byte("\uFFFD")))
	}
	return x.name(v)
}

// name returns a text as it is: most stand in the pickle, which lies in the arena.
func (x *builder) name(v pickle.Value) record.Span {
	if off, n, ok := v.Place(); ok {
		return record.Span{Off: x.base + uint32(off), Len: uint32(n)}
	}
	return x.batch.Append(v.Text())
}
