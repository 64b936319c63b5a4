package agent

import (
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/source/crawl"
)

func newCrawl(c crawl.Config, d flow.Deps) (flow.Source, error) { return crawl.New(c, d) }
