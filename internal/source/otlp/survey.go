package otlp

import (
	"encoding/binary"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

// survey finds the streams of a request.
type survey struct {
	source *Source
	body   *intake.Body
	found  intake.Found
	key    []byte
	plain  []byte
	err    error
}

func (v *survey) begin(s *Source, b *intake.Body) {
	*v = survey{source: s, body: b, found: v.found, key: v.key[:0], plain: v.plain[:0]}
}

// of finds the streams of a request. What its records are is not looked at.
func (v *survey) of(d *wire.Decoder, body []byte) error {
	err := d.Resources(body, v.resource)
	if err == nil {
		err = v.err
	}
	return err
}

func (v *survey) resource(r *wire.Resource) {
	if v.err != nil {
		return
	}
	own := isOwn(r)
	v.describe(r, own)
	st, err := v.source.streams.Get(v.key, func() (record.Labels, error) { return v.source.labels(r, own), nil })
	if v.err = err; err == nil {
		v.err = v.found.Add(v.source.streams, v.body, st)
	}
}

// describe writes all that the labels of a resource are made of to v.key.
func (v *survey) describe(r *wire.Resource, own bool) {
	v.key, v.plain = append(v.key[:0], 'f'), v.plain[:0] // of a foreign sender
	if own {
		v.key[0] = 'w'
	}
	for i := range r.Attributes {
		a := &r.Attributes[i]
		if _, is := v.source.label(a.Key, own); !is {
			continue
		}
		var text []byte
		text, v.plain = a.Value.Plain(v.plain)
		for _, part := range [][]byte{a.Key, text} {
			v.key = append(binary.AppendUvarint(v.key, uint64(len(part))), part...)
		}
	}
}

// release lets the streams be closed.
func (v *survey) release() {
	v.found.Release(v.source.streams)
	v.source, v.body = nil, nil
}

// counter is a visitor that has a request checked, and ends where it has too many records.
type counter struct{ left int }

// Resource implements wire.LogVisitor.
func (*counter) Resource(*wire.Resource) bool { return true }

// Scope implements wire.LogVisitor.
func (*counter) Scope(*wire.Scope) {}

// Log implements wire.LogVisitor.
func (c *counter) Log(*wire.Log) error {
	if c.left--; c.left < 0 {
		return errTooMany
	}
	return nil
}
