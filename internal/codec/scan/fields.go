package scan

import (
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Take says what a field is made of.
type Take uint8

const (
	// Until is all up to the first After, or the rest of the line if After is empty.
	Until Take = iota
	// Word is one or more characters other than white space, up to After's first character.
	Word
	// Digits is one or more digits.
	Digits
	// Quoted is all up to the next double quote.
	Quoted
	// List is one or more words with ", " or " : " between them.
	List
)

// Field is a field of a line and the text that follows it.
type Field struct {
	// Name is the field's name; a field without one is passed over.
	Name  string
	Take  Take
	After string
}

// CompileFields returns the pattern of lines that begin with before, then have fields.
// There is no going back: each field ends where it first can. What comes after the last
// field does not matter.
func CompileFields(before string, fields []Field) (*Pattern, error) {
	p := &Pattern{starts: starts{anchored: true}}
	segs := []segment{{open: -1, close: -1}}
	if before != "" {
		segs[0].lit = newLiteral([]rune(before), false)
	}
	for i, f := range fields {
		if !utf8.ValidString(before + f.After) {
			return nil, errors.New("the text between the fields is not UTF-8")
		}
		if f.After == "" && i < len(fields)-1 && f.Take == Until {
			return nil, fmt.Errorf("the fields %s and %s have nothing between them", f.Name, fields[i+1].Name)
		}
		s := segment{open: -1, close: -1}
		if f.Name != "" {
			if slices.Contains(p.names, f.Name) {
				return nil, fmt.Errorf("the field %s is there twice", f.Name)
			}
			s.open, s.close = len(p.names), len(p.names)
			p.names = append(p.names, f.Name)
		}
		s.after = len(p.names)
		s.setTake(f)
		segs = append(segs, s)
	}
	p.line = newLine(segs)
	return p, nil
}

// setTake makes s find the end of f.
func (s *segment) setTake(f Field) {
	var first []rune // of what follows
	if f.After != "" {
		after := []rune(f.After)
		s.lit, first = newLiteral(after, false), []rune{after[0], after[0]}
	}
	switch f.Take {
	case Until:
		s.take = takeRest
		if s.lit != nil {
			s.take, s.skip = takeUntil, newClass(not(first))
		}
	case Word, List:
		s.take = takeRun
		space := []rune{'\t', '\n', '\f', '\r', ' ', ' '}
		s.run = inst{op: opRun, class: newClass(not(union(space, first))), min: 1, max: -1}
		if f.Take == List {
			s.take = takeList
			s.colon, s.space = newLiteral([]rune(" : "), false), newLiteral([]rune(" "), false)
		}
	case Quoted:
		s.take = takeRun
		s.run = inst{op: opRun, class: newClass(not([]rune{'"', '"'})), max: -1}
	case Digits:
		s.take = takeRun
		s.run = inst{op: opRun, class: newClass([]rune{'0', '9'}), min: 1, max: -1}
	}
}

// CompilePattern returns the pattern of an expression in Loki's pattern syntax: text with
// fields such as <status>, or <_> for what is passed over. The line begins with the text
// before the first field; a field ends where the text after it first occurs. As in Loki,
// if that never occurs the field takes the rest of the line, the fields after it are
// absent, and the line fits all the same; so does the last field without text after it.
func CompilePattern(expr string) (*Pattern, error) {
	if !utf8.ValidString(expr) {
		return nil, errors.New("the pattern is not UTF-8")
	}
	before, fields := splitPattern([]rune(expr))
	if len(fields) == 0 {
		return nil, errors.New("name at least one field, as in <status>")
	}
	for i, f := range fields[:len(fields)-1] {
		if f.After == "" {
			return nil, fmt.Errorf("field %d of the pattern ends nowhere: put text between it and the next one", i+1)
		}
	}
	p, err := CompileFields(before, fields)
	if err != nil {
		return nil, err
	}
	if len(p.names) == 0 {
		return nil, errors.New("name at least one field, as in <status>: <_> only passes over")
	}
	for i := range p.line.segs {
		p.line.segs[i].rest = p.line.segs[i].take == takeUntil
	}
	// Loki has no match in an empty line.
	p.starts.some = true
	return p, nil
}

// splitPattern takes a Loki pattern apart.
func splitPattern(expr []rune) (before string, fields []Field) {
	var lit []rune
	flush := func() {
		if n := len(fields); n > 0 {
			fields[n-1].After = string(lit)
		} else {
			before = string(lit)
		}
		lit = nil
	}
	for len(expr) > 0 {
		n := fieldName(expr)
		if n == 0 {
			lit = append(lit, expr[0])
			expr = expr[1:]
			continue
		}
		flush()
		name := string(expr[1 : n-1])
		if name == "_" {
			name = ""
		}
		fields = append(fields, Field{Name: name})
		expr = expr[n:]
	}
	flush()
	return before, fields
}

// fieldName returns the length of the <name> at the start of s, 0 if there is none.
func fieldName(s []rune) int {
	if s[0] != '<' {
		return 0
	}
	for i, r := range s[1:] {
		switch {
		case r == '>' && i > 0:
			return i + 2
		case r != '_' && (r >= unicode.MaxASCII || !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r))):
			return 0
		}
	}
	return 0
}
