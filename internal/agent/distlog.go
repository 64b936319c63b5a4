package agent

import (
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/source/distlog"
)

func newDistlog(c distlog.Config, d flow.Deps) (flow.Source, error) { return distlog.New(c, d) }
