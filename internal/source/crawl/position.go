package crawl

import (
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/weirlog/weir/internal/codec/packed"
)

// kind is what a position's cursor is.
type kind byte

// The kinds of cursors. They are stored, so they must not change.
const (
	timeKind kind = iota + 1
	idKind
	tokenKind
	execKind
)

// position is how far a stream is: what its commits hold.
type position struct {
	kind kind
	// count is how many records were taken, the stream's logical position.
	count int64
	// since is the time that records are taken from, and high that of the latest one that was
	// taken; both in Unix nanoseconds, and of the kind time. Of the kinds id and token, since is
	// where the first run begins until that is through, then 0; high counts the runs.
	since, high int64
	// cursor is the id, token, or JSON of a program, of the other kinds; see asked for this one.
	cursor []byte
	// seen are the ids of records that a server may send again.
	seen seen
}

// positionVersion begins an encoded position.
const positionVersion = 1

// maxCursor is how long a cursor may be that a server or a program gives.
const maxCursor = 64 << 10

var (
	errPosition = errors.New("the cursor is damaged")
	errNewer    = errors.New("the cursor was written by a newer weir")
)

// named returns the cursor that a server gave, "" if that is none.
func (p *position) named() string {
	if p.kind == timeKind {
		return ""
	}
	return string(p.cursor)
}

// appendTo appends the encoded position.
func (p *position) appendTo(dst []byte) []byte {
	dst = append(dst, positionVersion, byte(p.kind))
	for _, v := range [...]int64{p.count, p.since, p.high} {
		dst = binary.AppendVarint(dst, v)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.cursor)))
	dst = append(dst, p.cursor...)
	dst = binary.AppendUvarint(dst, p.seen.generation)
	dst = binary.AppendUvarint(dst, uint64(p.seen.aside))
	return appendIDs(dst, p.seen.rest())
}

// chunkName returns the name of a chunk of ids that were laid aside.
func chunkName(generation uint64, chunk int) string {
	return strconv.FormatUint(generation, 10) + "/" + strconv.Itoa(chunk)
}

// decodePosition is the reverse of appendTo. Chunks of ids are loaded by their names; without
// load they are left out.
func decodePosition(b []byte, load func(name string) []byte) (position, error) {
	r := packed.Reader{Rest: b}
	var p position
	switch version := r.Byte(); {
	case version > positionVersion:
		return p, errNewer
	case version < positionVersion:
		return p, errPosition
	}
	p.kind = kind(r.Byte())
	p.count, p.since, p.high = r.Varint(), r.Varint(), r.Varint()
	p.cursor = append(p.cursor, r.Bytes()...)
	p.seen.generation = r.Uvarint()
	p.seen.aside = int(r.Most(maxSeen / chunkIDs))
	for i := range p.seen.aside {
		if load == nil {
			break
		}
		chunk := packed.Reader{Rest: load(chunkName(p.seen.generation, i))}
		if p.seen.read(&chunk); chunk.Failed() || p.seen.len() != (i+1)*chunkIDs {
			return position{}, errPosition
		}
	}
	p.seen.read(&r)
	if r.Failed() || len(r.Rest) > 0 || p.count < 0 || len(p.cursor) > maxCursor || p.kind < timeKind || p.kind > execKind {
		return position{}, errPosition
	}
	return p, nil
}
