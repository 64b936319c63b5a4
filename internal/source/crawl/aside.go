package crawl

import "github.com/weirlog/weir/internal/flow"

// aside keeps chunks of a stream's ids beside its position, as state of the source. A chunk is
// stored before the position that counts on it is written, and removed after one that does not,
// so that whatever is committed in between, each position finds its chunks.
type aside struct {
	state  flow.State // nil: nothing is laid aside
	prefix string
	// generation and chunks are what the position counts on that was written last.
	generation uint64
	chunks     int
}

// load returns a chunk.
func (a *aside) load(name string) []byte {
	if a.state == nil {
		return nil
	}
	return a.state.Load(a.prefix + name)
}

// open takes note of what a position counts on, and removes what was left behind by a crash.
func (a *aside) open(s *seen) {
	a.generation, a.chunks = s.generation, s.aside
	if a.state == nil {
		return
	}
	a.remove(s.generation, s.aside)
	if s.generation > 0 {
		a.remove(s.generation-1, 0)
	}
}

// remove removes the chunks of a generation from one on. The last one goes first, so that
// those that are left begin where they should whenever that ends.
func (a *aside) remove(generation uint64, from int) {
	end := from
	for len(a.load(chunkName(generation, end))) > 0 {
		end++
	}
	for end > from {
		end--
		a.state.Store(a.prefix+chunkName(generation, end), nil)
	}
}

// before lays ids aside, for a position that is to be written.
func (a *aside) before(s *seen) {
	if a.state == nil {
		return
	}
	for len(s.rest()) >= chunkIDs {
		a.state.Store(a.prefix+chunkName(s.generation, s.aside), appendIDs(nil, s.rest()[:chunkIDs]))
		s.aside++
	}
}

// after removes what the position that was written does not count on any more.
func (a *aside) after(s *seen) {
	if a.state != nil && s.generation != a.generation && a.chunks > 0 {
		a.remove(a.generation, 0)
	}
	a.generation, a.chunks = s.generation, s.aside
}
