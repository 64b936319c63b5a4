package agent

import (
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/source/otlp"
)

func newOTLP(c otlp.Config, d flow.Deps) (flow.Source, error) { return otlp.New(c, d) }
