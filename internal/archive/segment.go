package archive

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirlog/weir/internal/disk"
)

// The extensions of a segment's files, and of the tail.
const (
	dataExt  = ".ndjson.zst"
	idxExt   = ".idx"
	gramsExt = ".grams"
	tailExt  = ".ndjson"
)

// metaName is the file that says what a stream is.
const metaName = "meta.json"

var segmentExts = [...]string{dataExt, idxExt, gramsExt}

// lengths are how much of a segment's files is good.
type lengths [len(segmentExts)]int64

// segment is a run of blocks in three files of one name. Its blocks are in Stream.blocks.
type segment struct {
	first   uint64
	size    lengths
	synced  lengths                     // at the last checkpoint
	files   [len(segmentExts)]disk.File // open while it is written to
	began   int64                       // when its first block was sealed, Unix milliseconds
	records uint64                      // in its blocks, gaps too
	last    int64                       // when its last block was sealed

	mu       sync.Mutex // guards reported
	reported map[int64]bool
	damaged  atomic.Int32 // how many are reported
}

func baseName(first uint64) string { return fmt.Sprintf("%020d", first) }

func tailName(first uint64) string { return baseName(first) + tailExt }

func (g *segment) name(ext string) string { return baseName(g.first) + ext }

// parseName returns what a file's name says: of which first record, and which extension.
func parseName(name string) (first uint64, ext string, ok bool) {
	if len(name) <= 20 {
		return 0, "", false
	}
	first, err := strconv.ParseUint(name[:20], 10, 64)
	ext = name[20:]
	return first, ext, err == nil && strings.HasPrefix(ext, ".")
}

func (g *segment) bytes() int64 { return g.size[0] + g.size[1] + g.size[2] }

// report tells whether damage at that offset is news.
func (g *segment) report(offset int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reported[offset] {
		return false
	}
	if g.reported == nil {
		g.reported = map[int64]bool{}
	}
	g.reported[offset] = true
	g.damaged.Add(1)
	return true
}

// knows tells whether there is damage at that offset that was reported. It is asked for each
// block that is looked at.
func (g *segment) knows(offset int64) bool {
	if g.damaged.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reported[offset]
}

// forget makes damage at that offset news again: it was mended.
func (g *segment) forget(offset int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reported[offset] {
		delete(g.reported, offset)
		g.damaged.Add(-1)
	}
}

// open opens the three files for writing.
func (g *segment) open(tree disk.Tree, dir string) error {
	for i, ext := range segmentExts {
		if g.files[i] != nil {
			continue
		}
		f, err := tree.Open(dir + g.name(ext))
		if err != nil {
			return err
		}
		g.files[i] = f
	}
	return nil
}

// close closes the files; what was written stays to be synced.
func (g *segment) close() error {
	var errs []error
	for i, f := range g.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
		g.files[i] = nil
	}
	return errors.Join(errs...)
}

// sync makes what was written durable.
func (g *segment) sync(tree disk.Tree, dir string) error {
	if err := g.open(tree, dir); err != nil {
		return err
	}
	for i, f := range g.files {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync %s%s: %w", dir, g.name(segmentExts[i]), err)
		}
	}
	return nil
}

// rewrite writes again what is not synced.
func (g *segment) rewrite(tree disk.Tree, dir string) error {
	errs := []error{g.open(tree, dir)}
	for i, f := range g.files {
		if f != nil {
			errs = append(errs, copyOver(f, g.synced[i], g.size[i]))
		}
	}
	return errors.Join(errs...)
}

// copyOver writes the bytes of a file from one offset to another over themselves.
func copyOver(f disk.File, from, to int64) error {
	b := make([]byte, to-from)
	if _, err := f.ReadAt(b, from); err != nil && len(b) > 0 {
		return err
	}
	_, err := f.WriteAt(b, from)
	return err
}

// write appends a block: its frame and its filter, then the entry that leads to them. On an
// error the files are cut back, as far as the disk allows; what is behind their size is
// never looked at.
func (g *segment) write(b *block, frame, grams []byte) error {
	b.frameAt, b.frameBytes, b.frameSum = g.size[0], len(frame), crc32.Checksum(frame, castagnoli)
	b.gramsAt, b.gramsBytes, b.gramsSum = g.size[2], len(grams), crc32.Checksum(grams, castagnoli)
	entry := appendEntry(nil, b)
	for i, part := range [...][]byte{frame, entry, grams} {
		if _, err := g.files[i].WriteAt(part, g.size[i]); err != nil {
			for k, f := range g.files {
				_ = f.Truncate(g.size[k])
			}
			return fmt.Errorf("write %s: %w", g.name(segmentExts[i]), err)
		}
	}
	b.settle(g.size[1], len(entry))
	g.size[0] += int64(len(frame))
	g.size[1] += int64(len(entry))
	g.size[2] += int64(len(grams))
	if g.began == 0 {
		g.began = b.written
	}
	g.last = b.written
	g.records += uint64(b.Records + b.Gaps)
	return nil
}

// remove takes the files away. The index goes first: one without its data would be damage.
func (g *segment) remove(tree disk.Tree, dir string) error {
	errs := []error{g.close()}
	for _, ext := range [...]string{idxExt, gramsExt, dataExt} {
		errs = append(errs, tree.Remove(dir+g.name(ext)))
	}
	return errors.Join(errs...)
}

// readAll returns the first size bytes of a file, or what there is of them.
func readAll(tree disk.Tree, name string, size int64) ([]byte, error) {
	f, err := tree.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	has, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(has, size))
	if len(b) == 0 {
		return nil, nil
	}
	n, err := f.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}
