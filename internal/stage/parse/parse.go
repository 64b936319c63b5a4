// Package parse takes fields from records: it runs the parsers of a line's rules, puts
// what they find into the batch's slots, and marks which rules apply to which record.
//
//	p, err := parse.New(cfg, []string{"status"})
//	stage, slots := parse.Stage([]parse.Rule{{Name: "nginx", Parser: p}})
//
// Text that is still JSON-escaped is parsed as it is where the parser can; else the record
// is unescaped once, for all rules. A stage belongs to one line.
package parse

import (
	"bytes"
	"context"
	"slices"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// MaxRules is how many rules may apply to one line: a bit each in Record.Rules.
const MaxRules = 64

// Rule is one rule of a line.
type Rule struct {
	// Parser is nil for a rule that applies to every record.
	Parser *Parser
	// Matched and Unmatched are durable series that count records.
	Matched, Unmatched uint32
	// Samples keeps a few of the unmatched; it may be nil.
	Samples *Samples
}

// Stage returns the stage of rules, in their order, and the names of the slots it fills.
// Where two rules extract a field of one name, the later one that matches overrides.
func Stage(rules []Rule) (flow.Stage, []string) {
	if len(rules) > MaxRules {
		panic("parse: more than 64 rules on a line")
	}
	var slots []string
	lanes := make([]lane, len(rules))
	for i, r := range rules {
		l := lane{Rule: r, bit: uint64(1) << i}
		if r.Parser != nil {
			for _, name := range r.Parser.Names() {
				at := slices.Index(slots, name)
				if at < 0 {
					at = len(slots)
					slots = append(slots, name)
				}
				l.slots = append(l.slots, at)
			}
			l.row = make([]record.Span, len(l.slots))
		}
		lanes[i] = l
	}
	direct := 0
	for i := range lanes {
		if lanes[i].Parser != nil {
			direct++
		}
	}
	for i := range lanes {
		lanes[i].direct = direct == 1 && len(lanes[i].slots) == len(slots)
	}
	s := &stage{lanes: lanes, slots: slots}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			s.parse(b)
			return next.Write(ctx, b)
		})
	}, slots
}

type stage struct {
	lanes []lane
	slots []string
	plain []byte // scratch
}

// lane is a rule's place in a line.
type lane struct {
	Rule
	bit                uint64
	slots              []int         // for each of the parser's fields
	row                []record.Span // scratch
	direct             bool          // the parser may write the batch's row itself: it is the only one
	matched, unmatched int
	came               int // the first field that came with the present record or a later one
}

func (s *stage) parse(b *record.Batch) {
	b.Slots = s.slots
	width := len(s.slots)
	b.Values = slices.Grow(b.Values[:0], width*len(b.Records))[:width*len(b.Records)]
	clear(b.Values)
	for i := range s.lanes {
		l := &s.lanes[i]
		if l.Parser == nil {
			for k := range b.Records {
				b.Records[k].Rules |= l.bit
			}
			l.matched = len(b.Records)
		} else {
			s.run(l, b, width)
		}
		if l.matched > 0 {
			b.Deltas = append(b.Deltas, record.Delta{Series: l.Matched, Add: float64(l.matched)})
		}
		if l.unmatched > 0 {
			b.Deltas = append(b.Deltas, record.Delta{Series: l.Unmatched, Add: float64(l.unmatched)})
		}
		l.matched, l.unmatched = 0, 0
	}
}

func (s *stage) run(l *lane, b *record.Batch, width int) {
	l.came = 0
	for i := range b.Records {
		row := l.row
		if l.direct {
			row = b.Values[i*width : i*width+width]
		}
		if !s.match(l, b, i, row) {
			clear(row)
			l.unmatched++
			if l.Samples != nil && l.Samples.wants() {
				l.Samples.add(s.text(b, i))
			}
			continue
		}
		l.matched++
		b.Records[i].Rules |= l.bit
		if l.direct {
			continue
		}
		for k, v := range row {
			if v != (record.Span{}) {
				b.Values[i*width+l.slots[k]] = v
			}
		}
	}
}

func (s *stage) match(l *lane, b *record.Batch, i int, row []record.Span) bool {
	r := &b.Records[i]
	if l.Parser.text != nil {
		switch l.Parser.text.Match(row, b.Arena, r.Body, r.Flags&record.Escaped != 0) {
		case scan.Matched:
			return true
		case scan.NoMatch:
			return false
		}
		s.unescape(b, i)
		return l.Parser.text.Match(row, b.Arena, r.Body, false) == scan.Matched
	}
	if r.Flags&record.Escaped != 0 {
		s.unescape(b, i)
	}
	clear(row)
	if l.Parser.came {
		return l.take(b, i, row)
	}
	return l.Parser.plain.Match(b, r.Body, row)
}

// take takes the fields that came with record i; it returns false if there are none.
func (l *lane) take(b *record.Batch, i int, row []record.Span) bool {
	all := b.Fields
	for l.came < len(all) && all[l.came].Record < i {
		l.came++
	}
	first := l.came
	for ; l.came < len(all) && all[l.came].Record == i; l.came++ {
		name := b.Bytes(all[l.came].Name)
		for k, wanted := range l.Parser.names {
			if string(name) == wanted {
				row[k] = all[l.came].Value
			}
		}
	}
	return l.came > first
}

// unescape turns record i into plain text: its body and the fields it already has.
func (s *stage) unescape(b *record.Batch, i int) {
	r := &b.Records[i]
	r.Body = s.plainSpan(b, r.Body)
	row := b.Row(i)
	for k, v := range row {
		if v.Len > 0 && bytes.IndexByte(b.Bytes(v), '\\') >= 0 {
			row[k] = s.plainSpan(b, v)
		}
	}
	r.Flags &^= record.Escaped
}

func (s *stage) plainSpan(b *record.Batch, v record.Span) record.Span {
	s.plain = dockerjson.Unescape(s.plain[:0], b.Bytes(v))
	return b.Append(s.plain)
}

// text returns the plain text of record i, valid until the next call.
func (s *stage) text(b *record.Batch, i int) []byte {
	r := &b.Records[i]
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		s.plain = dockerjson.Unescape(s.plain[:0], text)
		return s.plain
	}
	return text
}
