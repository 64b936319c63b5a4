package filter

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

// levels is a set of levels.
type levels [record.LevelFatal + 1]bool

func levelsOf(names []string) (set levels) {
	for _, name := range names {
		set[severity.FromValue([]byte(name))] = true
	}
	return set
}

// condition is a Condition ready for use.
type condition struct {
	regex    *scan.Pattern // nil: not asked for
	row      []record.Span // room for the groups of regex, which nobody asks for
	contains []byte
	// verbatim is set where contains stands in escaped text as it is.
	verbatim bool
	leveled  bool
	levels   levels
	fields   []value
	unless   *condition
}

// value is what a field has to be.
type value struct {
	slot  int  // -1: there is no such field
	level bool // the record's level instead
	exact []byte
	re    *regexp.Regexp // nil: exact
}

func compile(c Condition, slots []string) (*condition, error) {
	x := &condition{contains: []byte(c.Contains), verbatim: isVerbatim(c.Contains), leveled: len(c.Levels) > 0, levels: levelsOf(c.Levels)}
	var err error
	if c.Regex != "" {
		if x.regex, err = scan.Compile(c.Regex); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		x.row = make([]record.Span, len(x.regex.Names()))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		expr := c.Fields[name]
		v := value{slot: slices.Index(slots, name), level: name == levelField, exact: []byte(expr)}
		if regexp.QuoteMeta(expr) != expr {
			if v.re, err = regexp.Compile("^(?s:" + expr + ")$"); err != nil {
				return nil, fmt.Errorf("filter: %w", err)
			}
		}
		x.fields = append(x.fields, v)
	}
	if c.Unless != nil {
		x.unless, err = compile(*c.Unless, slots)
	}
	return x, err
}

func compileAll(all []Condition, slots []string) ([]*condition, error) {
	var compiled []*condition
	for _, c := range all {
		x, err := compile(c, slots)
		if err != nil {
			return nil, err
		}
		compiled = append(compiled, x)
	}
	return compiled, nil
}

// isVerbatim tells whether JSON leaves text as it is.
func isVerbatim(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c >= 0x7f, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// reader gives the values of records in plain form. What it returns is valid until its next
// call with another record, or of the same method.
type reader struct {
	text, value []byte // scratch
}

// holds tells whether c holds for record i.
func (c *condition) holds(rd *reader, b *record.Batch, i int) bool {
	r := &b.Records[i]
	if c.leveled && !c.levels[r.Level] {
		return false
	}
	for k := range c.fields {
		if !c.fields[k].holds(rd, b, i) {
			return false
		}
	}
	if len(c.contains) > 0 && !c.inText(rd, b, r) {
		return false
	}
	if c.regex != nil && !c.matches(rd, b, r) {
		return false
	}
	return c.unless == nil || !c.unless.holds(rd, b, i)
}

func (v *value) holds(rd *reader, b *record.Batch, i int) bool {
	if v.level {
		level := b.Records[i].Level.String()
		return v.re == nil && level == string(v.exact) || v.re != nil && v.re.MatchString(level)
	}
	text := rd.field(b, i, v.slot)
	return v.re == nil && bytes.Equal(text, v.exact) || v.re != nil && v.re.Match(text)
}

// inText tells whether the text has the piece that is asked for.
func (c *condition) inText(rd *reader, b *record.Batch, r *record.Record) bool {
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped == 0 || bytes.IndexByte(text, '\\') < 0 {
		return bytes.Contains(text, c.contains)
	}
	// What is found in escaped text may be half an escape.
	if c.verbatim && !bytes.Contains(text, c.contains) {
		return false
	}
	return bytes.Contains(rd.plain(b, r), c.contains)
}

func (c *condition) matches(rd *reader, b *record.Batch, r *record.Record) bool {
	found := c.regex.Match(c.row, b.Arena, r.Body, r.Flags&record.Escaped != 0)
	if found == scan.NeedPlain {
		plain := rd.plain(b, r)
		found = c.regex.Match(c.row, plain, record.Span{Len: uint32(len(plain))}, false)
	}
	return found == scan.Matched
}

// maxScratch is how much memory a line keeps for its next long record.
const maxScratch = 16 << 10

// plain returns the text of a record that is escaped.
func (rd *reader) plain(b *record.Batch, r *record.Record) []byte {
	if cap(rd.text) > maxScratch {
		rd.text = nil
	}
	rd.text = jsontext.Unescape(rd.text[:0], b.Bytes(r.Body))
	return rd.text
}

// field returns a field of record i; empty where there is none.
func (rd *reader) field(b *record.Batch, i, slot int) []byte {
	if slot < 0 {
		return nil
	}
	text := b.Bytes(b.Row(i)[slot])
	if b.Records[i].Flags&record.Escaped == 0 || bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	if cap(rd.value) > maxScratch {
		rd.value = nil
	}
	rd.value = jsontext.Unescape(rd.value[:0], text)
	return rd.value
}
