package intake

import (
	"sync"

	"github.com/weirlog/weir/internal/flow"
)

// Gate lets requests use the lines of a source while its Run does. The zero value is shut.
type Gate struct {
	mu      sync.Mutex     // guards lines, and adding to writing
	lines   flow.Lines     // nil while it is shut
	writing sync.WaitGroup // requests that use lines
}

// Open lets requests in.
func (g *Gate) Open(lines flow.Lines) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = lines
}

// Shut lets no more in, and waits for those that are.
func (g *Gate) Shut() {
	g.Open(nil)
	g.writing.Wait()
}

// Enter returns the lines, unless the gate is shut; leave must be called when they are not used any
// more.
func (g *Gate) Enter() (lines flow.Lines, leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lines == nil {
		return nil, nil, false
	}
	g.writing.Add(1)
	return g.lines, g.writing.Done, true
}
