package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Position is a place in a file. Line and Column count from 1, columns in characters;
// zero means not known.
type Position struct {
	File   string
	Line   int
	Column int
}

// String returns file:line:col, or as much of it as is known.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

func (p Position) compare(q Position) int {
	return cmp.Or(strings.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// Mistake is a problem with its place.
type Mistake struct {
	Position Position
	Path     string // of the value, as in "sources.app.paths[0]"; "" for a whole file
	Message  string // what is wrong and what to do
}

// String returns the line that "weir check" prints: file:line:col: path: remedy.
func (m Mistake) String() string {
	parts := make([]string, 0, 3)
	for _, part := range [...]string{m.Position.String(), m.Path, m.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Mistakes is a list of them. It is an error when it is not empty; see Err.
type Mistakes []Mistake

// Error returns the mistakes, one a line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns ms as an error, nil when there are none.
func (ms Mistakes) Err() error {
	if len(ms) == 0 {
		return nil
	}
	return ms
}

// Sort returns ms in order of position, each mistake once. Callers that collect from
// several Decode calls use it before they print.
func (ms Mistakes) Sort() Mistakes {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(a.Position.compare(b.Position), strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(ms)
}
