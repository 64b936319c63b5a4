package join

import "regexp"

// verdict says what a line is to the record before it.
type verdict uint8

const (
	// alone is a record of one line.
	alone verdict = iota
	// begins is the first line of a record that may go on.
	begins
	// goesOn is a further line of the record that was begun.
	goesOn
	// waits is a line that is further to the record if the next that does not wait is, and
	// a record of its own if not.
	waits
)

// grouping finds the records in the lines of a sub-stream.
type grouping interface {
	// next judges the next line, by its plain text.
	next(line []byte) verdict
	// reset says that what was begun was let go.
	reset()
}

// newGrouping returns the grouping of a valid c, nil for none.
func newGrouping(c Config) grouping {
	switch {
	case c.Preset != "":
		return &traces{languages: presets[c.Preset]}
	case c.Start != "" || c.Continue != "":
		b := &borders{}
		if c.Start != "" {
			b.start = regexp.MustCompile(c.Start)
		}
		if c.Continue != "" {
			b.more = regexp.MustCompile(c.Continue)
		}
		return b
	}
	return nil
}

// borders finds records by the user's expressions; one of them may be nil.
type borders struct {
	start, more *regexp.Regexp
	begun       bool
}

func (b *borders) next(line []byte) verdict {
	v := b.judge(line)
	if v == goesOn && !b.begun {
		v = begins // its first line was before we looked
	}
	b.begun = v != alone
	return v
}

func (b *borders) judge(line []byte) verdict {
	switch {
	case b.start != nil && b.start.Match(line):
		return begins
	case b.more == nil || b.more.Match(line):
		return goesOn
	case b.start == nil:
		return begins
	}
	return alone
}

func (b *borders) reset() { b.begun = false }
