package agent

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/sink/remotewrite"
	"github.com/weirlog/weir/internal/tsdb"
	"github.com/weirlog/weir/internal/tsdb/api"
)

// History says how much of the past of the numbers is kept: none, or what its HistoryBounds
// say.
type History struct {
	// None keeps no history, and answers no PromQL.
	None bool
	HistoryBounds
}

// HistoryBounds bound the history of the numbers, which PromQL asks.
type HistoryBounds struct {
	// Age is how long samples are kept. They go in blocks of at least two hours. At least 3h.
	// Default: 15d.
	Age time.Duration `yaml:"age"`
	// Size is how much the history may take on the disk. Beyond it the oldest block goes; the
	// newest two to three hours always stay. At least 16MiB. Default: 512MiB.
	Size config.Bytes `yaml:"size"`
	// Interval is how far samples are apart, from 1s to 2m. Default: 15s.
	Interval time.Duration `yaml:"interval"`
	// MaxExemplars is how many exemplars are kept, of all series together; each new one takes the
	// place of the oldest. From 0, which keeps none, to 1000000. Default: 10000.
	MaxExemplars int `yaml:"max_exemplars"`
}

// defaultHistory returns the history of a node that is not told any.
func defaultHistory() History {
	return History{HistoryBounds: HistoryBounds{Age: tsdb.DefaultAge, Size: tsdb.DefaultSize, Interval: tsdb.DefaultInterval, MaxExemplars: tsdb.DefaultExemplars}}
}

// The least and most that bounds of the history make sense for. A query takes a sample that
// is up to five minutes old for one of now.
const (
	minHistoryAge      = 3 * time.Hour
	minHistorySize     = 16 << 20
	minHistoryInterval = time.Second
	maxHistoryInterval = 2 * time.Minute
	mostExemplars      = 1_000_000
)

// Validate returns what is wrong with b.
func (b HistoryBounds) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if b.Age < minHistoryAge {
		problem("age", "want at least 3h; history: none keeps no history")
	}
	if b.Size < minHistorySize {
		problem("size", "want at least 16MiB; history: none keeps no history")
	}
	if b.Interval < minHistoryInterval || b.Interval > maxHistoryInterval {
		problem("interval", "want 1s to 2m")
	}
	if b.MaxExemplars < 0 || b.MaxExemplars > mostExemplars {
		problem("max_exemplars", "want 0 to 1000000")
	}
	return config.Join(problems...)
}

// UnmarshalNode reads `none` or bounds.
func (h *History) UnmarshalNode(n *config.Node) error {
	if n.Kind() == config.Map {
		return config.Decode(n, &h.HistoryBounds).Err()
	}
	if n.Kind() != config.Scalar || n.Text() != "none" {
		return &config.Problem{Message: "want none, or bounds as in {age: 15d, size: 512MiB, interval: 15s}"}
	}
	h.None = true
	return nil
}

// MarshalNode is the reverse of UnmarshalNode.
func (h History) MarshalNode() any {
	if h.None {
		return "none"
	}
	return h.HistoryBounds
}

// Schema has both forms.
func (h History) Schema() map[string]any {
	return map[string]any{"title": "`none` or keys", "anyOf": []any{map[string]any{"const": "none"}, h.HistoryBounds}}
}

// historyDir is the folder of the history in the data directory.
const historyDir = "tsdb"

// newHistory returns the history that cfg asks for, nil if it asks for none. What reads its
// inputs once has none, nor has an agent whose data directory is replaced.
func (a *Agent) newHistory(cfg Config) (*tsdb.DB, error) {
	if cfg.History.None || a.opts.Once || a.opts.FS != nil {
		return nil, nil
	}
	return tsdb.New(tsdb.Options{
		Dir: filepath.Join(cfg.DataDir, historyDir), Age: cfg.History.Age, Size: int64(cfg.History.Size), Interval: cfg.History.Interval, Exemplars: cfg.History.MaxExemplars,
		Registry: a.registry, Health: a.ledger.Component("history", "tsdb", "tsdb"), Log: a.opts.Log.With("history", "tsdb"),
	})
}

// remember feeds the history until ctx ends.
func (a *Agent) remember(ctx context.Context, serving *sync.WaitGroup) {
	if a.history == nil {
		return
	}
	serving.Go(func() {
		if err := a.history.Run(ctx); err != nil {
			a.opts.Log.Error("close the history", "error", err)
		}
	})
}

// newPrometheus returns what answers Prometheus' API.
func (a *Agent) newPrometheus() (http.Handler, error) {
	if a.history == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no history is kept here: the configuration says history: none", http.StatusNotFound)
		}), nil
	}
	return api.New(api.Deps{History: a.history, Registry: a.registry, Log: a.opts.Log, Version: a.opts.Version})
}

// newRemoteWrite gives a sink of remote write the history.
func newRemoteWrite(c remotewrite.Config, d sinkDeps) (outlet, error) {
	if d.history == nil { // inputs are read once
		return idle{remotewrite.StatePrefix + d.name}, nil
	}
	return remotewrite.New(c, remotewrite.Deps{
		Name: d.name, Ledger: d.ledger, State: d.state, History: d.history, Interval: d.interval, Describe: d.history.Describe, Version: d.version,
	})
}

// idle is an outlet that has nothing to send, and keeps the state of one that has.
type idle struct{ key string }

// Run implements outlet.
func (idle) Run(context.Context) error { return nil }

// LastFlush implements outlet.
func (idle) LastFlush() time.Time { return time.Time{} }

// States implements outlet.
func (i idle) States() []string { return []string{i.key} }

// pastToSend sees that there is a history where a sink sends it.
func (c *Config) pastToSend(all []sinkPart) (mistakes config.Mistakes) {
	if !c.History.None {
		return nil
	}
	for _, p := range all {
		if _, ok := p.settings.(remotewrite.Config); ok {
			node := c.Sinks[p.name]
			mistakes = append(mistakes, config.Mistake{
				Position: node.Position(), Path: "sinks." + p.name,
				Message: "it sends the history, and there is none: leave out history: none, or the sink",
			})
		}
	}
	return mistakes
}
