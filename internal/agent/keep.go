package agent

import (
	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/journal"
)

// keepOf returns what is kept of a stream to which the rules apply, as the journal is told;
// ok is false when that is nothing.
func keepOf(rules []*rule) (k journal.Keep, ok bool) {
	what := kept(rules)
	return journal.Keep{Bound: archive.Bound{Size: int64(what.Size), Age: what.Age}, Fields: what.Fields}, !what.None
}
