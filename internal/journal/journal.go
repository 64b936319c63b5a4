// Package journal makes what was read durable: for each input the source position, and
// with it, in one checksummed unit, the counts that its records made. It owns the data
// directory.
//
//	j, err := journal.Open(journal.Options{FS: fs, Registry: reg})
//	w := j.Input(in)             // a flow.Line without rules
//	w.Write(ctx, batch)          // accepted: the next commit has it
//	j.Run(ctx)                   // commits until ctx ends
//
// Invariants, which the tests hold against a crashing disk:
//
//   - Position and counts of a batch are in the same commit, or neither is.
//   - The registry is raised after the commit is synced, so nothing that is shown can be
//     ahead of what recovery finds.
//   - A commit that cannot be written is not lost: it stays pending, grows with what is
//     accepted meanwhile (bounded by the number of inputs and series), and is tried again.
//
// There is one commit log for the node, so a thousand inputs cost one sync a second. It is
// two files used in turn, each beginning with a snapshot of the whole state; their space
// is reserved when they are made, so a full disk does not stop commits. After any doubt (a
// start, a failed write or sync) the other file is begun with a new generation.
//
// All methods may be called concurrently.
package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// Options say where a journal lives and how it commits.
type Options struct {
	// FS is the data directory.
	FS disk.Tree
	// Registry gets the restored series at Open and the deltas of each synced commit.
	Registry *metric.Registry
	// Ledger is told when the disk fails and when it works again. It may be nil.
	Ledger *ledger.Component
	// Log may be nil: then nothing is logged.
	Log *slog.Logger
	// WriteEvery is how often what was accepted is written; zero means 200 ms.
	WriteEvery time.Duration
	// SyncEvery is how often what was written is synced; zero means 1 s.
	SyncEvery time.Duration
	// FileBytes is the least size of a commit file; zero means 16 MiB.
	FileBytes int64
	// Total bounds the kept text of all streams together; zero values mean no bound.
	Total archive.Bound
	// Floor is how many bytes of the disk are left free: with less, text is not kept.
	Floor int64
}

// A CorruptError says what Open found damaged and gave up. The journal works.
type CorruptError struct {
	File   string
	Offset int64
	Err    error
}

// Error returns the file, the offset and the cause.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %v", e.File, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// Journal is the commit log of a node.
type Journal struct {
	opts Options
	lock io.Closer       // nil while the directory is gone; used like commit
	wake chan chan error // asks Run for a sync; the answer goes to the channel
	// crowded has an element when a Write waits for room: the next commit must not wait.
	crowded chan struct{}
	pressed atomic.Int64 // until when, in Unix nanoseconds, text is taken to come in at full speed

	end   sync.Once
	ended chan struct{} // closed when Run has returned

	mu        sync.Mutex // guards what was accepted and is not written yet
	inputs    map[string]*input
	nextNum   uint32
	dirty     []*input
	deltas    sums
	exemplars map[cell]metric.Exemplar // the latest of each cell
	states    map[string][]byte        // values are replaced, never changed
	changed   map[string]bool          // states to write
	unshown   []*input                 // written and not synced
	streams   map[*archive.Stream]*pending
	texts     []*pending    // those with text
	waiting   int           // bytes of text in texts
	spares    []kept.Text   // memory for texts to come
	spare     int           // how much of it
	taken     chan struct{} // closed and replaced when texts are taken
	closed    bool

	commit commitLog // used by one goroutine at a time: Open, then Run, then Close
}

// input is the journal's side of one flow.Input.
type input struct {
	def      inputDef
	position record.Position // guarded by Journal.mu
	known    bool            // a written commit has its definition
	dirty    bool
	gone     bool
	writer   *Writer // the last one; nobody else may forget the input

	// What was read since the process started; guarded by Journal.mu.
	accepted, written, shown Progress
	waiting                  bool // written is ahead of shown, and the input in Journal.unshown
}

// cell is one of a durable series.
type cell struct{ series, cell uint32 }

// Progress is how much of an input was read since the process started.
type Progress struct{ Records, Bytes, Gaps uint64 }

// Open locks the directory, recovers the state of the last good commit and begins a new
// generation. Damage never makes it fail: what is damaged is reported to the ledger and
// the log as a CorruptError. It fails when the directory is locked or cannot be written.
func Open(o Options) (*Journal, error) {
	o.WriteEvery = cmpOr(o.WriteEvery, 200*time.Millisecond)
	o.SyncEvery = cmpOr(o.SyncEvery, time.Second)
	o.FileBytes = cmpOr(o.FileBytes, 16<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := o.FS.Lock()
	if err != nil {
		return nil, disk.Explain(err)
	}
	j := &Journal{
		opts: o, lock: lock, wake: make(chan chan error), crowded: make(chan struct{}, 1),
		streams: map[*archive.Stream]*pending{}, taken: make(chan struct{}),
		ended: make(chan struct{}), inputs: map[string]*input{}, nextNum: 1,
		exemplars: map[cell]metric.Exemplar{}, states: map[string][]byte{}, changed: map[string]bool{},
	}
	if err := j.commit.open(j); err != nil {
		return nil, errors.Join(disk.Explain(err), j.commit.close(), lock.Close())
	}
	return j, nil
}

func cmpOr[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func inputKey(in flow.Input) string { return in.Stream.ID + "\x00" + in.ID }

// Input returns the writer of an input, with its last position.
func (j *Journal) Input(in flow.Input) *Writer {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := inputKey(in)
	st := j.inputs[key]
	if st == nil {
		st = &input{def: inputDef{number: j.nextNum, id: in.ID}}
		j.nextNum++
		j.inputs[key] = st
	}
	if st.def.stream.ID == "" || !slices.Equal(st.def.stream.Labels, in.Stream.Labels) {
		st.known = false // write it (again) with its present labels
	}
	st.def.stream = in.Stream
	st.gone = false
	st.writer = &Writer{journal: j, input: st}
	return st.writer
}

// Known returns the inputs of a source that have a position.
func (j *Journal) Known(source string) []flow.Input {
	j.mu.Lock()
	defer j.mu.Unlock()
	var known []flow.Input
	for _, st := range j.inputs {
		if st.def.stream.Source == source && !st.gone && len(st.position.Source) > 0 {
			known = append(known, flow.Input{Stream: st.def.stream, ID: st.def.id})
		}
	}
	slices.SortFunc(known, func(a, b flow.Input) int { return strings.Compare(inputKey(a), inputKey(b)) })
	return known
}

// Load returns the state that was last stored under key, or nil.
func (j *Journal) Load(key string) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.states[key])
}

// Stored returns the keys with that prefix under which something is stored.
func (j *Journal) Stored(prefix string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var keys []string
	for key := range j.states {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Store keeps value under key with the next commit. An empty value removes it.
func (j *Journal) Store(key string, value []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(value) == 0 {
		delete(j.states, key)
	} else {
		j.states[key] = bytes.Clone(value)
	}
	j.changed[key] = true
}

// Writer takes the batches of one input.
//
// One goroutine at a time may use a writer. Two inputs of one stream have a writer each.
type Writer struct {
	journal *Journal
	input   *input

	keeping  []*pending // the stream and its classes; none: no text is kept
	fields   []string
	renderer renderer
	closed   bool
}

// Position returns where reading of the input resumes.
func (w *Writer) Position() record.Position {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	p := w.input.position
	p.Source = slices.Clone(p.Source)
	return p
}

// Write accepts the batch's position, deltas and text for the next commit. It does not wait
// for the disk, unless text comes faster than the disk takes it; it fails only then, when
// ctx ends, and after Close and Forget.
func (w *Writer) Write(ctx context.Context, b *record.Batch) error {
	t, err := w.text(ctx, b)
	if err != nil {
		return err
	}
	return w.accept(b, t)
}

func (w *Writer) accept(b *record.Batch, t writtenText) error {
	j := w.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return errors.New("the journal is closed")
	}
	if w.input.gone {
		return errors.New("the input is forgotten") // its counts would be committed without a position
	}
	w.input.position.Source = append(w.input.position.Source[:0], b.Position.Source...)
	w.input.position.Resume = b.Position.Resume
	j.markLocked(w.input)
	j.deltas.addAll(&b.Deltas)
	for _, e := range b.Exemplars {
		j.exemplars[cell{e.Series, e.Cell}] = metric.Exemplar{
			Series: e.Series, Cell: e.Cell, Value: e.Value, Time: e.Time / int64(time.Millisecond), Labels: string(b.Bytes(e.Labels)),
		}
	}
	w.acceptTextLocked(t)
	p := &w.input.accepted
	p.Records += uint64(len(b.Records))
	p.Gaps += uint64(len(b.Gaps))
	for i := range b.Records {
		p.Bytes += uint64(b.Records[i].Body.Len)
	}
	return nil
}

// Progress returns what was read of the input and is committed: like everything that is
// shown, it is never ahead of what recovery finds.
func (w *Writer) Progress() Progress {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	return w.input.shown
}

// showLocked shows the progress of inputs whose commit is synced now.
func (j *Journal) showLocked() {
	for _, st := range j.unshown {
		st.shown, st.waiting = st.written, false
	}
	j.unshown = j.unshown[:0]
}

// Forget removes the input's position with the next commit. A later Input begins anew; if
// there was one already, Forget does nothing.
func (w *Writer) Forget() {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	if w.input.writer != w {
		return
	}
	w.input.gone = true
	w.input.position = record.Position{}
	w.journal.markLocked(w.input)
}

func (j *Journal) markLocked(st *input) {
	if !st.dirty {
		st.dirty = true
		j.dirty = append(j.dirty, st)
	}
}

// Sync commits what was accepted before the call, waits until it is durable and the
// registry shows it. It needs a running Run and fails when that has ended.
func (j *Journal) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case j.wake <- done:
	case <-j.ended:
		return errors.New("commits have ended")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run writes and syncs commits until ctx ends, then commits what is left and returns the
// error of that, if any.
func (j *Journal) Run(ctx context.Context) error {
	defer j.end.Do(func() { close(j.ended) })
	tick := time.NewTicker(j.opts.WriteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return j.commit.finish(j)
		case done := <-j.wake:
			done <- j.commit.sync(j)
		case now := <-tick.C:
			j.commit.tick(j, now)
		case <-j.crowded:
			j.commit.relieve(j)
		}
	}
}

// Close releases the directory. Run must have returned. It may be called twice.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	if closed {
		return nil
	}
	err := j.commit.close()
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// takeLocked moves what is pending into c, as one change, but for the deltas.
func (j *Journal) takeLocked(c *change) {
	for _, st := range j.dirty {
		st.dirty = false
		if st.written = st.accepted; !st.waiting {
			st.waiting = true
			j.unshown = append(j.unshown, st)
		}
		if !st.known && !st.gone {
			c.inputs = append(c.inputs, st.def)
			st.known = true
		}
		p := positionDef{input: st.def.number, gone: st.gone, position: st.position}
		p.position.Source = c.keep(st.position.Source)
		c.positions = append(c.positions, p)
		if st.gone {
			j.removeLocked(st)
		}
	}
	j.dirty = j.dirty[:0]
	j.takeTextsLocked(c)
	maps.Copy(j.commit.exemplars, j.exemplars)
	clear(j.exemplars)
	for key := range j.changed {
		c.states = append(c.states, stateDef{key, j.states[key]})
	}
	clear(j.changed)
}

// copyLocked adds every input that has a position, and every state, to a snapshot.
func (j *Journal) copyLocked(c *change) {
	for _, st := range j.inputs {
		st.known = !st.gone && len(st.position.Source) > 0
		if !st.known {
			continue // not in this generation: its first batch brings the definition
		}
		c.inputs = append(c.inputs, st.def)
		p := positionDef{input: st.def.number, position: st.position}
		p.position.Source = c.keep(st.position.Source)
		c.positions = append(c.positions, p)
	}
	for key, value := range j.states {
		c.states = append(c.states, stateDef{key, value})
	}
}

// removeLocked forgets a gone input, unless a writer has taken it up again.
func (j *Journal) removeLocked(st *input) {
	key := inputKey(flow.Input{Stream: st.def.stream, ID: st.def.id})
	if j.inputs[key] == st {
		delete(j.inputs, key)
	}
}
