package task

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// SpanOf is for tests.
func SpanOf(id string) string { return spanOf(id) }

// FillTable returns a table that so many open tasks were added to, that may have most, and
// remember others up to a number; 0 is as many as it is meant to.
func FillTable(tasks, most, gone int) *Table {
	t := newTable(most, &ListRequest{Now: unixTime(int64(tasks))})
	if gone > 0 {
		t.maxGone = gone
	}
	t.fill(0, tasks)
	return t
}

// FillPending adds open tasks by their numbers, of which more may be read. They were kept
// before those with smaller ones.
func (t *Table) FillPending(from, to int) {
	t.begin(t.reader(), int64(-from-1))
	t.fill(from, to)
}

func (t *Table) fill(from, to int) {
	var b [8]byte
	scope := []byte("00000000-6a48-4fac-be7e-f34721792d8c")
	const digits = "0123456789abcdef"
	for i := from; i < to; i++ {
		binary.BigEndian.PutUint32(b[:], uint32(i)*2654435761)
		for k := range 4 {
			scope[2*k], scope[2*k+1] = digits[b[k]>>4], digits[b[k]&15]
		}
		t.add(&event{time: int64(i + 1), kept: int64(-i - 1), level: record.LevelInfo, scope: scope, root: len(scope), text: []byte("job"), origin: origin{[]byte("host"), []byte("1"), nil}})
	}
}

// List is for tests.
func (t *Table) List() *List { return t.list() }

// Len and Forgotten are for tests.
func (t *Table) Len() int       { return len(t.entries) }
func (t *Table) Forgotten() int { return t.gone.len }

// Read returns what a line says of a task, for tests: its id, its scope and its number.
func Read(line []byte) (id, scope string, seq int64, ok bool) {
	x := newExtractor([]Condition{{"user", "u1"}}, maphash.MakeSeed())
	x.begin("s", record.NewLabels(map[string]string{"host": "h"}))
	e := x.read(line)
	if e == nil {
		return "", "", 0, false
	}
	b, t := newBuilder(string(e.id()), Limits{}, true), newTable(10, &ListRequest{})
	t.add(e)
	b.add(e, line)
	tree := b.finish(ID{Root: b.root}, Patience{}, unixTime(0))
	if len(tree.Nodes) == 0 {
		panic("a record without a node")
	}
	_ = t.list()
	_ = kept.TimeOf(line)
	return string(e.id()), string(e.scope), e.seq, true
}
