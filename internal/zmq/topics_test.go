package zmq

import (
	"slices"
	"testing"
)

// TestTopics: what a peer wants is looked up by the lengths that there are, and one topic more or
// less costs nothing for the others.
func TestTopics(t *testing.T) {
	s := &subscription{topics: map[string]int{}}
	topic := make([]byte, 1001)
	for n := range 1000 {
		for range 2 {
			if !s.subscribe(topic[:n], true) {
				t.Fatal(n)
			}
		}
	}
	if allocs := testing.AllocsPerRun(100, func() {
		for range 10 {
			s.subscribe(topic, true)
			s.subscribe(topic, false)
		}
	}); allocs > 10 {
		t.Errorf("%v allocations", allocs)
	}
	for n := range 1000 {
		if s.subscribe(topic[:n], false); !s.wants(topic) {
			t.Errorf("%d is not wanted any more", n)
		}
		if n%10 != 3 {
			s.subscribe(topic[:n], false)
		}
		s.subscribe(topic, false) // it was not subscribed to
	}
	slices.Sort(s.sizes)
	if len(s.sizes) != 100 || s.sizes[0] != 3 || s.sizes[99] != 993 || !s.wants(topic[:3]) || s.wants(topic[:2]) || s.bytes != 100*498 {
		t.Errorf("%d sizes, %d bytes: %v", len(s.sizes), s.bytes, s.sizes)
	}
}

// BenchmarkSubscribe is one topic more and less beside 10,000.
func BenchmarkSubscribe(b *testing.B) {
	s := &subscription{topics: map[string]int{}}
	topic := make([]byte, 2)
	for n := range maxTopics - 1 {
		topic[0], topic[1] = byte(n>>8), byte(n)
		s.subscribe(topic, true)
	}
	for b.Loop() {
		s.subscribe([]byte("xyz"), true)
		s.subscribe([]byte("xyz"), false)
	}
}
