package pipeline

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
)

// driver finds places in the text of a block where a line may pass the filters, so that the
// lines in between need not be looked at.
type driver interface {
	// find returns the first such place from a place on, -1 if there is none.
	find(text []byte, from int) int
}

// needleDriver looks for a text.
type needleDriver struct {
	needle []byte
	finder finder
}

func newNeedleDriver(needle []byte) *needleDriver {
	return &needleDriver{needle, newFinder(needle, nil)}
}

func (d *needleDriver) find(text []byte, from int) int {
	for at := d.finder.next(text, from); at >= 0; at = d.finder.next(text, at+1) {
		if bytes.HasPrefix(text[at:], d.needle) {
			return at
		}
	}
	return -1
}

// chooseDriver takes the filter that looks for most.
func (p *Program) chooseDriver() {
	best := 0
	for i := range p.filters {
		f := &p.filters[i]
		if f.negated || len(f.terms) != 1 {
			continue
		}
		t := &f.terms[0]
		switch {
		case t.seq != nil && t.seq.anchored():
			if n := t.seq.weight(); n > best {
				best, p.driver, p.decides = n, t.seq, i
			}
		case t.isText():
			if n := len(t.needle.Escaped()); n > best {
				best, p.driver, p.decides = n, newNeedleDriver(t.needle.Escaped()), i
			}
		}
	}
	for _, c := range p.clauses {
		if len(c) != 1 || c[0].fold {
			continue
		}
		if n := len(c[0].text); n > best {
			best, p.driver, p.decides = n, newNeedleDriver(kept.EscapeNeedle(nil, []byte(c[0].text))), -1
		}
	}
}

// Skip tells which blocks need not be read, from their gram filters. It may be used
// concurrently.
type Skip struct {
	all [][]*gram.Query // one of each has to be in the block
}

// Skip returns the questions to the filters of blocks; nil if there are none.
func (p *Program) Skip() *Skip {
	s := &Skip{}
	for _, c := range p.clauses {
		var any []*gram.Query
		for _, l := range c {
			q := gram.NewQuery(kept.EscapeNeedle(nil, []byte(l.text)), l.fold)
			if q.MayContain(make([]byte, emptyFilter)) {
				any = nil // it asks for nothing
				break
			}
			any = append(any, q)
		}
		if len(any) > 0 {
			s.all = append(s.all, any)
		}
	}
	if len(s.all) == 0 {
		return nil
	}
	return s
}

// emptyFilter is the size of a filter without a bit: who passes it asks for nothing.
const emptyFilter = 32

// Excludes tells that no line of a block can pass. The function says whether the block may
// contain what a query asks for.
func (s *Skip) Excludes(mayContain func(q *gram.Query) bool) bool {
	for _, any := range s.all {
		found := false
		for _, q := range any {
			if found = mayContain(q); found {
				break
			}
		}
		if !found {
			return true
		}
	}
	return false
}
