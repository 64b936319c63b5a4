package archive

import (
	"context"
	"sync"

	"github.com/weirlog/weir/internal/record"
)

// Tail is a live view of records as they are accepted, before they are on disk. It holds a
// bounded amount; a reader that is slower loses records, and is told how many.
type Tail struct {
	a     *Archive
	match func(record.Labels) bool
	limit int

	mu     sync.Mutex // guards all below
	chunks []Chunk
	bytes  int
	lost   int
	ready  chan struct{} // has one element when there is something to take
}

// Chunk is consecutive records of one stream, as NDJSON.
type Chunk struct {
	Stream record.Stream
	Text   []byte
}

// Tail begins to follow the streams whose labels match, holding up to limit bytes.
func (a *Archive) Tail(match func(record.Labels) bool, limit int) *Tail {
	t := &Tail{a: a, match: match, limit: limit, ready: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tails[t] = true
	return t
}

// Close ends it. It may be called twice.
func (t *Tail) Close() {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	delete(t.a.tails, t)
}

// Next returns what came since the last call, and how many records were lost because the
// caller was too slow. It waits until there is something, or ctx ends.
func (t *Tail) Next(ctx context.Context) (chunks []Chunk, lost int, err error) {
	for {
		t.mu.Lock()
		chunks, lost = t.chunks, t.lost
		t.chunks, t.bytes, t.lost = nil, 0, 0
		t.mu.Unlock()
		if len(chunks) > 0 || lost > 0 {
			return chunks, lost, nil
		}
		select {
		case <-t.ready:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// offer gives the tail a copy of text, or counts its records as lost.
func (t *Tail) offer(s *record.Stream, text []byte, records int) {
	if !t.match(s.Labels) {
		return
	}
	t.mu.Lock()
	if t.bytes+len(text) > t.limit {
		t.lost += records
	} else {
		t.chunks = append(t.chunks, Chunk{Stream: *s, Text: append([]byte(nil), text...)})
		t.bytes += len(text)
	}
	t.mu.Unlock()
	select {
	case t.ready <- struct{}{}:
	default:
	}
}

// Followed tells whether anybody follows a stream live.
func (a *Archive) Followed(s *record.Stream) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for t := range a.tails {
		if t.match(s.Labels) {
			return true
		}
	}
	return false
}

// Hurry tells whether anybody follows any stream live, so that what is written should be
// read soon.
func (a *Archive) Hurry() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.tails) > 0
}

// Publish gives text, whole lines, to those who follow the stream live. It never waits for
// them and may be called concurrently.
func (a *Archive) Publish(s *record.Stream, text []byte, records int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for t := range a.tails {
		t.offer(s, text, records)
	}
}
