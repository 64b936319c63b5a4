package pipeline

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// tail is what stands behind the body of a line, read once for all lines of a stream that
// end alike: stored fields have few values as a rule.
type tail struct {
	era     int    // that of tails when it was read
	text    []byte // what it was read from; its values are parts of it, or of plain
	plain   []byte
	damaged bool
	gap     bool
	idle    bool     // the parser that comes first does not look at the line
	serial  uint64   // no other that was read has it
	came    []string // the names of the labels that it brings, needed or not
	labels  []label  // those that are needed
}

// tails remembers a bounded number of tails, each in the place that its hash says.
type tails struct {
	seed maphash.Seed
	of   []tail
	// era changes with the names of labels: what was read before does not count any more.
	era int
	// ends are some of them by the last bytes of lines, for finding them before it is known
	// where a body ends.
	ends   [maxEnds]*tail
	serial uint64 // that of the last one read
}

const (
	maxTails = 256 // a power of two
	endBits  = 6
	maxEnds  = 1 << endBits
	// maxTail is how long a tail is remembered at most.
	maxTail = 512
)

// tail returns what a tail says. It is valid until the next line.
func (r *Runner) tail(text []byte) *tail {
	if r.known != nil {
		return r.known
	}
	c := &r.tails
	if c.of == nil {
		c.seed, c.of = maphash.MakeSeed(), make([]tail, maxTails+1)
	}
	if len(text) > maxTail {
		// The place behind the others is for one line only.
		t := &c.of[maxTails]
		r.read(t, text)
		return t
	}
	t := &c.of[maphash.Bytes(c.seed, text)&(maxTails-1)]
	if t.era != c.era || !bytes.Equal(t.text, text) {
		r.read(t, text)
		t.era = c.era
	}
	if end := c.end(text); end != nil && !t.damaged && kept.IsTail(t.text) {
		*end = t
	}
	return t
}

// end returns the place of what ends with text in ends; nil if that is too short.
func (c *tails) end(text []byte) **tail {
	const odd, last = 0x9E3779B97F4A7C15, len(`"}}`) // which all of them have
	if len(text) < 8+last {
		return nil
	}
	return &c.ends[binary.LittleEndian.Uint64(text[len(text)-8-last:])*odd>>(64-endBits)]
}

// body finds the body of a line, behind which there is mostly what others have there.
func (r *Runner) body(line []byte) (from, to int) {
	r.known = nil
	if end := r.tails.end(line); end != nil {
		if t := *end; t != nil && t.era == r.tails.era {
			if from, to, ok := kept.BodyBefore(line, t.text); ok {
				r.known = t
				return from, to
			}
		}
	}
	return kept.BodyAt(line)
}

// read sets t to what a tail says.
func (r *Runner) read(t *tail, text []byte) {
	t.text = append(t.text[:0], text...)
	t.came, t.labels, t.plain = t.came[:0], t.labels[:0], t.plain[:0]
	r.tails.serial++
	t.serial = r.tails.serial
	l, err := kept.Rest(t.text, 0)
	if t.damaged = err != nil; t.damaged {
		return
	}
	if l.Flags&record.Stderr != 0 {
		r.bring(t, r.stream, []byte(stderrValue))
	}
	if t.gap = len(l.Gap) > 0; t.gap {
		r.bring(t, r.gapName, l.Gap)
	}
	for name, value := range l.Fields() {
		label, ok := r.fieldName[string(name)]
		if !ok {
			label = r.metaName(syntax.SanitizeName(string(kept.Unescape(nil, name))))
			r.fieldName[string(name)] = label
		}
		if label != "" && !syntax.IsErrorLabel(label) {
			r.bring(t, label, value)
		}
	}
	t.idle = r.prog.parser != nil && !r.wants(r.prog.parser.groups, t.came)
}

// bring adds a label that records come with, unless there is one of that name. The value is
// in canonical escaping.
func (r *Runner) bring(t *tail, name string, value []byte) {
	if r.cameWith(name) {
		return
	}
	for _, n := range t.came {
		if n == name {
			return
		}
	}
	t.came = append(t.came, name)
	if !r.prog.need.has(name) {
		return
	}
	if bytes.IndexByte(value, '\\') >= 0 {
		from := len(t.plain)
		t.plain = kept.Unescape(t.plain, value)
		value = t.plain[from:len(t.plain):len(t.plain)]
	}
	t.labels = append(t.labels, label{name, value, OfMetadata})
}
