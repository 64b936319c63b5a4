package agent

import (
	"fmt"
	"net/http"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/source/push"
)

func newPush(c push.Config, d flow.Deps) (flow.Source, error) { return push.New(c, d) }

// push hands a push to the source for it of the present configuration.
func (a *Agent) push(w http.ResponseWriter, r *http.Request) {
	for _, s := range a.current().sources {
		if p, ok := s.Source.(*push.Source); ok {
			p.Handler().ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "nothing can be pushed here: the configuration has no source of type push (sources: {push: {}})", http.StatusNotFound)
}

// onePush sees that there are not two sources of pushes, since there is one address for them.
func (c *Config) onePush(all []sourcePart) (mistakes config.Mistakes) {
	first := ""
	for _, p := range all {
		if p.typ != "push" {
			continue
		}
		if first != "" {
			node := c.Sources[p.name]
			mistakes = append(mistakes, config.Mistake{
				Position: node.Position(), Path: "sources." + p.name,
				Message: fmt.Sprintf("%s takes pushes already, and there is one address for them: leave one of the two out", first),
			})
			continue
		}
		first = p.name
	}
	return mistakes
}
