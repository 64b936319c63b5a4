package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"github.com/weirlog/weir/internal/codec/packed"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// A commit file is frames one after the other. Each has a header of 32 bytes, little endian:
//
//	0  magic "WEIR" and format version 1, as 8 bytes; byte 4 is 1 if all frames before are synced
//	8  generation, the same for all frames of a file's present use
//	16 sequence number in the generation; frame 0 is a snapshot, the others are commits
//	24 length of the payload
//	28 CRC-32C of bytes 0-27 and the payload, begun with the value of the frame before (0)
//
// A payload is a change: the empty state with the snapshot's change applied, then each
// commit's, is the state. What follows the last good frame is of an earlier use of the file.
// The checksums are a chain, so that such a frame is never taken for the next one, even if
// damage had a generation's number used twice.
const (
	frameHeader = 32
	frameMagic  = uint64(0x01_00_00_00_52_49_45_57) // "WEIR", 0, 0, 0, version 1
	frameSynced = uint64(1) << 32
	maxPayload  = 1 << 30

	// maxSpareSeries is for how many definitions of series a commit leaves memory to the next one.
	maxSpareSeries = 4096
)

// isFrame tells whether b begins as a frame does.
func isFrame(b []byte) bool { return binary.LittleEndian.Uint64(b)&^frameSynced == frameMagic }

// isSynced tells whether the frame at the start of b says that those before it are synced.
func isSynced(b []byte) bool { return binary.LittleEndian.Uint64(b)&frameSynced != 0 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn means that there is no whole frame where one was looked for.
var errTorn = errors.New("no whole commit here")

// change is what one frame does to the state.
type change struct {
	inputs    []inputDef
	positions []positionDef
	series    []metric.Durable // new ones, with their values before deltas; of a change that was read
	defined   []*metric.Series // the same, of one that is to be written
	deltas    []record.Delta   // one with record.SetCell is of no cell to a weir from before there was that
	states    []stateDef
	kept      []keptDef
	files     []stateDef // in a snapshot: what the files of each stream's text hold
	arena     []byte     // of what keep returns
	texts     []takenText
}

// keep returns a copy of b that lasts as long as c.
func (c *change) keep(b []byte) []byte {
	c.arena = append(c.arena, b...)
	return c.arena[len(c.arena)-len(b):]
}

// stateBytes returns how much the states of c have, their keys included.
func (c *change) stateBytes() (n int) {
	for i := range c.states {
		n += len(c.states[i].key) + len(c.states[i].value)
	}
	return n
}

// reset empties c and keeps its memory.
func (c *change) reset() {
	clear(c.states)
	*c = change{
		inputs: c.inputs[:0], positions: c.positions[:0], series: c.series[:0], defined: c.defined[:0],
		states: c.states[:0], kept: c.kept[:0], files: c.files[:0], arena: c.arena[:0], texts: c.texts[:0],
	}
	// A burst must not hold its memory for ever.
	if cap(c.arena) > maxScratch {
		c.arena = nil
	}
	if cap(c.defined) > maxSpareSeries {
		c.defined = nil
	}
}

type inputDef struct {
	number uint32
	id     string // the input's own
	stream record.Stream
}

type positionDef struct {
	input    uint32
	gone     bool // the input is forgotten
	position record.Position
}

type stateDef struct {
	key   string
	value []byte // empty: removed
}

// keptDef is what happened to the kept text of a stream, in the archive's own terms.
type keptDef struct {
	id     string
	stream *record.Stream // what it is, where that is news
	log    []byte
}

// link is a frame's place in its file.
type link struct {
	generation, sequence uint64
	before               uint32 // the checksum of the frame before; 0 for the first
	synced               bool   // the frames before it
}

// next returns the place behind frame, which is at this one.
func (at link) next(frame []byte) link {
	return link{generation: at.generation, sequence: at.sequence + 1, before: binary.LittleEndian.Uint32(frame[28:])}
}

// appendFrame appends a frame with c as its payload.
func appendFrame(dst []byte, at link, c *change) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHeader)...)
	dst = appendChange(dst, c)
	head := dst[start : start+frameHeader]
	putHead(head, at, len(dst)-start-frameHeader)
	binary.LittleEndian.PutUint32(head[28:], frameSum(at.before, dst[start:]))
	return dst
}

// putHead fills the header of a frame with so many bytes of payload, but for its checksum.
func putHead(head []byte, at link, payload int) {
	magic := frameMagic
	if at.synced {
		magic |= frameSynced
	}
	binary.LittleEndian.PutUint64(head[0:], magic)
	binary.LittleEndian.PutUint64(head[8:], at.generation)
	binary.LittleEndian.PutUint64(head[16:], at.sequence)
	binary.LittleEndian.PutUint32(head[24:], uint32(payload))
}

func frameSum(before uint32, frame []byte) uint32 {
	return crc32.Update(crc32.Update(before, castagnoli, frame[:28]), castagnoli, frame[frameHeader:])
}

// parseFrame returns the place and the payload of the frame at the start of b, which
// follows one with the checksum before. It fails with errTorn on anything that is not a
// whole, sound frame.
func parseFrame(b []byte, before uint32) (at link, payload []byte, err error) {
	if len(b) < frameHeader || !isFrame(b) {
		return link{}, nil, errTorn
	}
	n := binary.LittleEndian.Uint32(b[24:])
	if n > maxPayload || len(b) < frameHeader+int(n) {
		return link{}, nil, errTorn
	}
	b = b[:frameHeader+int(n)]
	if binary.LittleEndian.Uint32(b[28:]) != frameSum(before, b) {
		return link{}, nil, errTorn
	}
	return link{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), before, isSynced(b)}, b[frameHeader:], nil
}

func appendChange(dst []byte, c *change) []byte {
	return appendChangeIn(dst, c, func(b []byte) []byte { return b })
}

// appendChangeIn is appendChange for a change with many series or much state: spill gets what there
// is after each of them, and returns what the rest is appended to.
func appendChangeIn(dst []byte, c *change, spill func([]byte) []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.inputs)))
	for _, in := range c.inputs {
		dst = binary.AppendUvarint(dst, uint64(in.number))
		dst = appendStream(appendString(dst, in.id), &in.stream)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.positions)))
	for _, p := range c.positions {
		gone := uint64(0)
		if p.gone {
			gone = 1
		}
		dst = binary.AppendUvarint(dst, uint64(p.input)<<1|gone)
		dst = binary.AppendVarint(dst, p.position.Resume[0])
		dst = binary.AppendVarint(dst, p.position.Resume[1])
		dst = appendString(dst, p.position.Source)
	}
	dst = appendSeries(dst, c, spill)
	dst = binary.AppendUvarint(dst, uint64(len(c.deltas)))
	for _, d := range c.deltas {
		dst = binary.AppendUvarint(dst, uint64(d.Series))
		dst = binary.AppendUvarint(dst, uint64(d.Cell))
		dst = spill(appendFloat(dst, d.Add))
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.states)))
	for _, s := range c.states {
		dst = spill(appendString(appendString(dst, s.key), s.value))
	}
	return appendKept(dst, c)
}

func appendSeries(dst []byte, c *change, spill func([]byte) []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.series)+len(c.defined)))
	for _, s := range c.series {
		dst = binary.AppendUvarint(dst, uint64(s.ID))
		dst = binary.AppendVarint(dst, s.Created.UnixMilli())
		dst = appendString(dst, s.Key)
		dst = binary.AppendUvarint(dst, uint64(len(s.Cells)))
		for _, v := range s.Cells {
			dst = appendFloat(dst, v)
		}
	}
	var key []byte
	var cells []float64
	for _, s := range c.defined {
		dst = binary.AppendUvarint(dst, uint64(s.ID()))
		dst = binary.AppendVarint(dst, s.Created().UnixMilli())
		key = s.AppendKey(key[:0])
		dst = appendString(dst, key)
		cells = s.AppendCells(cells[:0])
		dst = binary.AppendUvarint(dst, uint64(len(cells)))
		for _, v := range cells {
			dst = appendFloat(dst, v)
		}
		dst = spill(dst)
	}
	return dst
}

// appendKept appends what is about kept text; commits from before there was any end here.
func appendKept(dst []byte, c *change) []byte {
	if len(c.kept)+len(c.files) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.kept)))
	for _, k := range c.kept {
		dst = appendString(dst, k.id)
		if k.stream == nil {
			dst = append(dst, 0)
		} else {
			dst = appendStream(append(dst, 1), k.stream)
		}
		dst = appendString(dst, k.log)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.files)))
	for _, s := range c.files {
		dst = appendString(appendString(dst, s.key), s.value)
	}
	return dst
}

func appendStream(dst []byte, s *record.Stream) []byte {
	dst = appendString(appendString(dst, s.ID), s.Source)
	dst = binary.AppendUvarint(dst, uint64(len(s.Labels)))
	for _, l := range s.Labels {
		dst = appendString(appendString(dst, l.Name), l.Value)
	}
	return dst
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendFloat writes small whole numbers, which nearly all counts are, in few bytes: an
// even prefix is twice the number, 1 is followed by the eight bytes of a float.
func appendFloat(dst []byte, v float64) []byte {
	if v >= 0 && v < 1<<50 && v == math.Trunc(v) && !math.Signbit(v) {
		return binary.AppendUvarint(dst, uint64(v)<<1)
	}
	dst = append(dst, 1)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

// reader takes what a change is made of.
type reader struct{ packed.Reader }

func (r *reader) uint32() uint32 { return uint32(r.Most(math.MaxUint32)) }

// parseChange decodes a payload. Strings and positions are copies; b may be reused.
func parseChange(b []byte) (*change, error) {
	r := reader{packed.Reader{Rest: b}}
	c := new(change)
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		c.inputs = append(c.inputs, inputDef{number: r.uint32(), id: r.Text(), stream: r.stream()})
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		number := r.Uvarint()
		p := positionDef{input: uint32(number >> 1), gone: number&1 != 0}
		p.position.Resume[0], p.position.Resume[1] = r.Varint(), r.Varint()
		p.position.Source = bytes.Clone(r.Bytes())
		c.positions = append(c.positions, p)
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		s := metric.Durable{ID: r.uint32(), Created: time.UnixMilli(r.Varint()), Key: r.Text()}
		for n := r.Count(); n > 0 && !r.Failed(); n-- {
			s.Cells = append(s.Cells, r.float())
		}
		c.series = append(c.series, s)
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		c.deltas = append(c.deltas, record.Delta{Series: r.uint32(), Cell: r.uint32(), Add: r.float()})
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		c.states = append(c.states, stateDef{key: r.Text(), value: bytes.Clone(r.Bytes())})
	}
	if len(r.Rest) > 0 {
		r.kept(c)
	}
	if r.Failed() || len(r.Rest) > 0 {
		return nil, errors.New("commit payload does not follow its format")
	}
	return c, nil
}

func (r *reader) stream() record.Stream {
	s := record.Stream{ID: r.Text(), Source: r.Text()}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		s.Labels = append(s.Labels, record.Label{Name: r.Text(), Value: r.Text()})
	}
	return s
}

// kept takes what is about kept text.
func (r *reader) kept(c *change) {
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		k := keptDef{id: r.Text()}
		if r.Uvarint() != 0 {
			s := r.stream()
			k.stream = &s
		}
		k.log = bytes.Clone(r.Bytes())
		c.kept = append(c.kept, k)
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		c.files = append(c.files, stateDef{key: r.Text(), value: bytes.Clone(r.Bytes())})
	}
}

func (r *reader) float() float64 {
	v := r.Uvarint()
	if v&1 == 0 {
		return float64(v >> 1)
	}
	return math.Float64frombits(r.Fixed64())
}
