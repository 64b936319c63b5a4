package logql

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/record"
)

// Kind is what an answer consists of.
type Kind string

// The kinds of answers, named as Loki names them.
const (
	Streams Kind = "streams" // Result.Entries
	Matrix  Kind = "matrix"  // Result.Series, of a metric query with steps
	Vector  Kind = "vector"  // Result.Series with one point each, of a moment
	Scalar  Kind = "scalar"  // Result.Scalar, of a moment
)

// Result is the answer to a query.
type Result struct {
	Kind Kind
	// Entries are in the direction that was asked for: by time, then by the labels of their
	// streams, then as they were kept; backward is the reverse of that.
	Entries []Entry
	// Bytes is about how many bytes they take.
	Bytes int64
	// Cut says that the entries end before Params.Limit because of Params.Bytes.
	Cut bool
	// Series are sorted by their labels; those of a moment, if the query ends in sort, topk
	// and the like, by their values.
	Series []Series
	Scalar Point
	// Damage is what the answer is about and could not be read, sorted.
	Damage []Damage
	Stats  Stats
}

// Entry is a line of an answer.
type Entry struct {
	Time int64 // Unix nanoseconds
	Line string
	// Labels are all labels after the pipeline, sorted by name, with where each is from.
	// Values may be empty. Entries with the same labels may share them.
	Labels []pipeline.Label
	// Stream is the identity of the record's stream, and Sequence its place in it.
	Stream   string
	Sequence uint64
	// Gap marks a record that states a loss.
	Gap bool
}

// Series is the values of one set of labels.
type Series struct {
	Labels record.Labels // none is empty
	Points []Point       // by time
}

// Point is a value at a moment.
type Point struct {
	Time  int64 // Unix nanoseconds
	Value float64
}

// Stats say what answering took.
type Stats struct {
	// Streams is how many were selected, and Blocks how many blocks they have.
	Streams, Blocks int
	// The blocks that were not read: their time, their levels and stored fields, or their
	// gram filter ruled them out, or their counts in the index were enough.
	OutOfTime, ByLabel, ByText, FromIndex int
	// BlocksRead were read, of which Damaged could not be; Gone were removed meanwhile.
	BlocksRead, Damaged, Gone int
	// Bytes is how much text the blocks that were read have, Lines how many lines of them
	// were looked at, and Matched how many went into the answer.
	Bytes, Lines, Matched int64
	// Duration is how long it took.
	Duration time.Duration
}

// IndexOnly tells whether the query was answered without reading any text.
func (s *Stats) IndexOnly() bool { return s.BlocksRead == 0 }

func (s *Stats) add(t *Stats) {
	s.BlocksRead += t.BlocksRead
	s.Damaged += t.Damaged
	s.Gone += t.Gone
	s.Bytes += t.Bytes
	s.Lines += t.Lines
	s.Matched += t.Matched
}

// Group is the lines of an answer that have the same labels.
type Group struct {
	Labels  []pipeline.Label
	Entries []Entry // in the direction of the answer
}

// Grouped returns the entries of an answer by their labels, sorted by them.
func (r *Result) Grouped() []Group {
	at := map[string]int{}
	var groups []Group
	var key []byte
	for _, e := range r.Entries {
		key = appendLabelsKey(key[:0], e.Labels)
		i, ok := at[string(key)]
		if !ok {
			i = len(groups)
			at[string(key)] = i
			groups = append(groups, Group{Labels: e.Labels})
		}
		groups[i].Entries = append(groups[i].Entries, e)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return slices.CompareFunc(a.Labels, b.Labels, func(a, b pipeline.Label) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
		})
	})
	return groups
}

func appendLabelsKey(dst []byte, labels []pipeline.Label) []byte {
	for _, l := range labels {
		dst = append(append(dst, l.Name...), 0xff)
		dst = append(append(dst, l.Value...), 0xff)
	}
	return dst
}

// compareLabels orders by the first label that differs, in name, then in value.
func compareLabels(a, b record.Labels) int {
	return slices.CompareFunc(a, b, func(a, b record.Label) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
}
