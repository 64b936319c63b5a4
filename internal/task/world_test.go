package task_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/task"
)

// moment is when the records begin, in Unix nanoseconds.
const moment = int64(1_795_000_000e9)

// Three tasks.
const (
	uuid  = "f738d4aa-6a48-4fac-be7e-f34721792d8c"
	uuid2 = "0a1b2c3d-0000-4000-8000-00000000beef"
	uuid3 = "11111111-2222-4333-8444-555555555555"
)

// world is an archive in which tasks are looked for.
type world struct {
	task.Finder
	t testing.TB
	a *archive.Archive
	// blocks counts those that were read.
	blocks atomic.Int64
	mu     sync.Mutex // guards waiting, and writing to a
	// waiting is what was written and is not visible yet.
	waiting []func()
}

// counting counts the blocks that are read.
type counting struct {
	*logql.Engine
	blocks *atomic.Int64
}

func (c counting) Blocks(ctx context.Context, q logql.BlockQuery, visitor func() func(logql.Block) error) ([]logql.Damage, error) {
	return c.Engine.Blocks(ctx, q, func() func(logql.Block) error {
		visit := visitor()
		return func(b logql.Block) error {
			c.blocks.Add(1)
			return visit(b)
		}
	})
}

func newWorld(t testing.TB) *world {
	a, err := archive.Open(archive.Options{Tree: new(disk.Faulty)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, a: a}
	w.Finder = task.Finder{Blocks: counting{logql.New(logql.Options{Archive: a}), &w.blocks}, Archive: a, Sync: func(context.Context) error { w.show(); return nil }}
	return w
}

// add writes a record as it is kept.
func (w *world) add(stream string, r *kept.Record) {
	line := new(kept.Appender).Append(nil, r)
	def := record.Stream{ID: stream, Labels: record.NewLabels(map[string]string{"source": stream, "host": "h-" + stream})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, func() { w.a.Stream(def, archive.Bound{}).Add(nil, kept.TextOf(line)) })
	w.a.Publish(&def, line, 1) // as the journal does: accepted first, under its lock
}

func (w *world) show() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, add := range w.waiting {
		add()
	}
	w.waiting = nil
	if err := w.a.Flush(); err != nil {
		w.t.Fatal(err)
	}
	w.a.Show()
}

// seal makes blocks of what was written, as a full one is.
func (w *world) seal(stream string) {
	w.show()
	w.a.Stream(record.Stream{ID: stream, Labels: record.NewLabels(map[string]string{"source": stream, "host": "h-" + stream})}, archive.Bound{}).Seal(nil)
	if err := w.a.Flush(); err != nil {
		w.t.Fatal(err)
	}
	w.a.Show()
}

// key writes a record as the source distlog keeps it, so many milliseconds after moment. The
// level is the first letter of text's part before a colon: "i:message".
func (w *world) key(stream, key string, ms int64, text string, more ...string) {
	level, body, _ := strings.Cut(text, ":")
	levels := map[string]record.Level{"d": record.LevelDebug, "i": record.LevelInfo, "w": record.LevelWarn, "e": record.LevelError}
	r := &kept.Record{Time: moment + ms*1e6, Level: levels[level], Body: []byte(body), Fields: []kept.Field{{Name: []byte("key"), Value: []byte(key)}}}
	for _, pair := range more {
		name, value, _ := strings.Cut(pair, "=")
		r.Fields = append(r.Fields, kept.Field{Name: []byte(name), Value: []byte(value)})
	}
	w.add(stream, r)
}

// json writes a record whose body is JSON.
func (w *world) json(stream string, ms int64, body string) {
	w.add(stream, &kept.Record{Time: moment + ms*1e6, Level: record.LevelInfo, Body: []byte(body)})
}

// request asks for a whole task, as it is so long after moment.
func request(t testing.TB, id string, after time.Duration) task.TreeRequest {
	t.Helper()
	parsed, ok := task.ParseID(id)
	if !ok {
		t.Fatalf("%s is no id", id)
	}
	return task.TreeRequest{ID: parsed, Now: time.Unix(0, moment).Add(after)}
}

// tree returns a tree as text: "name state records(parts)", and what else there is.
func (w *world) tree(id string, after time.Duration) string {
	w.t.Helper()
	w.show()
	tree, err := w.Tree(w.t.Context(), request(w.t, id, after))
	if err != nil {
		w.t.Fatal(err)
	}
	return text(tree)
}

func text(tree *task.Tree) string {
	var b strings.Builder
	depth := -1
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		if n.Depth > depth {
			if depth >= 0 {
				b.WriteByte('(')
			}
		} else {
			b.WriteString(strings.Repeat(")", depth-n.Depth) + " ")
		}
		depth = n.Depth
		name := n.Name
		if name == "" {
			name = "?"
		}
		fmt.Fprintf(&b, "%s=%s/%d", name, n.State, n.Records)
		if n.Missing > 0 {
			fmt.Fprintf(&b, "/gap%d", n.Missing)
		}
		if n.Repeated > 0 {
			fmt.Fprintf(&b, "/again%d", n.Repeated)
		}
	}
	if depth > 0 {
		b.WriteString(strings.Repeat(")", depth))
	}
	if tree.Omitted > 0 {
		fmt.Fprintf(&b, " omitted%d", tree.Omitted)
	}
	return b.String()
}
