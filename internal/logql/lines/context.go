package lines

import (
	"cmp"
	"context"
	"slices"

	"github.com/weirlog/weir/internal/logql"
)

// shown remembers what was emitted, so that nothing is twice.
type shown struct {
	last   map[string]uint64 // the greatest sequence number, by stream
	any    bool
	stream string // of the last line
	number uint64
}

// group is records of one stream that follow one another, with lines among them.
type group struct {
	stream string
	logql.Range
	first int // the place of its first line among all
}

// aroundBytes is about how many bytes the lines around those of one piece may have.
const aroundBytes = 2 * pageBytes

// around returns lines with what is around them; a LimitError if that is too much for one
// piece. Groups stay together, in the order of their
// first lines: of records of several streams that were written at the same time, one
// stream's stand before another's.
func (w *walk) around(ctx context.Context, entries []logql.Entry) ([]Line, error) {
	hits := map[string]map[uint64]*logql.Entry{}
	for i := range entries {
		e := &entries[i]
		if hits[e.Stream] == nil {
			hits[e.Stream] = map[uint64]*logql.Entry{}
		}
		hits[e.Stream][e.Sequence] = e
	}
	groups := w.groups(entries)
	near, bytes := map[string][]logql.Entry{}, 0
	for stream := range hits {
		var ranges []logql.Range
		for _, g := range groups {
			if g.stream == stream {
				ranges = append(ranges, g.Range)
			}
		}
		var err error
		if near[stream], err = w.records(ctx, stream, ranges); err != nil {
			return nil, err
		}
		for i := range near[stream] {
			bytes += len(near[stream][i].Line)
		}
		if bytes > aroundBytes && len(entries) > 1 {
			return nil, &logql.LimitError{What: "there is too much around so many lines"}
		}
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.first, b.first) })
	var some []Line
	for _, g := range groups {
		some = w.append(some, g, near[g.stream], hits[g.stream])
	}
	return some, nil
}

func (w *walk) records(ctx context.Context, stream string, ranges []logql.Range) ([]logql.Entry, error) {
	done, err := w.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	res, err := w.Engine.Records(ctx, stream, ranges)
	w.meet(res.Damage)
	return res.Entries, err
}

// groups returns the ranges of records that are wanted, by stream and number.
func (w *walk) groups(entries []logql.Entry) []group {
	var all []group
	for i := range entries {
		e := &entries[i]
		g := group{stream: e.Stream, first: i, Range: logql.Range{First: e.Sequence - min(uint64(w.Before), e.Sequence-1), Last: e.Sequence + uint64(w.After)}}
		if last := w.shown.last[e.Stream]; last >= g.First { // context is shown once; the line itself always
			g.First = min(last+1, e.Sequence)
		}
		all = append(all, g)
	}
	slices.SortStableFunc(all, func(a, b group) int { return cmp.Or(cmp.Compare(a.stream, b.stream), cmp.Compare(a.First, b.First)) })
	merged := all[:0]
	for _, g := range all {
		if n := len(merged); n > 0 && merged[n-1].stream == g.stream && g.First <= merged[n-1].Last+1 {
			to := &merged[n-1]
			to.Last, to.first = max(to.Last, g.Last), min(to.first, g.first)
			continue
		}
		merged = append(merged, g)
	}
	return merged
}

// append appends the lines of a group. A record that was removed meanwhile is left out, but
// for the lines that were asked for.
func (w *walk) append(dst []Line, g group, near []logql.Entry, hits map[uint64]*logql.Entry) []Line {
	at, _ := slices.BinarySearchFunc(near, g.First, func(e logql.Entry, seq uint64) int { return cmp.Compare(e.Sequence, seq) })
	for seq := g.First; seq <= g.Last; seq++ {
		for at < len(near) && near[at].Sequence < seq {
			at++
		}
		line := Line{}
		if hit := hits[seq]; hit != nil {
			line.Entry = *hit
		} else if at < len(near) && near[at].Sequence == seq {
			line.Entry, line.Context = near[at], true
		} else {
			continue
		}
		s := &w.shown
		line.Apart = s.any && (s.stream != g.stream || s.number+1 != seq)
		s.any, s.stream, s.number = true, g.stream, seq
		s.last[g.stream] = max(s.last[g.stream], seq)
		dst = append(dst, line)
	}
	return dst
}
