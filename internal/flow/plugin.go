package flow

import (
	"log/slog"

	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/record"
)

// A Plugin makes stages that see what rules leave of the records of a stream, as the last
// before the journal. They may change text, level, time and fields, and drop records.
type Plugin interface {
	// Stage returns the stage of one line. Stages of several lines run at the same time.
	Stage(l PluginLine) Stage
	// Close releases what the stages share, after the last of them was used.
	Close() error
}

// PluginDeps is what a plugin sees of the world.
type PluginDeps struct {
	// Name says which it is: the rule, and its place in there.
	Name string
	// Log carries the name.
	Log *slog.Logger
	// Ledger is where the plugin says how it fares.
	Ledger *ledger.Component
}

// PluginLine is what a plugin's stage is made for.
type PluginLine struct {
	Stream record.Stream
	// Rule is the bit in Record.Rules of the rule that names the plugin.
	Rule uint64
	// Dropped is the durable series that counts what the plugin drops.
	Dropped uint32
}

// Sees tells whether the plugin is concerned with a record: its rule applies to it, and no
// filter has taken it out.
func (l PluginLine) Sees(r *record.Record) bool {
	return r.Rules&l.Rule != 0 && r.Flags&(record.Dropped|record.Lost) == 0
}

// Drop takes record i out and counts that.
func (l PluginLine) Drop(b *record.Batch, i int) {
	b.Records[i].Flags |= record.Dropped
	if n := len(b.Deltas); n > 0 && b.Deltas[n-1].Series == l.Dropped && b.Deltas[n-1].Cell == 0 {
		b.Deltas[n-1].Add++
		return
	}
	b.Deltas = append(b.Deltas, record.Delta{Series: l.Dropped, Add: 1})
}
