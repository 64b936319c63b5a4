// Package archive keeps the text of streams on disk, within bounds, and gives it back. It
// owns the directory `streams` of the data directory: for each stream
//
//	meta.json                  what the stream is
//	<first>.ndjson.zst         a segment: blocks of records, each one zstd frame
//	<first>.idx                one Head a block, for what can be answered without reading
//	<first>.grams              one gram filter a block, for skipping it in text searches
//	<first>.ndjson             the tail: records that do not fill a block yet
//
// where <first> is the sequence number of the first record, in 20 digits. A record is a
// line of NDJSON (package codec/kept).
//
// The writing side is used by one goroutine, the journal's committer. Text is handed to
// Stream.Add, which answers with what the journal's log has to hold in order to repeat it;
// files are written from memory after that, and synced only by Checkpoint, after which the
// log may forget. Recovery cuts the files to the lengths of the last checkpoint and repeats
// what the log holds since. So one sync of the log makes the text of all streams durable.
//
//	a, err := archive.Open(archive.Options{Tree: tree}, states)
//	s := a.Stream(def, keep)
//	log = s.Add(log, text)   // a kept.Text; write the log now
//	a.Flush()                // blocks to their files
//	a.Show()                 // the log is synced: readers may see it
//	a.Tidy()                 // and files that it makes superfluous may go
//
// The reading side may be used by any number of goroutines: Streams, View, Tail, Wait. A
// reader sees only what was shown, except for Tail, which is ahead of the disk.
//
// What the package leaves out: which records are kept, and what they mean to a query.
package archive

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

const (
	// blockBytes is how much NDJSON makes a block. Larger blocks compress better and make a
	// query read more around what it looks for.
	blockBytes = 512 << 10
	// minBlockBytes is the least for streams that keep little.
	minBlockBytes = 16 << 10
	// segmentBytes is how large a segment grows, compressed.
	segmentBytes = 8 << 20
	// minSegmentBytes is the least for streams that keep little.
	minSegmentBytes = 8 << 10
	// tailsBytes is how much of all tails stays in memory; beyond it they are on disk only.
	tailsBytes = 16 << 20
	// parts is into how many pieces the kept text of a stream is divided at least, so that
	// removing the oldest piece takes away little.
	parts = 8
)

// Bound is how much text is kept. Zero values mean no bound of that kind.
type Bound struct {
	// Size is in bytes on disk.
	Size int64
	// Age is counted from when the text was written here.
	Age time.Duration
}

// Options say where an archive lives and what it may take.
type Options struct {
	// Tree is the data directory.
	Tree disk.Tree
	// Total bounds all streams together.
	Total Bound
	// Floor is how many bytes of the disk are left free: with less, text is not kept.
	Floor int64
	// Log may be nil: then nothing is logged.
	Log *slog.Logger
	// ReadOnly opens the directory of another process, or of none, without changing it.
	ReadOnly bool
}

// Stats are what an archive did since it was opened, and has.
type Stats struct {
	Streams int
	Blocks  int
	// Bytes is what the files have; TextBytes what they would have uncompressed.
	Bytes, TextBytes int64
	// Missed counts records that were not kept because the disk was full or failed;
	// Removed those that retention took away.
	Missed, Removed uint64
	// Damaged counts blocks that cannot be read, and filters.
	Damaged uint64
}

// Archive is the kept text of a node.
type Archive struct {
	opts Options

	mu      sync.Mutex         // guards all below
	streams map[string]*Stream // by directory
	tails   map[*Tail]bool
	version uint64        // grows with each Show
	changed chan struct{} // closed and replaced by each Show
	full    bool          // below the floor
	refused bool          // the disk had no room for text that is written all the same
	broken  []broken      // filters to make again
	stats   Stats
	past    past

	cleared atomic.Bool // text went that no sink wants any more

	// Of the writing goroutine.
	touched []*Stream // since the last Show
	dirty   map[*Stream]bool
	// log and generation are the commit log's after the next checkpoint.
	log        string
	generation uint64
	unsure     bool             // a sync failed: what was written since the last checkpoint is in doubt
	stale      []stale          // tails whose files go once the log that has the text is synced
	evicted    []string         // directories of streams that are forgotten, which go then, too
	owed       map[*Stream]bool // those of which the log does not have yet what retention decided
	packer     packer
	grams      gram.Builder
	joined     []byte    // scratch: a tail and what completes its block
	retired    time.Time // when retention was last looked at
	over       int64     // by how much all tails together were over the node's bound then
}

// Stream returns the stream of that identity, made if need be, with its present labels and
// bound. It is not forgotten until Release was called as often. It may be called by any
// goroutine.
func (a *Archive) Stream(def record.Stream, keep Bound) *Stream {
	dir := dirOf(def.ID)
	a.mu.Lock()
	s := a.streams[dir]
	if s == nil {
		s = newStream(a, def, dir)
		s.begin(a.past.take(dir))
		a.streams[dir] = s
	}
	s.Hold()
	a.mu.Unlock()
	s.describe(def, keep)
	return s
}

// Streams returns the streams that have text, ordered by their identity.
func (a *Archive) Streams() []*Stream {
	all := a.All()
	all = slices.DeleteFunc(all, func(s *Stream) bool { return !s.shows() })
	slices.SortFunc(all, func(x, y *Stream) int { return strings.Compare(x.ID(), y.ID()) })
	return all
}

// All returns all streams, those without text too, in no order.
func (a *Archive) All() []*Stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.streams))
}

// Find returns the stream with that identity, or nil.
func (a *Archive) Find(id string) *Stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams[dirOf(id)]
}

// Wait returns once something was shown after the version seen, and the present version.
// Begin with zero: what was there at the start is a version, too. It fails only when ctx ends.
func (a *Archive) Wait(ctx context.Context, seen uint64) (uint64, error) {
	for {
		a.mu.Lock()
		version, changed := a.version, a.changed
		a.mu.Unlock()
		if version != seen {
			return version, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return version, ctx.Err()
		}
	}
}

// Stats returns what the archive did and has.
func (a *Archive) Stats() Stats {
	a.mu.Lock()
	st := a.stats
	a.mu.Unlock()
	for _, s := range a.All() {
		bytes, text, blocks := s.Size()
		if blocks > 0 || text > 0 {
			st.Streams++
		}
		st.Bytes, st.TextBytes, st.Blocks = st.Bytes+bytes, st.TextBytes+text, st.Blocks+blocks
	}
	return st
}

// Full tells whether the disk has less room than the floor, or none, so that text is not kept.
func (a *Archive) Full() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.full || a.refused
}

// Low tells whether it has less than the floor. Where it has none, but the log has, text may
// come that is written once there is room.
func (a *Archive) Low() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.full
}

// A CorruptError says what of the kept text is damaged. The rest is there.
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
