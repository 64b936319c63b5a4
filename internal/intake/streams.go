package intake

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

const (
	// maxLabels bounds the memory for labels of all open streams.
	maxLabels = 32 << 20
	// maxSpellings is how many ways to write its labels are remembered of a stream.
	maxSpellings = 4
)

// ErrFull says that no further stream can be opened now.
var ErrFull = errors.New("too many streams are open")

// Stream is one set of labels.
type Stream struct {
	// Input is what its line is opened with.
	Input flow.Input
	// Level is what the labels say.
	Level record.Level
	// Turn has an element while someone uses Line.
	Turn chan struct{}
	// Line is nil before the first record; who has the turn may use it, and put.
	Line flow.Line

	bytes int // of its labels and their spellings

	// Guarded by Streams.mu.
	users     int // requests that have it
	last      time.Time
	spellings []string
}

// Take waits for the turn, which is given back with Give.
func (st *Stream) Take(done <-chan struct{}) bool {
	select {
	case st.Turn <- struct{}{}:
		return true
	case <-done:
		return false
	}
}

// Give gives the turn back.
func (st *Stream) Give() { <-st.Turn }

// Streams are those that are open, by their identity and by how senders write their labels.
type Streams struct {
	name    string // of the source
	most    int
	levelOf func(record.Labels) record.Level

	mu      sync.Mutex // guards all below
	byID    map[string]*Stream
	spelled map[string]*Stream
	bytes   int
}

// NewStreams returns those of a source: at most so many, whose level is what levelOf says of
// their labels.
func NewStreams(source string, most int, levelOf func(record.Labels) record.Level) *Streams {
	return &Streams{name: source, most: most, levelOf: levelOf, byID: map[string]*Stream{}, spelled: map[string]*Stream{}}
}

// Get returns the stream that a sender writes as key says, making it if need be with labels,
// and lets it stay open until Put. Its error is ErrFull, or that of labels.
func (s *Streams) Get(key []byte, labels func() (record.Labels, error)) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.spelled[string(key)]; st != nil {
		st.users++
		return st, nil
	}
	all, err := labels()
	if err != nil {
		return nil, err
	}
	id := s.name + "/" + all.String()
	st := s.byID[id]
	if st == nil {
		size := 2 * len(id) // the id, and the labels
		if len(s.byID) >= s.most || s.bytes+size > maxLabels {
			return nil, ErrFull
		}
		st = &Stream{
			Input: flow.Input{Stream: record.Stream{ID: id, Source: s.name, Labels: all}, Whole: true},
			Level: s.levelOf(all), bytes: size, Turn: make(chan struct{}, 1),
		}
		s.byID[id] = st
		s.bytes += size
	}
	if n := len(key); len(st.spellings) < maxSpellings && s.bytes+n <= maxLabels {
		spelling := string(key)
		st.spellings = append(st.spellings, spelling)
		s.spelled[spelling] = st
		st.bytes += n
		s.bytes += n
	}
	st.users++
	return st, nil
}

// Put says that a request does not need a stream any more. One that was made for a request of
// which nothing was taken is forgotten, so that it is in nobody's way. Nil is none.
func (s *Streams) Put(st *Stream) {
	if st == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.users--
	st.last = time.Now()
	if st.users == 0 && st.Line == nil {
		s.removeLocked(st)
	}
}

func (s *Streams) removeLocked(st *Stream) {
	delete(s.byID, st.Input.Stream.ID)
	for _, spelling := range st.spellings {
		delete(s.spelled, spelling)
	}
	s.bytes -= st.bytes
}

// CloseIdle closes the streams that nobody uses and nobody has used since a time; the zero
// time closes all, when no request can be under way.
func (s *Streams) CloseIdle(since time.Time) {
	var idle []*Stream
	s.mu.Lock()
	for _, st := range s.byID {
		if !since.IsZero() && (st.users > 0 || st.last.After(since)) {
			continue
		}
		idle = append(idle, st)
		s.removeLocked(st)
	}
	s.mu.Unlock()
	for _, st := range idle {
		if st.Line != nil {
			st.Line.Close(true) // it has no position that one could come back to
		}
	}
}

// Full returns what a sender is told that brings too many streams.
func (s *Streams) Full() string {
	return fmt.Sprintf("%d streams are open and at most %d can be (max_streams), or their labels take %d MiB; "+
		"use fewer labels with fewer values, and structured metadata for the rest", s.Len(), s.most, maxLabels>>20)
}

// Len returns how many are open.
func (s *Streams) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// Empty tells whether nothing is open and nothing remembered.
func (s *Streams) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)+len(s.spelled)+s.bytes == 0
}

// InUse tells whether a request has any of them.
func (s *Streams) InUse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.byID {
		if st.users > 0 || len(st.Turn) > 0 {
			return true
		}
	}
	return false
}
