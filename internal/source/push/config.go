package push

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/record"
)

// Config says what may be pushed.
type Config struct {
	// MaxBody is the largest push that is taken, unpacked. Pushes that are in work at the
	// same time have four times as much memory. Default: 16MiB.
	MaxBody config.Bytes `yaml:"max_body"`
	// MaxStreams is how many streams, which are the different sets of labels, are open at a
	// time; one to which nothing was pushed for ten minutes is closed. A push with more is
	// answered with 429, and none of it is taken. Default: 10000.
	MaxStreams int `yaml:"max_streams"`
	// Labels are added to the streams of all pushes, and replace those of the same name.
	Labels map[string]string `yaml:"labels"`
	// TenantLabel is the label that gets the value of a push's X-Scope-OrgID header.
	// Default: none, the header says nothing.
	TenantLabel string `yaml:"tenant_label"`
}

// Default returns the settings of a source that says nothing.
func Default() Config { return Config{MaxBody: 16 << 20, MaxStreams: 10_000} }

// Bounds of settings.
const (
	minBody    = 64 << 10
	maxBody    = 256 << 20
	mostStream = 1_000_000
)

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	var problems []error
	add := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if c.MaxBody < minBody || c.MaxBody > maxBody {
		add("max_body", "use a size from 64KiB to 256MiB")
	}
	if c.MaxStreams < 1 || c.MaxStreams > mostStream {
		add("max_streams", fmt.Sprintf("use a number from 1 to %d", mostStream))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		if message := checkLabel(name); message != "" {
			add("labels."+name, message)
		}
	}
	if c.TenantLabel != "" {
		if message := checkLabel(c.TenantLabel); message != "" {
			add("tenant_label", message)
		}
	}
	return config.Join(problems...)
}

func checkLabel(name string) string {
	text := record.Labels{{Name: name, Value: "x"}}.String()
	if _, err := (lokipush.Labels{Text: []byte(text)}).Parse(); err != nil {
		return fmt.Sprintf("%q is no name of a label: use letters, digits and _, and no digit first", name)
	}
	return ""
}
