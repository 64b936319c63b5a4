package loki

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// Config says where records are sent.
type Config struct {
	// URL is Loki, as http://loki:3100, or the whole address for pushes. Needed.
	URL string `yaml:"url"`
	// Tenant is sent as X-Scope-OrgID. Default none.
	Tenant string `yaml:"tenant"`
	// Labels are added to the labels of every stream that does not have them; {node} stands for this
	// machine: {machine: "{node}"}. Default none.
	Labels map[string]string `yaml:"labels"`

	deliver.Requests  `yaml:",inline"`
	deliver.Selection `yaml:",inline"`
	deliver.HTTP      `yaml:",inline"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{Requests: deliver.DefaultRequests(), Selection: deliver.SelectAll(), HTTP: deliver.DefaultHTTP()}
}

// ownHeaders are those that the sink sets.
var ownHeaders = [...]string{"Content-Type", "Content-Encoding", "X-Scope-Orgid"}

// pushPath is where Loki takes pushes.
const pushPath = "/loki/api/v1/push"

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	need := func(ok bool, key, message string) {
		if !ok {
			problems = append(problems, &config.Problem{Key: key, Message: message})
		}
	}
	message := deliver.CheckURL(c.URL, "http://127.0.0.1:3100")
	need(message == "", "url", message)
	need(!strings.ContainsAny(c.Tenant, "\r\n\x00"), "tenant", "it has more than one line")
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		_, err := lokipush.Labels{Text: []byte(record.Labels{{Name: name, Value: "x"}}.String())}.Parse()
		need(err == nil, "labels."+name, fmt.Sprintf("%q is no name of a label: use letters, digits and _, and no digit first", name))
	}
	return config.Join(append(problems, c.Requests.Validate(), c.HTTP.Validate(ownHeaders[:]...), c.Selection.Validate())...)
}

// address returns where pushes go.
func (c Config) address() string { return deliver.WithPath(c.URL, pushPath) }
