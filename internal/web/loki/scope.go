package loki

import (
	"context"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// Scope is what a request for anything but lines and numbers is about.
type Scope struct {
	// Matchers may be none, which is all streams.
	Matchers []syntax.Matcher
	// Start and End are the time [Start, End) in which a stream must have text.
	Start, End time.Time
}

// Index lists what there is.
type Index interface {
	// Labels returns the names of labels, sorted.
	Labels(ctx context.Context, s Scope) ([]string, error)
	// Values returns the values of a label, sorted.
	Values(ctx context.Context, s Scope, name string) ([]string, error)
	// Series returns the labels of streams, sorted.
	Series(ctx context.Context, s Scope) ([]record.Labels, error)
}

// Survey tells how much there is, and of what.
type Survey interface {
	// Stats returns how many streams, blocks, bytes and records there are.
	Stats(ctx context.Context, s Scope) (IndexStats, error)
	// Volume returns how many bytes groups of streams have.
	Volume(ctx context.Context, s Scope, v Volume) ([]logql.Series, error)
	// Fields looks at lines for labels that parsing them would yield.
	Fields(ctx context.Context, s Sample) ([]Field, error)
}

// IndexStats is how much text there is.
type IndexStats struct {
	Streams, Chunks, Bytes, Entries int64
}

// Volume says how to group.
type Volume struct {
	// Labels are those that make a group.
	Labels []string
	// Step is how far apart the points of a group are; 0 asks for one of all the time.
	Step time.Duration
	// Names counts by the names of labels instead.
	Names bool
	// Limit is how many groups, the largest, are wanted.
	Limit int
}

// Field is a label of lines.
type Field struct {
	Name, Type string
	Values     []string // some of them
	// Cardinality is about how many values there are.
	Cardinality int
	// Parsers are those that find it; none if it comes with the lines.
	Parsers []string
	// Path is where it is in JSON.
	Path []string
}

// Sample is the lines that are looked at for fields.
type Sample struct {
	Query      *syntax.LogQuery
	Start, End time.Time
	// Lines is how many, the newest, are looked at.
	Lines int
}
