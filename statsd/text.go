package statsd

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"
)

// text is what the lines of one metric with one set of tags have around their values. It
// never changes.
type text struct {
	scope *scope
	kind  kind
	name  string
	tags  []string
	head  string // up to the value
	end   string // from the value on
}

// newText returns a text with strings of its own. It fails if there is no name, or if lines
// could get too long: then calls go on to where that is counted.
func newText(s *scope, k kind, name string, tags []string) (text, bool) {
	size := len(name)
	for _, tag := range tags {
		size += len(tag)
	}
	if name == "" || size > maxLine/4 {
		return text{}, false
	}
	t := text{scope: s, kind: k, name: strings.Clone(name)}
	for _, tag := range tags {
		t.tags = append(t.tags, strings.Clone(tag))
	}
	t.head = string(s.appendHead(nil, k, name, tags))
	t.end = string(s.appendEnd(nil, k, tags))
	return t, len(t.head)+len(t.end) <= maxLine/4
}

func (t *text) is(s *scope, k kind, name string, tags []string) bool {
	return t.kind == k && t.name == name && slices.Equal(t.tags, tags) && t.scope.same(s)
}

// odd mixes hashes: 2^64 divided by the golden ratio.
const odd = 0x9e3779b97f4a7c15

// slotBits is the size of the caches by address.
const slotBits = 10

// slot returns the place in a cache of a metric. Most calls name a metric by the same
// constant strings as the call before, so it comes from where the strings are. That only
// chooses the place: what is in it has to be compared by content.
func slot(s *scope, k kind, name string, tags []string) uint64 {
	at := s.mix + uint64(uintptr(unsafe.Pointer(unsafe.StringData(name)))) + uint64(k)
	for i := range tags {
		at = at*odd + uint64(uintptr(unsafe.Pointer(unsafe.StringData(tags[i]))))
	}
	return at * odd >> (64 - slotBits)
}

// hash returns a hash of the content.
func hash(seed maphash.Seed, s *scope, name string, tags []string) uint64 {
	h := s.mix + maphash.String(seed, name)
	for i := range tags {
		h = h*odd + maphash.String(seed, tags[i])
	}
	return h
}

// texts keeps the texts of metrics of which every call is a line, those that are called by
// the same strings again and again. A text is made when a place is asked twice in a row for
// the same content, so that names made anew for each call are not remembered.
type texts struct {
	seed  maphash.Seed
	slots [1 << slotBits]struct {
		text  atomic.Pointer[text]
		asked atomic.Uint64 // hash of the content that was not there
	}
}

// find returns the text of a metric, or nil if it is not kept.
func (c *texts) find(s *scope, k kind, name string, tags []string) *text {
	at := &c.slots[slot(s, k, name, tags)]
	if found := at.text.Load(); found != nil && found.is(s, k, name, tags) {
		return found
	}
	h := hash(c.seed, s, name, tags)
	if at.asked.Swap(h) != h {
		return nil
	}
	t, ok := newText(s, k, name, tags)
	if !ok {
		return nil
	}
	at.text.Store(&t)
	return &t
}
