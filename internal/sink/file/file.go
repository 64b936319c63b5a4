// Package file is the sink that writes the text of each stream to a file of its own,
// <dir>/<stream>/<stream>.log, and rotates it.
//
//	s, err := file.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// Each line is written once, over restarts and crashes: the sink keeps, with the cursor of
// a stream, which file that had filled how far, synced before. What stands behind that at a
// start was written by a run whose cursor did not get on disk: it is cut off, a rotation
// that was under way is taken back, and the lines are written again.
//
// Names are made of the stream's container label, else of its identity, and cannot leave
// the directory. A folder is its stream's for good: the sink knows whose it is from the
// cursors, and when these are gone from a mark on the folder, where the file system can have
// one. What another process does to the files is its business: a file that is gone is made
// again, in one that was emptied the next line is the first.
//
// One goroutine at a time may use a sink. The package leaves out which records come.
package file

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/weirlog/weir/internal/codec/packed"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// maxOpen is how many files are open at a time.
const maxOpen = 256

// Sink writes to files. It is a flow.TextSink.
type Sink struct {
	config   Config
	deps     deliver.Deps
	template *template.Template
	outputs  map[string]*output // by stream
	names    map[string]string  // the stream that has a name
	enough   int                // with so many outputs some may be superfluous
	clock    uint64             // counts uses, for closing the file that was not used for longest
	looked   time.Time          // for files that are old
	open     int
	line     []byte
	entry    entry
}

var _ flow.TextSink = (*Sink)(nil)

// output is the file of one stream.
type output struct {
	stream  string
	name    string // of folder and file
	next    uint64 // the record after the last that was written
	size    int64
	id      identity
	file    *os.File
	used    uint64
	dirty   bool // written, and not stored
	written int  // records, those apart that say what is missing
}

// entry is what a template sees of a record.
type entry struct {
	// Time is when it happened.
	Time time.Time
	// Level is its severity, in lower case.
	Level string
	// Text is the body.
	Text string
	// Stream is the identity of its stream.
	Stream string

	labels record.Labels
}

// Label returns the value of one of the stream's labels, empty if it has no such label.
func (e *entry) Label(name string) string { return e.labels.Get(name) }

// New returns a sink. It fails for a configuration that Validate refuses.
func New(c Config, d deliver.Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t, err := c.template()
	if err != nil {
		return nil, err
	}
	s := &Sink{config: c, deps: d, template: t, outputs: map[string]*output{}, names: map[string]string{}, enough: minOutputs}
	for _, stream := range d.Streams {
		if o := s.load(stream); o != nil { // names stay with who has them
			_ = s.removeSurplus(o) // what cannot be removed is reported at the next rotation
		}
	}
	return s, nil
}

// StatePrefix is what the keys of all states begin with.
const StatePrefix = "files\x00"

// Prefix returns what the keys begin with under which the sink of that name keeps the states
// of its streams.
func Prefix(name string) string { return StatePrefix + name + "\x00" }

func (s *Sink) key(stream string) string { return Prefix(s.deps.Name) + stream }

// Next implements flow.TextSink.
func (s *Sink) Next(stream string) (next uint64, ok bool) {
	o := s.load(stream)
	if o == nil {
		return 0, false
	}
	return o.next, true
}

// load returns the output of a stream that was written to, now or before the last restart.
func (s *Sink) load(stream string) *output {
	if o := s.outputs[stream]; o != nil {
		return o
	}
	o, ok := parseState(s.deps.State.Load(s.key(stream)))
	if !ok {
		return nil
	}
	o.stream = stream
	s.outputs[stream], s.names[o.name] = o, stream
	return o
}

// Write implements flow.Sink.
func (s *Sink) Write(ctx context.Context, b *record.Batch) error {
	o := s.load(b.Stream.ID)
	if o == nil {
		o = &output{stream: b.Stream.ID, name: s.name(b.Stream), next: b.First}
		s.outputs[o.stream], s.names[o.name] = o, o.stream
	}
	o.dirty = true
	if len(b.Records) == 0 {
		o.next = b.First
		return nil
	}
	if err := s.ready(ctx, o); err != nil {
		return err
	}
	lines, records := s.line[:0], 0
	for i := range b.Records {
		if b.First+uint64(i) < o.next {
			continue // of a batch that failed half way
		}
		if b.Records[i].Flags&record.Dropped != 0 {
			continue // it was not chosen
		}
		before := len(lines)
		lines = s.append(lines, b, i)
		if s.full(o, len(lines)) && o.size+int64(before) > 0 {
			if err := s.put(o, lines[:before], b.First+uint64(i)); err != nil {
				return err
			}
			o.written += records
			if err := s.rotate(ctx, o); err != nil {
				return err
			}
			lines, records = append(lines[:0], lines[before:]...), 0
		}
		if b.Records[i].Flags&record.Lost == 0 {
			records++
		}
	}
	s.line = lines[:0]
	err := s.put(o, lines, b.First+uint64(len(b.Records)))
	if err == nil {
		o.written += records
	}
	return err
}

// full tells whether so many more bytes are too many for the file.
func (s *Sink) full(o *output, more int) bool {
	return s.config.MaxSize > 0 && s.config.MaxFiles > 0 && o.size+int64(more) > int64(s.config.MaxSize)
}

// put writes whole lines, those up to the record next.
func (s *Sink) put(o *output, lines []byte, next uint64) error {
	n, err := o.file.Write(lines) // it is open for appending: a file that was just emptied gets no hole
	if err != nil {
		if n > 0 {
			err = errors.Join(err, o.file.Truncate(o.size))
		}
		return fmt.Errorf("write %s: %w", o.file.Name(), err)
	}
	o.size += int64(len(lines))
	o.next = next
	return nil
}

// append appends the line of record i.
func (s *Sink) append(dst []byte, b *record.Batch, i int) []byte {
	r := &b.Records[i]
	body := b.Bytes(r.Body)
	if s.template == nil {
		return append(append(dst, body...), '\n')
	}
	s.entry = entry{Time: time.Unix(0, r.Time), Level: r.Level.String(), Text: string(body), Stream: b.Stream.ID, labels: b.Stream.Labels}
	w := writer{dst}
	if err := s.template.Execute(&w, &s.entry); err != nil {
		if s.deps.Ledger != nil {
			s.deps.Ledger.Odd("template: "+err.Error(), body)
		}
		w.b = append(dst, body...) // the text is worth more than its form
	}
	return append(w.b, '\n')
}

// writer appends what is written to it.
type writer struct{ b []byte }

func (w *writer) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// Flush implements flow.TextSink: files are synced, then their lengths and cursors stored.
func (s *Sink) Flush(context.Context) error {
	for _, o := range s.outputs {
		if !o.dirty {
			continue
		}
		if o.file != nil {
			if err := o.file.Sync(); err != nil {
				return fmt.Errorf("sync %s: %w", o.file.Name(), err)
			}
		}
		s.store(o)
	}
	s.closeUnused()
	s.forget()
	if err := s.removeOld(time.Now()); err != nil {
		return fmt.Errorf("remove old files: %w", err)
	}
	return nil
}

// minOutputs is how many streams a sink remembers at least.
const minOutputs = 1024

// forget drops what is known of streams that are gone for good. Their files stay.
func (s *Sink) forget() {
	if len(s.outputs) < s.enough || s.deps.Remembers == nil {
		return
	}
	for stream, o := range s.outputs {
		if s.deps.Remembers(stream) {
			continue
		}
		s.shut(o)
		delete(s.outputs, stream)
		delete(s.names, o.name)
		s.deps.State.Store(s.key(stream), nil)
	}
	s.enough = len(s.outputs)*3/2 + minOutputs // so that each look is paid by as many streams
}

// store keeps where the stream stands.
func (s *Sink) store(o *output) {
	s.deps.State.Store(s.key(o.stream), o.appendState(nil))
	o.dirty = false
	if s.deps.Ledger != nil && o.written > 0 {
		s.deps.Ledger.Sent(o.written)
	}
	o.written = 0
}

// closeUnused closes the files that were not used for longest, when too many are open.
func (s *Sink) closeUnused() {
	for s.open > maxOpen {
		var last *output
		for _, o := range s.outputs {
			if o.file != nil && (last == nil || o.used < last.used) {
				last = o
			}
		}
		s.shut(last)
	}
}

// shut closes the file of an output, which is synced.
func (s *Sink) shut(o *output) {
	if o.file != nil {
		_ = o.file.Close()
		o.file = nil
		s.open--
	}
}

// Close closes all files. It may be called twice.
func (s *Sink) Close() error {
	var errs []error
	for _, o := range s.outputs {
		if o.file != nil {
			errs = append(errs, o.file.Close())
			o.file = nil
			s.open--
		}
	}
	return errors.Join(errs...)
}

// path returns the file's path: the file itself for 0, else a rotated one.
func (s *Sink) path(o *output, rotated int) string {
	path := filepath.Join(s.config.Dir, o.name, o.name+".log")
	if rotated > 0 {
		path += fmt.Sprint(".", rotated)
	}
	return path
}

// appendState encodes what is kept of an output: the version, then its fields.
func (o *output) appendState(dst []byte) []byte {
	dst = append(dst, 1)
	for _, v := range []uint64{o.next, uint64(o.size), o.id.device, o.id.inode} {
		dst = binary.AppendUvarint(dst, v)
	}
	return append(dst, o.name...)
}

func parseState(b []byte) (*output, bool) {
	r := packed.Reader{Rest: b}
	if r.Byte() != 1 {
		return nil, false
	}
	o := &output{next: r.Uvarint(), size: int64(r.Uvarint()), id: identity{r.Uvarint(), r.Uvarint()}}
	o.name = Sanitize(string(r.Rest))
	return o, len(r.Rest) > 0
}
