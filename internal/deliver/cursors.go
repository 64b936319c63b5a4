package deliver

import (
	"encoding/binary"
	"log/slog"

	"github.com/weirlog/weir/internal/codec/packed"
)

// Cursors are how far a sink is with each stream. They are durable with the next commit.
type Cursors struct {
	state     State
	prefix    string
	streams   []string // those of earlier runs, until they were looked at
	remembers func(stream string) bool
	next      map[string]uint64 // the record after the last that was delivered, by stream
	enough    int               // with so many cursors some may be superfluous
	log       *slog.Logger
	unknown   bool // the log has it that there is one that makes no sense
}

// NewCursors returns the cursors of a sink.
func NewCursors(d Deps) *Cursors {
	return &Cursors{state: d.State, prefix: Prefix(d.Name), streams: d.Streams, remembers: d.Remembers, next: map[string]uint64{}, enough: minCursors, log: d.Log}
}

// Next returns the number of the record after the last that was delivered of a stream; ok is
// false for a stream that has no cursor.
func (c *Cursors) Next(stream string) (next uint64, ok bool) {
	if next, ok = c.next[stream]; ok {
		return next, true
	}
	stored := c.state.Load(c.prefix + stream)
	if next, ok = parseCursor(stored); ok {
		c.next[stream] = next
	} else if len(stored) > 0 && !c.unknown && c.log != nil {
		c.unknown = true
		c.log.Warn("what a stream had been sent up to cannot be read: its records are sent from where a new sink begins, perhaps again", "stream", stream, "remedy", "the data directory is of a newer weir; run that one")
	}
	return next, ok
}

// Set says that the records of a stream before next are delivered.
func (c *Cursors) Set(stream string, next uint64) {
	c.next[stream] = next
	c.state.Store(c.prefix+stream, appendCursor(nil, next))
}

// minCursors is how many streams a sink remembers at least.
const minCursors = 1024

// Forget drops the cursors of streams that are gone for good. It may be called often.
func (c *Cursors) Forget() {
	if c.remembers == nil || len(c.next)+len(c.streams) < c.enough {
		return
	}
	for _, stream := range c.streams {
		c.Next(stream)
	}
	c.streams = nil
	for stream := range c.next {
		if !c.remembers(stream) {
			delete(c.next, stream)
			c.state.Store(c.prefix+stream, nil)
		}
	}
	c.enough = len(c.next)*3/2 + minCursors // so that each look is paid by as many streams
}

// appendCursor encodes a cursor: the version, then the number.
func appendCursor(dst []byte, next uint64) []byte { return binary.AppendUvarint(append(dst, 1), next) }

func parseCursor(b []byte) (next uint64, ok bool) {
	r := packed.Reader{Rest: b}
	if r.Byte() != 1 {
		return 0, false
	}
	next = r.Uvarint()
	return next, next > 0 && len(r.Rest) == 0
}
