package push

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

const (
	// maxLabels bounds the memory for labels of all open streams.
	maxLabels = 32 << 20
	// maxSpellings is how many ways to write its labels are remembered of a stream.
	maxSpellings = 4
)

// errFull says that no further stream can be opened now.
var errFull = errors.New("too many streams are open")

// stream is one set of labels.
type stream struct {
	input flow.Input
	level record.Level // what the labels say
	bytes int          // of its labels and their spellings

	turn chan struct{} // has an element while someone uses line
	line flow.Line     // nil before the first record; who has the turn may use it, and put

	// Guarded by streams.mu.
	users     int // pushes that have it
	last      time.Time
	spellings []string
}

// streams are those that are open, by their identity and by how senders write their labels.
type streams struct {
	cfg  Config
	name string // of the source

	mu      sync.Mutex // guards all below
	byID    map[string]*stream
	spelled map[string]*stream
	bytes   int
	key     []byte // scratch
}

func newStreams(cfg Config, name string) *streams {
	return &streams{cfg: cfg, name: name, byID: map[string]*stream{}, spelled: map[string]*stream{}}
}

// get returns the stream of labels, making it if need be, and lets it stay open until put.
// Its error is errFull, or says what is wrong with the labels.
func (s *streams) get(l lokipush.Labels, tenant string) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = append(append(s.key[:0], tenant...), 0)
	if l.JSON {
		s.key = append(s.key, 'j')
	}
	s.key = append(s.key, l.Text...)
	if st := s.spelled[string(s.key)]; st != nil {
		st.users++
		return st, nil
	}
	labels, err := l.Parse()
	if err != nil {
		return nil, err
	}
	labels = s.complete(labels, tenant)
	id := s.name + "/" + labels.String()
	st := s.byID[id]
	if st == nil {
		size := 2 * len(id) // the id, and the labels
		if len(s.byID) >= s.cfg.MaxStreams || s.bytes+size > maxLabels {
			return nil, errFull
		}
		st = &stream{
			input: flow.Input{Stream: record.Stream{ID: id, Source: s.name, Labels: labels}, Whole: true},
			level: levelOf(labels), bytes: size, turn: make(chan struct{}, 1),
		}
		s.byID[id] = st
		s.bytes += size
	}
	if n := len(s.key); len(st.spellings) < maxSpellings && s.bytes+n <= maxLabels {
		spelling := string(s.key)
		st.spellings = append(st.spellings, spelling)
		s.spelled[spelling] = st
		st.bytes += n
		s.bytes += n
	}
	st.users++
	return st, nil
}

// complete adds the label source, and those that the configuration asks for.
func (s *streams) complete(labels record.Labels, tenant string) record.Labels {
	m := map[string]string{"source": s.name}
	for _, l := range labels {
		m[l.Name] = l.Value
	}
	if s.cfg.TenantLabel != "" && tenant != "" {
		m[s.cfg.TenantLabel] = tenant
	}
	for name, value := range s.cfg.Labels {
		m[name] = value
	}
	return record.NewLabels(m)
}

// put says that a push does not need these streams any more. Those that were made for a push
// of which nothing was taken are forgotten, so that they are in nobody's way.
func (s *streams) put(all []*stream) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range all {
		if st == nil {
			continue
		}
		st.users--
		st.last = now
		if st.users == 0 && st.line == nil {
			s.removeLocked(st)
		}
	}
}

func (s *streams) removeLocked(st *stream) {
	delete(s.byID, st.input.Stream.ID)
	for _, spelling := range st.spellings {
		delete(s.spelled, spelling)
	}
	s.bytes -= st.bytes
}

// closeIdle closes the streams that nobody uses and nobody has used since a time; the zero
// time closes all, when no push can be under way.
func (s *streams) closeIdle(since time.Time) {
	var idle []*stream
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
		if st.line != nil {
			st.line.Close(true) // it has no position that one could come back to
		}
	}
}

// full returns what a sender is told that brings too many streams.
func (s *streams) full() string {
	return fmt.Sprintf("%d streams are open and at most %d can be (max_streams), or their labels take %d MiB; "+
		"use fewer labels with fewer values, and structured metadata for the rest", s.len(), s.cfg.MaxStreams, maxLabels>>20)
}

func (s *streams) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// surest is what levelName returns of the name under which queries have the level.
const surest = 4

// levelName returns how much a label or field of that name says about the level of a record:
// the more the better, 0 is nothing.
func levelName(name string) int {
	switch name {
	case "detected_level":
		return surest
	case "level":
		return 3
	case "severity", "severity_text":
		return 2
	case "lvl", "loglevel", "log_level":
		return 1
	}
	return 0
}

func levelOf(labels record.Labels) (level record.Level) {
	best := 0
	for _, l := range labels {
		if rank := levelName(l.Name); rank > best {
			if v := severity.FromValue([]byte(l.Value)); v != record.LevelUnknown {
				best, level = rank, v
			}
		}
	}
	return level
}
