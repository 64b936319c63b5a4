package archive

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/packed"
)

// The kinds of what a log holds about a stream. Each is followed by a number, or by byte
// strings with their lengths before them.
const (
	partText   = 't' // joins the tail: NDJSON
	partBlock  = 'b' // takes the tail's place: entry, filter and frame
	partDrop   = 'd' // the number of a record: those before it are gone, the tail too
	partRest   = 'r' // the number of a record and the text from there on: the tail from now on
	partMissed = 'm' // how many records were not kept that no gap record states yet
)

// part is one of the things that a log holds.
type part struct {
	kind         byte
	text         []byte
	block        block
	grams, frame []byte
	number       uint64 // of partDrop, partRest and partMissed
}

// errParts means that what a log has of a stream cannot be repeated.
var errParts = errors.New("the log does not follow its format")

// part takes the next part from r.
func (r *reader) part() (p part, err error) {
	p.kind, r.Rest = r.Rest[0], r.Rest[1:]
	switch p.kind {
	case partText:
		p.text = r.Bytes()
	case partBlock:
		entry := r.Bytes()
		p.grams, p.frame = r.Bytes(), r.Bytes()
		if p.block, _, err = parseEntry(entry); err != nil {
			return p, err
		}
	case partDrop, partMissed:
		p.number = uint64(r.offset())
	case partRest:
		p.number, p.text = uint64(r.offset()), r.Bytes()
	default:
		r.Fail()
	}
	if r.Failed() {
		return p, errParts
	}
	return p, nil
}

// eachPart calls do for what log has, up to the first part that is damaged.
func eachPart(log []byte, do func(p *part)) error {
	for r := (reader{packed.Reader{Rest: log}}); len(r.Rest) > 0; {
		p, err := r.part()
		if err != nil {
			return err
		}
		do(&p)
	}
	return nil
}

func appendRest(dst []byte, first uint64, text []byte) []byte {
	dst = appendNumber(dst, partRest, first)
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendNumber(dst []byte, kind byte, n uint64) []byte {
	return binary.AppendUvarint(append(dst, kind), n)
}

// nextOf returns the number behind the last record that the log has.
func nextOf(stored, since []byte) uint64 {
	next := uint64(1)
	if st, err := parseState(stored); err == nil {
		next = st.next
	}
	_ = eachPart(since, func(p *part) {
		switch p.kind {
		case partText:
			next += uint64(bytes.Count(p.text, []byte("\n")))
		case partBlock:
			next = p.block.end()
		case partDrop:
			next = max(next, p.number)
		case partRest:
			next = p.number + uint64(bytes.Count(p.text, []byte("\n")))
		}
	})
	return next
}

// endsTail tells whether the tail that there was at the checkpoint is in a block of the log,
// or gone: then nobody needs its file.
func endsTail(st state, since []byte) (ends bool) {
	_ = eachPart(since, func(p *part) {
		ends = ends || p.kind == partBlock || p.kind == partRest || p.kind == partDrop && p.number > st.tailFirst
	})
	return ends
}

// Replay repeats what Add, Missed, Seal and Due answered.
func (s *Stream) Replay(log []byte) error {
	s.touch()
	err := eachPart(log, func(p *part) {
		switch p.kind {
		case partText:
			s.grow(nil, kept.TextOf(p.text))
		case partBlock:
			s.replayBlock(p)
		case partDrop:
			s.replayDrop(p.number)
		case partRest:
			s.restart(p.number, p.text)
		case partMissed:
			s.missed.Store(p.number)
		}
	})
	if err != nil {
		return fmt.Errorf("replay %s: %w", s.ID(), err)
	}
	return nil
}

func (s *Stream) replayBlock(p *part) {
	frame := bytes.Clone(p.frame)
	if s.a.opts.ReadOnly {
		p.block.frame = frame
		s.blocks = append(s.blocks, p.block)
	} else {
		s.waiting = append(s.waiting, waiting{b: p.block, frame: frame, grams: bytes.Clone(p.grams)})
	}
	s.next, s.fresh = p.block.end(), false
	s.dropTail()
}

// replayDrop takes away the records before a number, whose files a crash may have brought
// back.
func (s *Stream) replayDrop(before uint64) {
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiting) bool { return w.b.end() <= before })
	if s.a.opts.ReadOnly {
		s.blocks = slices.DeleteFunc(slices.Clone(s.blocks), func(b block) bool { return b.end() <= before })
	} else {
		for len(s.segments) > 0 && s.endOf(s.segments[0]) <= before {
			s.removeOldest()
		}
	}
	if before >= s.next || s.fresh {
		s.restart(before, nil)
	}
}

// Due calls tell with what the log has to hold of streams that no text came to: tails that
// become blocks since their text would outlive its bound, or, the oldest, while all together
// are more than the node may have (as blocks they are smaller, and can be removed); text that
// is gone; and gaps.
func (a *Archive) Due(now time.Time, tell func(s *Stream, log []byte)) {
	for s := range a.owed {
		if log := s.settle(nil); len(log) > 0 {
			tell(s, log)
		}
	}
	clear(a.owed)
	all := a.All()
	if a.over > 0 {
		slices.SortFunc(all, func(s, t *Stream) int { return cmp.Compare(s.tail.since, t.tail.since) })
	}
	var due []*Stream
	for _, s := range all {
		if s.tail.Bytes == 0 {
			continue
		}
		age := a.age(s)
		if a.over > 0 || age > 0 && now.UnixMilli()-s.tail.since > (age/parts).Milliseconds() {
			due = append(due, s)
			a.over -= int64(s.tail.Bytes)
		}
	}
	for _, s := range due {
		tell(s, s.Seal(nil))
	}
}

// appendGone appends that records are gone, if that is news.
func (s *Stream) appendGone(dst []byte) []byte {
	if s.gone > 0 {
		dst = appendNumber(dst, partDrop, s.gone)
		s.gone = 0
	}
	return dst
}

// settle appends what retention decided about the stream. What of a tail no sink wants any
// more goes only here, from before text that came meanwhile.
func (s *Stream) settle(dst []byte) []byte {
	dst = s.appendGone(dst)
	if before := s.unwanted(); s.tail.Bytes > 0 && before > s.tail.First {
		dst = s.cutTail(dst, min(before, s.next))
	}
	if s.missed.Load() > 0 && !s.a.Full() {
		dst = s.Add(dst, kept.Text{})
	}
	return dst
}
