package agent

import (
	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/record"
)

// keepOf returns what is kept of a stream to which the rules apply, as the journal is told;
// ok is false when that is nothing. Where no rule wants the text, it is kept for the sinks
// that do, until they have it.
func keepOf(s record.Stream, rules []*rule, sinks []string) (k journal.Keep, ok bool) {
	what := kept(rules)
	k = journal.Keep{Bound: archive.Bound{Size: int64(what.Size), Age: what.Age}, Fields: what.Fields, Classes: classStreams(s, what.Classes)}
	if what.None {
		k.Until = sinks
	}
	return k, !what.None || len(sinks) > 0
}
