package docker

// How a log is read whose stream and whose content are both not to be trusted alone.
//
// Engines before Docker 23 (API 1.42) follow a log in a way that, when it is rotated, may
// leave out whole files and the last lines of one, and repeats the first of the next. Newer
// ones leave out files too, those that are rotated twice before they come to them. What they
// answer without following is in order and complete from its first message on, up to
// the moment of asking; but what was rotated away before anyone asked is not in it. So both
// are read, and one log is made of them:
//
//  1. A message is named by its time, its sub-stream and the hash of its text; a piece of a
//     long line also by which it is, for all pieces have the line's time. What the stream
//     tells under a name that was written is a duplicate, and is left out.
//  2. The content comes first. While it reaches back to the last message that was written,
//     all that is new in it is written, in its order, and what the stream told up to then is
//     forgotten.
//  3. If it does not reach back, what the stream told between the two is written first, in
//     the stream's order; then the content. So records are in the order of the log.
//  4. A gap is stated with it, unless there cannot be one: the stream has told the last
//     message written before and the first of the content, each file between them is as
//     full as one has to be before the engine begins the next, and from the end of one to
//     the beginning of the next there was no time for a whole file that both have missed; or
//     there was, but the stream had told the one before the other was written, and a file is
//     so large that the stream would have begun to tell it.
//
// How full a file is can be told of a log of one file (max-file=1, which is Docker's default),
// where whatever was not fetched is lost at each rotation. With more files it is rare that a
// fetch comes too late, and then a gap is stated always.

import (
	"context"
	"slices"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

// name identifies a message of one log.
type name struct {
	time  int64
	hash  uint32 // of time, sub-stream and text
	piece uint32 // which piece of its line it is
}

// namer names the messages of one log in order.
type namer struct {
	pieces [2]uint32 // how many of an unfinished line there were, by sub-stream
}

func (n *namer) name(m dockerapi.Message) name {
	sub := 0
	if m.Stderr {
		sub = 1
	}
	is := name{time: m.Time, hash: recordHash(m.Time, m.Stderr, m.Text), piece: n.pieces[sub]}
	if n.pieces[sub]++; !m.Partial {
		n.pieces[sub] = 0
	}
	return is
}

// recent remembers the names of more messages than a cursor does, in memory alone.
type recent struct {
	namer namer
	names [1024]name
	n     int
}

func (r *recent) add(m dockerapi.Message) name {
	is := r.namer.name(m)
	r.names[r.n%len(r.names)] = is
	r.n++
	return is
}

func (r *recent) all() []name { return r.names[:min(r.n, len(r.names))] }

// has tells whether a message is one of them, or like one of them: which piece of a line it
// is does not count.
func (r *recent) has(m dockerapi.Message) bool {
	hash := recordHash(m.Time, m.Stderr, m.Text)
	return slices.ContainsFunc(r.all(), func(is name) bool { return is.time == m.Time && is.hash == hash })
}

// The gaps that this way of reading may leave.
var (
	gapRotated = record.Gap{Bytes: -1, Reason: "rotated away"}
	gapPerhaps = record.Gap{Bytes: -1, Reason: "perhaps rotated away"}
	gapRemoved = record.Gap{Bytes: -1, Reason: "removed"}
)

// bridge writes what only the stream has told: what came after the cursor and before first,
// the first message that the log still has. It returns the names of messages that may come
// again though they are written now.
func (x *follower) bridge(ctx context.Context, first dockerapi.Message) (written map[name]bool, err error) {
	s := x.bell.between(ctx, &x.cursor, first)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	begun := x.cursor.n > 0
	if !begun { // from where it is to be read nobody can say what there was
		s.words = slices.DeleteFunc(s.words, func(h heard) bool { return h.Time < x.cursor.since })
	}
	words, written := x.unwritten(s.words)
	var gaps []record.Gap
	switch {
	case begun && s.found && !s.told.IsZero():
		s.words = append(words, heard{Message: first})
		gaps = x.fill.missing(&x.cursor, s)
	case begun:
		gaps = append(gaps, gapRotated)
	}
	if err := x.writeWords(ctx, words, gaps); err != nil {
		return nil, err
	}
	if x.fill.begin(); !begun && x.cursor.since > 0 {
		x.fill.unknown() // the first message may not be the first of the file
	}
	if s.found {
		return nil, nil
	}
	return written, nil
}

// unwritten returns those of words that were not written yet, each once, and the names of
// what is written with them.
func (x *follower) unwritten(words []heard) (fresh []heard, written map[name]bool) {
	written = make(map[name]bool, len(x.recent.names)+len(words))
	for _, is := range x.recent.all() {
		written[is] = true
	}
	for _, h := range words {
		if !written[h.name] {
			written[h.name] = true
			fresh = append(fresh, h)
		}
	}
	return fresh, written
}

// writeWords writes what was heard and what was lost.
func (x *follower) writeWords(ctx context.Context, words []heard, gaps []record.Gap) error {
	for len(words) > 0 || len(gaps) > 0 {
		b, err := x.fleet.deps.Batches.Get(ctx, &x.in)
		if err != nil {
			return err
		}
		b.Gaps, gaps = append(b.Gaps, gaps...), nil
		for len(words) > 0 && len(b.Records) < batchRecords && len(b.Arena) < batchBytes {
			x.appendMessage(b, words[0].Message)
			words = words[1:]
		}
		x.setPosition(b)
		err = x.write(ctx, b)
		x.fleet.deps.Batches.Put(b)
		if err != nil {
			return err
		}
	}
	return nil
}
