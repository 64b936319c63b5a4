package distlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/record"
)

// contextName is the attribute that has a scope's attributes.
const contextName = "context"

// pickled takes a message that is a pickle.
func (t *taker) pickled(ctx context.Context, topic wire.Topic, parts [][]byte) error {
	body := parts[1]
	pairs, flat := t.decoder.Flat(t.pairs[:0], body, contextName)
	t.pairs = pairs[:0]
	var v pickle.Value
	var host []byte
	if flat {
		host = hostIn(pairs, body)
	} else {
		var err error
		if v, err = t.decoder.Decode(body); err != nil {
			t.faults.add(t, faultOf(err), body)
			return nil
		}
		if v.Kind() != pickle.Dict {
			t.faults.add(t, notDict, body)
			return nil
		}
		if h, ok := v.Get("hostname"); ok && h.Kind() == pickle.Text {
			host = h.Text()
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
	t.build.begin(b)
	t.build.base = b.Append(body).Off
	if flat {
		t.build.flat(pairs, body)
	} else {
		t.build.pickle(v)
	}
	if err := t.whole(v, body); err != nil {
		b.Arena, b.Fields = b.Arena[:arena], b.Fields[:fields]
		t.build.reset()
		t.faults.add(t, faultOf(err), body)
		return nil
	}
	t.added(parts[0], body, wirePickle)
	t.tally.pickle++
	return nil
}

// whole completes the record. Only a dictionary that is no log record is written out whole.
func (t *taker) whole(v pickle.Value, body []byte) (err error) {
	x := &t.build
	whole := record.Span{}
	if !x.isLog() {
		if v == (pickle.Value{}) { // its pairs are known, but how they were written is not
			if v, err = t.decoder.Decode(body); err != nil {
				return err
			}
		}
		b := x.batch
		off := len(b.Arena)
		if b.Arena, err = v.AppendJSON(b.Arena, maxWritten); err != nil {
			return err
		}
		whole = record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
	}
	x.end(whole)
	return nil
}

// maxWritten is how long a value is that is written out as JSON.
const maxWritten = maxLineBytes

// hostIn returns the host that pairs name.
func hostIn(pairs []pickle.Pair, body []byte) []byte {
	for i := len(pairs) - 1; i >= 0; i-- { // it is the last one most of the time
		if p := &pairs[i]; !p.Inner && string(p.Key.Of(body)) == "hostname" {
			if p.Kind == pickle.Text {
				return p.Value.Of(body)
			}
			return nil
		}
	}
	return nil
}

// flat takes the attributes of a record as pairs.
func (x *builder) flat(pairs []pickle.Pair, body []byte) {
	for i := range pairs {
		p := &pairs[i]
		s := x.shape.next(p.Key.Of(body), p.Inner)
		if s.role == leftOutRole {
			continue
		}
		if p.Kind == pickle.Text {
			x.attr(s, x.text(p.Value.Of(body), record.Span{Off: x.base + p.Value.Off, Len: p.Value.Len}))
		} else {
			x.attr(s, x.scalar(p.Kind, p.Number))
		}
	}
}

// pickle takes the attributes of a record, which are the entries of a dictionary.
func (x *builder) pickle(v pickle.Value) {
	e := v.Entries()
	for e.Next() {
		switch {
		case !isName(e.Key.Kind): // no attribute of Python's has such a name
		case e.Value.Kind == pickle.Dict && string(e.Key.Text) == contextName:
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
// does not lie there.
func (x *builder) value(e *pickle.Entries) text {
	b := x.batch
	switch v := e.Of(&e.Value); e.Value.Kind {
	case pickle.Text, pickle.Bytes:
		return x.text(e.Value.Text, x.place(&e.Value))
	case pickle.Int, pickle.Bool:
		n, _ := v.Int()
		return x.scalar(e.Value.Kind, uint64(n))
	case pickle.Float:
		f, _ := v.Float()
		return x.scalar(pickle.Float, math.Float64bits(f))
	case pickle.None:
		return text{}
	}
	kind, off := wire.Nested, len(b.Arena)
	if e.Value.Kind == pickle.Long {
		kind = wire.Number
	}
	var err error
	if b.Arena, err = e.Of(&e.Value).AppendJSON(b.Arena, maxFieldBytes); err != nil {
		x.excess++
		return text{}
	}
	return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
}

// text returns a text that lies in the arena. Halves of surrogate pairs, and bytes that are no
// UTF-8, become U+FFFD.
func (x *builder) text(t []byte, place record.Span) text {
	if !isASCII(t) && !utf8.Valid(t) {
		place = x.batch.Append(bytes.ToValidUTF8(t, []byte("\uFFFD")))
	}
	return text{place, wire.Text}
}

// scalar appends None, or a number or truth value that v has as pickle.Pair has it.
func (x *builder) scalar(k pickle.Kind, v uint64) text {
	b := x.batch
	kind, off := wire.Number, len(b.Arena)
	switch k {
	case pickle.None:
		return text{}
	case pickle.Int:
		b.Arena = strconv.AppendInt(b.Arena, int64(v), 10)
	case pickle.Float:
		b.Arena = pickle.AppendFloat(b.Arena, math.Float64frombits(v))
	case pickle.Bool:
		kind = wire.Bool
		b.Arena = strconv.AppendBool(b.Arena, v != 0)
	}
	return text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
}

// isASCII tells whether a text is ASCII, if it has eight bytes at least: false else.
func isASCII(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	w := binary.LittleEndian.Uint64(b[len(b)-8:])
	for ; len(b) > 8; b = b[8:] {
		w |= binary.LittleEndian.Uint64(b)
	}
	return w&0x8080808080808080 == 0
}

// place returns a text as it is: most stand in the pickle, which lies in the arena.
func (x *builder) place(e *pickle.Entry) record.Span {
	if e.Placed {
		return record.Span{Off: x.base + e.Off, Len: uint32(len(e.Text))}
	}
	return x.batch.Append(e.Text)
}
