package parse

import (
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxSamples     = 5
	maxSampleBytes = 2048
	sampleEvery    = time.Second
)

// Samples keeps the last few records that a rule's parser did not match, in memory only.
// It may be used concurrently.
type Samples struct {
	// Redact is applied to a sample before it is kept; nil means it is kept as it is.
	Redact func(line []byte) []byte

	mu    sync.Mutex // guards below
	lines []string   // the oldest first
	last  time.Time  // when the newest was kept
}

// Lines returns the samples, the oldest first.
func (s *Samples) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// wants tells whether it is time for another sample, so that a stream that never matches
// costs little.
func (s *Samples) wants() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines) < maxSamples || time.Since(s.last) >= sampleEvery
}

func (s *Samples) add(line []byte) {
	if s.Redact != nil {
		line = s.Redact(line)
	}
	text := strings.ToValidUTF8(string(line[:min(len(line), maxSampleBytes)]), "\uFFFD")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == maxSamples {
		s.lines = append(s.lines[:0], s.lines[1:]...)
	}
	s.lines = append(s.lines, text)
	s.last = time.Now()
}
