package pipeline

import (
	"bytes"
	"encoding/binary"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/scan"
)

// Outcome is what becomes of records that are alike: they came with the same labels, and the
// parser took the same from their lines. What the stages make of one they make of all.
type Outcome struct {
	// Note is the caller's, for what it found out about the labels of a record. As long as it
	// is nil the labels are there to be looked at; once it is set they need not be.
	Note any

	from  origin
	taken []byte
	pass  bool
}

// origin is what the outcome for a record depends on beside what was taken from its line.
type origin struct {
	tail  uint64 // the serial number of what stands behind its body, which is the stream's too
	level uint8
	match match
}

// match says what taken is.
type match uint8

const (
	notLooked match = iota + 1 // the parser does not look at the line, or there is none
	noMatch                    // the line does not fit
	matched                    // taken is the only field, or all of them with their lengths
	absent                     // the only field is not there
	undecided                  // taken is the line, whose plain text decides
)

const (
	outcomeBits = 8
	// maxOutcomes is how many outcomes are remembered.
	maxOutcomes = 1 << outcomeBits
)

// alike remembers outcomes, each in the place that its hash says.
type alike struct {
	of  []Outcome
	one Outcome // where they are not remembered
	// lines and misses count records and those that were like none before. Where these are
	// too many, remembering costs more than it saves: then off is set.
	lines, misses int
	off           bool
	fields        []byte

	// Of the stream, for records with nothing behind the body:
	bare uint64 // what stands for the serial number of their tail
	idle bool   // the parser does not look at them
}

// parsed is a first stage that takes fields by a pattern.
type parsed struct {
	scan   *scan.Pattern
	wanted []slot // those of scan
	groups []slot // the fields that have to be wanted for the stage to look at the line
}

// noteAlike finds out whether what the stages do depends on nothing but the labels that a
// record came with and a parser that comes first.
func (p *Program) noteAlike() {
	if p.unwrap != nil {
		return
	}
	for i, s := range p.stages {
		switch s := s.(type) {
		case *regexpStage:
			p.parser = &parsed{s.scan, s.wanted, s.groups}
		case *patternStage:
			p.parser = &parsed{s.scan, s.wanted, s.wanted}
		case *labelFilterStage, *dropStage, *keepStage:
			continue
		default:
			return
		}
		if i > 0 || p.parser.scan == nil {
			return
		}
	}
	p.alike = true
}

// Outcome is Process for who counts records by their labels: it returns nil if the record
// does not pass. It is valid until the next line.
func (r *Runner) Outcome() *Outcome {
	a := &r.alike
	r.held = nil
	if !r.prog.alike || a.off {
		return r.process(&a.one)
	}
	r.came = append(r.came[:0], r.levelName)
	from, idle := origin{tail: a.bare}, a.idle
	if string(r.text[r.bodyEnd:r.end]) != `"}` {
		t := r.tail(r.text[r.bodyEnd:r.end])
		if t.damaged || t.gap && r.prog.metric {
			return nil
		}
		r.gap = t.gap
		from.tail, idle = t.serial, t.idle
	}
	if r.needLevel {
		from.level = uint8(kept.LevelOf(r.text[r.start:r.end]))
	}
	var taken []byte
	taken, from.match = r.taken(idle)
	if a.of == nil {
		a.of = make([]Outcome, maxOutcomes)
	}
	a.lines++
	o := &a.of[placeOf(from, taken)]
	if o.from == from && bytes.Equal(o.taken, taken) {
		if !o.pass {
			return nil
		}
		if o.Note != nil {
			return o
		}
	}
	a.misses++
	a.off = a.lines > 8*maxOutcomes && a.misses > a.lines/4
	if len(taken) > maxTail {
		return r.process(&a.one)
	}
	o.from, o.taken = from, append(o.taken[:0], taken...)
	return r.process(o)
}

// process sends the record through the stages, and notes whether it passes.
func (r *Runner) process(o *Outcome) *Outcome {
	o.Note = nil
	if o.pass = r.Process(); !o.pass {
		return nil
	}
	return o
}

// taken returns what the parser takes from the line: a field, or several in a form that
// tells them apart. Process need not look for it again.
func (r *Runner) taken(idle bool) ([]byte, match) {
	p := r.prog.parser
	if p == nil || idle {
		return nil, notLooked
	}
	r.result = r.match(p.scan)
	switch r.held = p.scan; r.result {
	case scan.NoMatch:
		return nil, noMatch
	case scan.NeedPlain:
		return r.text[r.bodyAt:r.bodyEnd], undecided
	}
	if len(p.wanted) == 1 {
		at := r.spans[p.wanted[0].at]
		if at.Off == 0 {
			return nil, absent
		}
		return r.text[at.Off : at.Off+at.Len], matched
	}
	f := &r.alike.fields
	*f = (*f)[:0]
	for i := range p.wanted {
		at := r.spans[p.wanted[i].at]
		if at.Off == 0 {
			*f = append(*f, 0)
			continue
		}
		*f = append(appendLen(*f, int(at.Len)+1), r.text[at.Off:at.Off+at.Len]...)
	}
	return *f, matched
}

// placeOf returns the place of an outcome among those remembered.
func placeOf(from origin, taken []byte) int {
	const odd = 0x9E3779B97F4A7C15
	h := from.tail<<8 ^ uint64(from.level)<<4 ^ uint64(from.match)
	switch n := len(taken); {
	case n >= 8:
		h ^= binary.LittleEndian.Uint64(taken)*odd ^ binary.LittleEndian.Uint64(taken[n-8:])
	case n > 0:
		h ^= uint64(taken[0])<<24 | uint64(taken[n/2])<<32 | uint64(taken[n-1])<<40
	}
	return int(h * odd >> (64 - outcomeBits))
}
