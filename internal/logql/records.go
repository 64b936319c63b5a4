package logql

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// Range is sequence numbers of a stream, both ends included.
type Range struct{ First, Last uint64 }

// Records returns records of a stream as they were kept, in the order of their sequence
// numbers: those in one of the ranges, which are sorted and do not overlap. What was
// removed meanwhile, or is damaged, is left out; of the latter the answer says so. They may
// take as many bytes as the lines of a query.
func (e *Engine) Records(ctx context.Context, stream string, ranges []Range) (Result, error) {
	res := Result{Kind: Streams}
	streams := e.opts.Archive.Streams()
	i := slices.IndexFunc(streams, func(s *archive.Stream) bool { return s.ID() == stream })
	if i < 0 || len(ranges) == 0 {
		return res, nil
	}
	r := recordReader{view: streams[i].View(), follower: NewFollower(&syntax.LogQuery{}), chunk: archive.Chunk{Stream: streams[i].Definition()}}
	r.budget.left.Store(e.opts.MaxMemory)
	defer r.view.Close()
	last := ranges[len(ranges)-1].Last
	n := r.view.Len()
	at := sort.Search(n, func(i int) bool { return r.end(i) > ranges[0].First })
	for ; at < n && r.view.Head(at).First <= last; at++ {
		if ctx.Err() != nil {
			return res, ctx.Err()
		}
		if err := r.block(at, ranges); err != nil {
			return res, err
		}
	}
	res.Entries, res.Damage = r.entries, r.met.sorted()
	return res, nil
}

// recordReader collects records of one stream.
type recordReader struct {
	view     *archive.View
	dec      archive.Decoder
	text     []byte
	follower *Follower
	chunk    archive.Chunk
	entries  []Entry
	met      damages
	budget   budget
}

// end returns the sequence number after the last record of a block.
func (r *recordReader) end(block int) uint64 {
	h := r.view.Head(block)
	return h.First + uint64(h.Records+h.Gaps)
}

// block appends the records of a block that are in one of the ranges.
func (r *recordReader) block(i int, ranges []Range) error {
	next := sort.Search(len(ranges), func(k int) bool { return ranges[k].Last >= r.view.Head(i).First })
	if next == len(ranges) || ranges[next].First >= r.end(i) {
		return nil // they are between two ranges
	}
	var err error
	r.text, err = r.view.AppendText(r.text[:0], i, &r.dec)
	if err != nil && (errors.Is(err, archive.ErrGone) || r.met.add(r.chunk.Stream.ID, r.view.Head(i), err)) {
		return nil
	}
	if err != nil {
		return err
	}
	seq := r.view.Head(i).First
	for line := range kept.Lines(r.text) {
		for next < len(ranges) && ranges[next].Last < seq {
			next++
		}
		if next == len(ranges) {
			return nil
		}
		if seq >= ranges[next].First {
			from := len(r.entries)
			r.chunk.Text = line
			r.entries = r.follower.Append(r.entries, r.chunk)
			for k := range r.entries[from:] {
				r.entries[from+k].Sequence = seq
				if r.budget.charge(int(r.entries[from+k].size())) != nil {
					return &LimitError{"the records take more memory than one answer may have; ask for fewer around each line"}
				}
			}
		}
		seq++
	}
	return nil
}
