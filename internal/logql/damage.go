package logql

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weirlog/weir/internal/archive"
)

// Damage is a block of kept text that an answer is about and that cannot be read.
type Damage struct {
	Stream  string // its identity
	Records int    // how many the block has
	// Counted is set where the records are in the numbers of the answer all the same, since
	// those came from the index. Otherwise the answer is without them.
	Counted bool
	File    string // of the kept text
	Offset  int64  // where the block begins in it
}

// compare orders by place, what is left out before what is counted.
func (d Damage) compare(b Damage) int {
	counted := 0
	switch {
	case d.Counted && !b.Counted:
		counted = 1
	case b.Counted && !d.Counted:
		counted = -1
	}
	return cmp.Or(strings.Compare(d.Stream, b.Stream), strings.Compare(d.File, b.File), cmp.Compare(d.Offset, b.Offset), counted)
}

// String says it for people.
func (d Damage) String() string {
	what := "are left out"
	if d.Counted {
		what = "are counted from the index"
	}
	return fmt.Sprintf("%d records of stream %s cannot be read and %s: the block at byte %d of %s is damaged", d.Records, d.Stream, what, d.Offset, d.File)
}

// maxWarnings is how many warnings an answer has at most, before the one that says how many
// more there are.
const maxWarnings = 10

// Warnings says for people what kept the answer from being whole; none is the usual case.
func (r *Result) Warnings() []string { return Warnings(r.Damage) }

// Warnings says for people what is damaged: a few of many, and how many more there are. It
// sorts them.
func Warnings(damage []Damage) (list []string) {
	slices.SortFunc(damage, Damage.compare)
	for i := range damage[:min(len(damage), maxWarnings)] {
		list = append(list, damage[i].String())
	}
	if more := len(damage) - maxWarnings; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return list
}

// damages collects what is damaged, from several goroutines.
type damages struct {
	mu   sync.Mutex // guards list
	list []Damage
}

// add notes a block that err, of reading it, says to be damaged; it tells whether err does.
func (d *damages) add(stream string, head *archive.Head, err error) bool {
	var corrupt *archive.CorruptError
	if !errors.As(err, &corrupt) {
		return false
	}
	d.note(Damage{Stream: stream, Records: head.Records, File: corrupt.File, Offset: corrupt.Offset})
	return true
}

func (d *damages) note(one Damage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, one)
}

// sorted returns what was noted, each once: parts of a query may be about the same block.
func (d *damages) sorted() []Damage {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.SortFunc(d.list, Damage.compare)
	d.list = slices.Compact(d.list)
	return d.list
}
