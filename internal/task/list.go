package task

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
)

// Why a state was inferred.
const (
	whyHeadless = "its first record is missing, so its end cannot be told"
	whyWentOn   = "no end, and its process went on without it"
	whyOrphan   = "no end, and what is around it has ended"
)

func whySilent(p Patience) string { return "no end, and nothing for " + p.Silent.String() }

// ListRequest says which tasks are wanted.
type ListRequest struct {
	// Start and End bound the time in which records of the tasks were kept; the zero time is no
	// bound.
	Start, End time.Time
	// Limit is how many are wanted; 0 is all.
	Limit int
	// States are those that are wanted, and OnlySlow wants what is slow; with neither all are.
	States   []State
	OnlySlow bool
	// Name is a part of the name, in whatever case.
	Name string
	// Where are fields that have to be in a record of the task, each in one of them.
	Where []Condition
	// Slow is from which duration on a task is slow; 0 is never.
	Slow time.Duration
	Patience
	// Now is when it is asked; the zero time is now.
	Now time.Time
}

func (q *ListRequest) now() time.Time {
	if q.Now.IsZero() {
		return time.Now()
	}
	return q.Now
}

// List returns tasks that were heard of: those first that failed, then the slow ones, then
// the open ones; the last heard of first.
func (f *Finder) List(ctx context.Context, q ListRequest) (*List, error) {
	done, err := f.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	l := listing{f.Blocks, newTable(f.Tasks, &q), &q}
	damage, err := l.scan(ctx, logql.BlockQuery{Start: q.Start, End: q.End, May: mayHaveTasks()}, eachKeyed)
	if err != nil {
		return nil, err
	}
	more, err := l.beginnings(ctx)
	if err != nil {
		return nil, err
	}
	list := l.table.list()
	list.Warnings = logql.Warnings(append(damage, more...))
	return list, nil
}

// listing is the making of a list.
type listing struct {
	from  Blocks
	table *Table
	q     *ListRequest
}

// scan adds records to the table: those lines of blocks for which each calls its visitor.
func (l *listing) scan(ctx context.Context, blocks logql.BlockQuery, each func([]byte, func([]byte))) ([]logql.Damage, error) {
	var mu sync.Mutex // guards the table
	from, to := bounds(blocks)
	defer l.table.end()
	return l.from.Blocks(ctx, blocks, func() func(logql.Block) error {
		x := newExtractor(l.q.Where, l.table.seed)
		mu.Lock()
		reader := l.table.reader()
		mu.Unlock()
		return func(b logql.Block) error {
			x.begin(b.Stream, b.Labels)
			mu.Lock()
			l.table.begin(reader, b.Head.MaxTime)
			mu.Unlock()
			inside := from <= b.Head.MinTime && b.Head.MaxTime <= to
			each(b.Text, func(line []byte) {
				if at := kept.TimeOf(line); !inside && (at < from || at > to) {
					return
				}
				if e := x.read(line); e != nil {
					mu.Lock()
					l.table.add(e)
					mu.Unlock()
				}
			})
			return ctx.Err()
		}
	})
}

func bounds(q logql.BlockQuery) (from, to int64) {
	from, to = -1<<63, 1<<63-1
	if !q.Start.IsZero() {
		from = q.Start.UnixNano()
	}
	if !q.End.IsZero() {
		to = q.End.UnixNano()
	}
	return from, to
}

// signs are what a body has that says of a task.
func signs() []string {
	return []string{`key"`, `key=`, `task_uuid`, `trace_id`, `traceId`, `trace.id`, `"trace"`}
}

// mayHaveTasks tells blocks that may have records of tasks from others, by their filters.
func mayHaveTasks() func(v *archive.View, block int) bool {
	var queries []*gram.Query
	for _, s := range signs() {
		queries = append(queries, gram.NewQuery(kept.EscapeNeedle(nil, []byte(s)), false))
	}
	return func(v *archive.View, block int) bool {
		return v.HasTaskFields(block) || slices.ContainsFunc(queries, func(q *gram.Query) bool { return v.MayContain(block, q) })
	}
}

// eachKeyed calls visit with the lines that may say of a task.
func eachKeyed(block []byte, visit func(line []byte)) {
	for line := range kept.Lines(block) {
		if bytes.Contains(line, []byte("key")) || bytes.Contains(line, []byte("trace")) || bytes.Contains(line, []byte("task_uuid")) {
			visit(line)
		}
	}
}

// maxOlder is of how many tasks the beginnings are looked for, if they are older than what
// was asked for.
const maxOlder = 64

// beginnings reads the older records of tasks whose first ones are not among those that were
// read: of the last that were heard of.
func (l *listing) beginnings(ctx context.Context) ([]logql.Damage, error) {
	t := l.table
	var older []entry
	for i := range t.entries {
		if n := &t.entries[i]; n.start == 0 && n.topSeq > 0 {
			older = append(older, *n)
		}
	}
	if len(older) == 0 || l.q.Start.IsZero() {
		return nil, nil
	}
	slices.SortFunc(older, func(a, b entry) int { return cmp.Compare(b.last, a.last) })
	s := &search{}
	for _, n := range older[:min(len(older), maxOlder)] {
		s.add(ID{Root: t.nameOf(n.id)})
	}
	return l.scan(ctx, logql.BlockQuery{End: l.q.Start.Add(-1), May: s.may}, s.each)
}

// list chooses and orders.
func (t *Table) list() *List {
	if t.over = true; len(t.entries) > t.most {
		t.sweep()
	}
	list := &List{Tasks: []Summary{}, Forgotten: t.gone.len, Omitted: t.omitted}
	for i := range t.entries {
		n := &t.entries[i]
		if s, _, slow, _ := t.fate(n); t.fulfils(n) && (n.named || t.name == "") && t.q.wants(s, slow) {
			list.Tasks = append(list.Tasks, t.summary(n))
		}
	}
	slices.SortFunc(list.Tasks, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(rank(a.State, a.Slow), rank(b.State, b.Slow)), b.Last.Compare(a.Last), strings.Compare(a.ID, b.ID))
	})
	list.Total = len(list.Tasks)
	if t.q.Limit > 0 && len(list.Tasks) > t.q.Limit {
		list.Tasks = slices.Clone(list.Tasks[:t.q.Limit])
	}
	return list
}

// wants tells whether a state is one of those that are asked for.
func (q *ListRequest) wants(s State, slow bool) bool {
	return len(q.States) == 0 && !q.OnlySlow || slices.Contains(q.States, s) || q.OnlySlow && slow
}

// Behind all ranks are what does not fit yet; what would need a record between its first and its
// last one, in a block that overlaps with theirs; and what does not fit.
const (
	rankPending = 6
	rankOverlap = 7
	rankUnfit   = 8
)

// rank is State.Rank, with what was slow after what has failed.
func rank(s State, slow bool) int {
	if r := s.Rank(); r == 0 || !slow {
		return r
	}
	return 1
}

// Prefix returns the names of tasks that begin with a text, for who has only a part of one at
// hand: up to most of them.
func (l *List) Prefix(text string, most int) (ids []string) {
	text = strings.ToLower(text)
	for i := range l.Tasks {
		if strings.HasPrefix(l.Tasks[i].ID, text) && len(ids) < most {
			ids = append(ids, l.Tasks[i].ID)
		}
	}
	return ids
}

// IsPrefix tells whether a text is the beginning of a UUID, long enough to mean one.
func IsPrefix(text string) bool {
	const least = 6
	if len(text) < least || len(text) >= uuidLen {
		return false
	}
	for i := range len(text) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (text[i] == '-') || !dash && !isHex([]byte{text[i]}) {
			return false
		}
	}
	return true
}
