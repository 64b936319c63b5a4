package distlog

import (
	"context"
	"errors"
	"sync"
	"time"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// fault is why a message is no record.
type fault uint8

// The faults.
const (
	wrongParts fault = iota
	notUTF8
	notJSON
	notObject
	tooDeep
	tooMany
	badPickle
	pickleTooLarge
	notDict
	faultKinds
)

func (f fault) String() string {
	return [...]string{
		wrongParts: "not two parts", notUTF8: "JSON: not UTF-8", notJSON: "JSON: not well-formed", notObject: "JSON: not an object",
		tooDeep: "JSON: nested too deep", tooMany: "JSON: too many attributes",
		badPickle: "pickle: not well-formed", pickleTooLarge: "pickle: too large or too deep", notDict: "pickle: not a dictionary",
	}[f]
}

func faultOf(err error) fault {
	if p := (*pickle.Error)(nil); errors.As(err, &p) {
		switch p.Reason {
		case pickle.TooMany, pickle.TooDeep, pickle.TooLong, pickle.TooMuch, pickle.NotFinished:
			return pickleTooLarge
		}
		return badPickle
	}
	switch err {
	case wire.NotUTF8:
		return notUTF8
	case wire.NotObject:
		return notObject
	case wire.TooDeep:
		return tooDeep
	case wire.TooMany:
		return tooMany
	}
	return notJSON
}

const (
	// maxQuarantined is how much of a bad message is kept.
	maxQuarantined = 16 << 10
	// maxHeld is how much a connection holds of bad messages, before they are written.
	maxHeld = 64 << 10
)

// faults are the bad messages of a connection that are in no commit yet.
type faults struct {
	n    [faultKinds]int
	held record.Batch // what is kept of them
}

func (f *faults) some() bool { return f.n != [faultKinds]int{} }

// add notes a bad message.
func (f *faults) add(t *taker, why fault, body []byte) {
	f.n[why]++
	t.source.deps.Ledger.Bad(why.String(), body)
	kept := body[:min(len(body), maxQuarantined)]
	if len(f.held.Arena)+len(kept) > maxHeld || !t.source.bad.may(len(kept)) {
		return
	}
	b := &f.held
	r := record.Record{Time: time.Now().UnixNano(), Level: record.LevelWarn, Body: b.Append(kept)}
	if len(kept) < len(body) {
		r.Flags = record.Cut
	}
	field := func(name, value string) {
		b.Fields = append(b.Fields, record.Field{Record: len(b.Records), Name: b.Append([]byte(name)), Value: b.Append([]byte(value))})
	}
	field("reason", why.String())
	field("sender", t.peer.Name)
	b.Records = append(b.Records, r)
}

// bad counts bad messages, and keeps some of them, as a stream of its own.
type bad struct {
	source *Source
	stream record.Stream
	turn   chan struct{} // has an element while someone uses line
	line   flow.Line

	mu   sync.Mutex // guards below
	hour time.Time  // when the present one began
	left int        // bytes that may be kept in it
}

func newBad(s *Source) *bad {
	labels := map[string]string{"log": "quarantine"}
	for name, value := range s.cfg.Labels {
		labels[name] = value
	}
	return &bad{source: s, stream: newStream(s.deps.Name, labels), turn: make(chan struct{}, 1)}
}

// may tells whether so many bytes more can be kept in this hour, and takes them.
func (b *bad) may(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.hour) >= time.Hour || now.Before(b.hour) {
		b.hour, b.left = now, int(b.source.cfg.Quarantine)
	}
	if n > b.left || b.source.cfg.Quarantine == 0 {
		return false
	}
	b.left -= n
	return true
}

// write writes the bad messages of a connection.
func (b *bad) write(ctx context.Context, t *taker) error {
	f := &t.faults
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.turn }()
	batch := &f.held
	batch.Stream = &b.stream
	for why, n := range f.n {
		if n > 0 {
			id := b.source.counts.bad.Series(b.source.counts.source, fault(why).String()).ID()
			batch.Deltas = append(batch.Deltas, record.Delta{Series: id, Add: float64(n)})
		}
	}
	err := b.line.Write(ctx, batch)
	*f = faults{} // bad messages are rare, so no memory is kept for them
	return err
}
