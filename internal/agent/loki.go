package agent

import (
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/task"
	"github.com/weirlog/weir/internal/web/loki"
)

// newLoki returns what answers Loki's API from the journal.
func (a *Agent) newLoki() (*loki.API, error) {
	engine := logql.New(logql.Options{Archive: a.journal.Archive(), Pressed: a.journal.Pressed})
	return loki.New(loki.Deps{
		Engine: engine, Index: engine, Survey: engine, Live: a.journal.Archive(), Sync: a.journal.Sync,
		Tasks:    task.Finder{Blocks: engine, Archive: a.journal.Archive()},
		Registry: a.registry, Log: a.opts.Log, Version: a.opts.Version,
	})
}
