package archive

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
)

// mendEach is how many filters are made again at a time: each takes some milliseconds of the
// goroutine that commits.
const mendEach = 4

// broken is a block whose filter is damaged.
type broken struct {
	s       *Stream
	g       *segment
	gramsAt int64
}

// filterOf returns the filter of a block's text.
func (s *Stream) filterOf(text []byte) []byte {
	var b builder
	b.start(0)
	b.add(text)
	addGrams(&s.a.grams, text, b.counted.mayHaveTasks())
	return b.appendFilter(&s.a.grams)
}

// appendFilter returns the filter of the block that b has been given, all of whose text a
// builder of filters has.
func (b *builder) appendFilter(grams *gram.Builder) []byte {
	if b.counted.mayHaveTasks() {
		grams.Add([]byte(taskMark))
	}
	return grams.AppendFilter(nil)
}

// addGrams gives a filter the bodies of a block's text and, if there may be some, the stored
// fields that it has.
func addGrams(filter *gram.Builder, text []byte, fields bool) {
	for line := range kept.Lines(text) {
		body, end := kept.BodyAt(line)
		filter.Add(line[body:end])
		if !fields || string(line[end:]) == `"}` {
			continue
		}
		if l, err := kept.Written(line, end); err == nil {
			addFields(filter, &l)
		}
	}
}

// isTaskField tells whether a stored field says which task a record belongs to. Such fields
// are in the filter with the bodies, since their values are looked for as text is, but are
// too many for the index.
func isTaskField(name string) bool {
	return name == "key" || name == "trace_id" || name == "task_uuid"
}

// taskMark is in the filter of a block that has such fields. Filters that were made before
// there was that do not have them. No body has it: a quote in a body is escaped.
const taskMark = `"f"i"e"l"d"s" "b"y" "w"h"i"c"h" "t"a"s"k"s" "a"r"e" "f"o"u"n"d"`

// taskQuery asks for it.
var taskQuery = gram.NewQuery([]byte(taskMark), false)

// addFields gives a filter the fields of a record that say which task it belongs to.
func addFields(filter *gram.Builder, l *kept.Line) {
	for name, value := range l.Fields() {
		if isTaskField(string(name)) {
			filter.Add(value)
		}
	}
}

// MayHaveTask tells whether block i can have a record whose body matches q, or of which a
// stored field does that says what task it belongs to: key, task_uuid or trace_id.
func (v *View) MayHaveTask(i int, q *gram.Query) bool {
	switch {
	case v.MayContain(i, q):
		return true
	case v.marked(i):
		return false
	}
	return v.namesTaskFields(i)
}

// HasTaskFields tells whether block i may have records with such fields.
func (v *View) HasTaskFields(i int) bool { return v.marked(i) || v.namesTaskFields(i) }

// marked tells whether the filter of block i has the fields of its records.
func (v *View) marked(i int) bool { return v.MayContain(i, taskQuery) }

// namesTaskFields tells whether the index names such a field.
func (v *View) namesTaskFields(i int) bool {
	f := v.Fields(i)
	return f.Many || slices.ContainsFunc(f.Open, isTaskField) || slices.ContainsFunc(f.Facets, func(f Facet) bool { return isTaskField(f.Name) })
}

var (
	errFilterSum  = errors.New("the checksum of a filter does not match")
	errFilterGone = errors.New("filters are gone")
)

// checkFilters looks whether the filters of a segment are all there; their checksums are
// compared when they are used.
func (s *Stream) checkFilters(g *segment, blocks []block) {
	has := int64(0)
	if f, err := s.a.opts.Tree.OpenRead(s.dir + g.name(gramsExt)); err == nil {
		has, _ = f.Size()
		_ = f.Close()
	}
	if has >= g.size[2] {
		return
	}
	s.a.damage(s.dir+g.name(gramsExt), has, errFilterGone)
	if s.a.opts.ReadOnly {
		return
	}
	for i := range blocks {
		if b := &blocks[i]; b.gramsBytes > 0 && b.gramsAt+int64(b.gramsBytes) > has && g.report(^b.gramsAt) {
			s.a.broken = append(s.a.broken, broken{s, g, b.gramsAt})
		}
	}
}

// filterError returns what the error of reading the filter of b means: nothing, if retention
// took it away, or damage, which it reports once, so that the filter is made again.
func (v *View) filterError(b *block, err error) error {
	a := v.s.a
	name := v.s.dir + b.segment.name(gramsExt)
	switch {
	case errors.Is(err, ErrGone):
		// Retention takes the index away before the filters.
		idx, e := a.opts.Tree.OpenRead(v.s.dir + b.segment.name(idxExt))
		if errors.Is(e, fs.ErrNotExist) {
			return nil
		}
		if e == nil {
			_ = idx.Close()
		}
		err = errFilterGone
	case !errors.Is(err, io.EOF) && !errors.Is(err, errFilterSum):
		return err // the disk's, or that of a process with too many files
	}
	if b.segment.report(^b.gramsAt) {
		a.opts.Log.Warn("a filter of kept text is damaged; the text is searched without it", "file", name, "offset", b.gramsAt, "error", err)
		a.mu.Lock()
		a.stats.Damaged++
		if !a.opts.ReadOnly {
			a.broken = append(a.broken, broken{v.s, b.segment, b.gramsAt})
		}
		a.mu.Unlock()
	}
	return &CorruptError{File: name, Offset: b.gramsAt, Err: err}
}

// checkFilter compares the filter of block i with its checksum.
func (v *View) checkFilter(i int) error {
	if i == len(v.blocks) || v.blocks[i].frame != nil || v.blocks[i].gramsBytes == 0 {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err := v.readFilterLocked(&v.blocks[i])
	return err
}

// mend makes filters again that were found damaged.
func (a *Archive) mend() {
	a.mu.Lock()
	n := min(len(a.broken), mendEach)
	list := a.broken[:n:n]
	a.broken = a.broken[n:]
	a.mu.Unlock()
	for _, x := range list {
		if err := x.s.mendFilter(x.g, x.gramsAt); err != nil {
			a.opts.Log.Warn("make a filter of kept text again", "stream", x.s.ID(), "error", err)
		}
	}
}

// mendFilter writes the filter of a block in its place again. The checksum in the index
// tells whether it is what was there.
func (s *Stream) mendFilter(g *segment, gramsAt int64) error {
	for i := range s.blocks {
		b := &s.blocks[i]
		if b.segment != g || b.gramsAt != gramsAt || b.gramsBytes == 0 {
			continue
		}
		v := View{s: s, visible: &visible{blocks: s.blocks[i : i+1]}, files: map[string]disk.File{}}
		defer v.Close()
		var d Decoder
		text, err := v.AppendText(nil, 0, &d)
		if err != nil {
			return err
		}
		filter := s.filterOf(text)
		if len(filter) != b.gramsBytes || crc32.Checksum(filter, castagnoli) != b.gramsSum {
			return errors.New("it is not of the same kind any more")
		}
		f, err := s.a.opts.Tree.Open(s.dir + g.name(gramsExt))
		if err != nil {
			return err
		}
		_, err = f.WriteAt(filter, gramsAt)
		err = errors.Join(err, f.Sync(), f.Close())
		if err == nil {
			g.forget(^gramsAt)
		}
		return err
	}
	return nil // retention was faster
}
