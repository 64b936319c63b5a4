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
	if !flat {
		return t.machined(ctx, topic, parts)
	}
	b, err := t.batchOf(ctx, topic, hostIn(pairs, body), len(body))
	if err != nil {
		return err
	}
	arena := len(b.Arena)
	t.start(b, body)
	t.build.flat(pairs, body)
	t.finish(&t.decoder, pickle.Value{}, arena, parts)
	return nil
}

// machined takes a pickle that needs the machine. A connection has one of its own, for short
// ones. What the others need is much more than they have themselves, so there are few machines
// for them. Who has one of these waits for no batch: those who have all batches may wait for it.
func (t *taker) machined(ctx context.Context, topic wire.Topic, parts [][]byte) error {
	body, d := parts[1], &t.decoder
	own := len(body) <= maxOwn
	if !own {
		if _, err := t.room(ctx, len(body)); err != nil {
			return err
		}
		select {
		case d = <-t.source.machines:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer t.done(d)
	}
	v, host, ok := t.opened(d, body)
	if !ok {
		return nil
	}
	if err := t.turnTo(ctx, topic, host); err != nil {
		return err
	}
	if own {
		if _, err := t.room(ctx, len(body)); err != nil {
			return err
		}
	}
	arena := len(t.batch.Arena)
	t.start(t.batch, body)
	t.build.pickle(v)
	t.finish(d, v, arena, parts)
	return nil
}

// opened reads a pickle that is to be a dictionary, and the host that it names.
func (t *taker) opened(d *pickle.Decoder, body []byte) (v pickle.Value, host []byte, ok bool) {
	v, err := d.Decode(body)
	switch {
	case err != nil:
		t.faults.add(t, faultOf(err), body)
		return v, nil, false
	case v.Kind() != pickle.Dict:
		t.faults.add(t, notDict, body)
		return v, nil, false
	}
	if h, ok := v.Get("hostname"); ok && h.Kind() == pickle.Text {
		host = h.Text()
	}
	return v, host, true
}

const (
	// maxOwn is how long a pickle is that a connection reads with the machine of its own.
	maxOwn = 4 << 10
	// machines is how many there are for longer ones.
	machines = 2
)

func newMachines() chan *pickle.Decoder {
	free := make(chan *pickle.Decoder, machines)
	for range machines {
		free <- new(pickle.Decoder)
	}
	return free
}

// done gives a machine back.
func (t *taker) done(d *pickle.Decoder) {
	d.Release()
	t.source.machines <- d
}

// batchOf returns the batch for a record of a host.
func (t *taker) batchOf(ctx context.Context, topic wire.Topic, host []byte, size int) (*record.Batch, error) {
	if err := t.turnTo(ctx, topic, host); err != nil {
		return nil, err
	}
	return t.room(ctx, size)
}

// start begins a record of a pickle, which lies in the arena from then on.
func (t *taker) start(b *record.Batch, body []byte) {
	t.build.begin(b)
	t.build.base = b.Append(body).Off
}

// finish completes the record, or takes it back if it cannot be.
func (t *taker) finish(d *pickle.Decoder, v pickle.Value, arena int, parts [][]byte) {
	x, body := &t.build, parts[1]
	if err := x.whole(d, v, body); err != nil {
		b := x.batch
		b.Arena, b.Fields = b.Arena[:arena], b.Fields[:x.first]
		x.reset()
		x.excess = 0
		t.faults.add(t, faultOf(err), body)
		return
	}
	t.added(parts[0], body, wirePickle)
	t.tally.pickle++
}

// whole completes the record. Only a dictionary that is no log record is written out whole.
func (x *builder) whole(d *pickle.Decoder, v pickle.Value, body []byte) (err error) {
	whole := record.Span{}
	if x.attrs > maxAttrs {
		return &pickle.Error{Offset: len(body), Reason: pickle.TooMany}
	}
	if !x.isLog() {
		if v == (pickle.Value{}) { // its pairs are known, but how they were written is not
			if v, err = d.Decode(body); err != nil {
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

// flat takes the attributes of a record as pairs. What there is no room for is taken off the
// arena again.
func (x *builder) flat(pairs []pickle.Pair, body []byte) {
	for i := range pairs {
		p := &pairs[i]
		s := x.shape.next(p.Key.Of(body), p.Inner)
		if s.role == leftOutRole {
			continue
		}
		off := len(x.batch.Arena)
		var v text
		var ok bool
		if p.Kind == pickle.Text {
			v, ok = x.text(s, p.Value.Of(body), record.Span{Off: x.base + p.Value.Off, Len: p.Value.Len})
		} else {
			v, ok = x.scalar(s, p.Kind, p.Number)
		}
		if ok = ok && x.attr(s, v); !ok {
			x.takeBack(s, off)
		}
	}
}

// takeBack takes off the arena what an attribute has put there that the record has no room for.
func (x *builder) takeBack(s *slot, off int) {
	x.batch.Arena = x.batch.Arena[:off]
	s.said = -1
}

// maxAttrs is how many attributes a record in a pickle may have, those of its contexts
// included: a dictionary can be the context again and again.
const maxAttrs = 4096

// pickle takes the attributes of a record, which are the entries of a dictionary. It ends at
// one too many.
func (x *builder) pickle(v pickle.Value) {
	e := v.Entries()
	for x.attrs <= maxAttrs && e.Next() {
		x.attrs++
		switch {
		case !isName(e.Key.Kind): // no attribute of Python's has such a name
		case e.Value.Kind == pickle.Dict && string(e.Key.Text) == contextName:
			c := e.Of(&e.Value).Entries()
			for x.attrs <= maxAttrs && c.Next() {
				if x.attrs++; isName(c.Key.Kind) {
					x.entry(&c, true)
				}
			}
		default:
			x.entry(&e, false)
		}
	}
}

// entry takes one attribute, as flat does. What is left out need not be written out.
func (x *builder) entry(e *pickle.Entries, context bool) {
	if s := x.shape.next(e.Key.Text, context); s.role != leftOutRole {
		off := len(x.batch.Arena)
		v, ok := x.value(s, e)
		if ok = ok && x.attr(s, v); !ok {
			x.takeBack(s, off)
		}
	}
}

// maxLooked is how many bytes of values are looked at of a record, more than it can have: a
// name can come again and again, and each long text with it.
const maxLooked = 5 * maxLineBytes

// allows tells whether a record may have n bytes more for the value of an attribute, and
// counts what it leaves out.
func (x *builder) allows(s *slot, n int) bool {
	if x.spare -= n; x.spare >= 0 && (s.role < pathnameRole || s.long+n <= x.left && x.hasRoom(s)) {
		return true
	}
	x.refuse(s, n)
	return false
}

// refuse counts a value for which there is no room. It was not looked at.
func (x *builder) refuse(s *slot, n int) {
	x.spare += n
	x.excess++
	if s.role >= pathnameRole {
		x.left -= s.long + n
	}
}

// isName tells whether a key of a dictionary may be the name of an attribute.
func isName(k pickle.Kind) bool { return k == pickle.Text || k == pickle.Bytes }

// value returns the value of the present entry as a text, which is appended to the arena if it
// does not lie there. It returns false if the record has no room for it.
func (x *builder) value(s *slot, e *pickle.Entries) (v text, ok bool) {
	b := x.batch
	switch v := e.Of(&e.Value); e.Value.Kind {
	case pickle.Text, pickle.Bytes:
		place := record.Span{} // not in the pickle
		if e.Value.Placed {
			place = record.Span{Off: x.base + e.Value.Off, Len: uint32(len(e.Value.Text))}
		}
		return x.text(s, e.Value.Text, place)
	case pickle.Int, pickle.Bool:
		n, _ := v.Int()
		return x.scalar(s, e.Value.Kind, uint64(n))
	case pickle.Float:
		f, _ := v.Float()
		return x.scalar(s, pickle.Float, math.Float64bits(f))
	case pickle.None:
		return text{}, true
	}
	if !x.allows(s, 0) {
		return text{}, false
	}
	kind, off := wire.Nested, len(b.Arena)
	if e.Value.Kind == pickle.Long {
		kind = wire.Number
	}
	var err error
	if b.Arena, err = e.Of(&e.Value).AppendJSON(b.Arena, maxFieldBytes); err != nil {
		x.excess++
		return text{}, false
	}
	v = text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
	return v, x.allows(s, len(b.Arena)-off)
}

// text returns a text that lies in the arena, and is at place if that has a length. Halves of
// surrogate pairs, and bytes that are no UTF-8, become U+FFFD. It is looked at only if the
// record has room for it. What is cut later is cut here already.
func (x *builder) text(s *slot, t []byte, place record.Span) (v text, ok bool) {
	if s.role < pathnameRole && len(t) > maxLineBytes+utf8.UTFMax {
		t = t[:beyond(t)]
		place.Len = min(place.Len, uint32(len(t)))
	}
	switch {
	case !x.allows(s, len(t)):
		return text{}, false
	case !isASCII(t) && !utf8.Valid(t):
		place = x.batch.Append(bytes.ToValidUTF8(t, []byte("\uFFFD")))
	case place.Len == 0:
		place = x.batch.Append(t)
	}
	return text{place, wire.Text}, true
}

// beyond returns how much of a text is more than is kept, by a letter.
func beyond(t []byte) int {
	n := maxLineBytes + utf8.UTFMax
	for n > maxLineBytes+1 && !utf8.RuneStart(t[n]) {
		n--
	}
	return n
}

// scalar appends None, or a number or truth value that v has as pickle.Pair has it.
func (x *builder) scalar(s *slot, k pickle.Kind, v uint64) (t text, ok bool) {
	b := x.batch
	if k == pickle.Int && s.said == x.shape.turn && s.number == v {
		return text{s.digits, wire.Number}, x.allows(s, int(s.digits.Len))
	}
	kind, off := wire.Number, len(b.Arena)
	switch k {
	case pickle.None:
		return text{}, true
	case pickle.Int:
		b.Arena = strconv.AppendInt(b.Arena, int64(v), 10)
		s.said, s.number, s.digits = x.shape.turn, v, record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
	case pickle.Float:
		f := math.Float64frombits(v)
		if s.role == createdRole {
			if ns, ok := clock(f); ok {
				return at(ns), true
			}
		}
		b.Arena = pickle.AppendFloat(b.Arena, f)
	case pickle.Bool:
		kind = wire.Bool
		b.Arena = strconv.AppendBool(b.Arena, v != 0)
	}
	t = text{record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, kind}
	return t, x.allows(s, len(b.Arena)-off)
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
