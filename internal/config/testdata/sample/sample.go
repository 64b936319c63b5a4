// Package sample is a configuration like weir's own, for tests.
package sample

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// Config is the whole configuration.
type Config struct {
	// Node is the name of this machine.
	Node string `yaml:"node"`
	// HTTP is the page and its APIs.
	HTTP HTTP `yaml:"http"`
	// Labels are added to every stream.
	Labels map[string]string `yaml:"labels"`
	// Sources are what is read, by name.
	Sources map[string]config.Node `yaml:"sources"`
	// Rules are applied in order.
	Rules []Rule `yaml:"rules"`
	// Sinks are what is written to, by name.
	Sinks map[string]config.Node `yaml:"sinks"`
	// Limits bound what weir uses; without it there are none.
	Limits *Limits `yaml:"limits"`
}

// HTTP configures the listener of the page.
type HTTP struct {
	// Listen is the address, host:port.
	Listen netip.AddrPort `yaml:"listen"`
	// Token is asked for on any address but loopback.
	//
	// Give it by a file or the environment.
	Token config.Secret `yaml:"token"`
	// Insecure lifts the need for a token.
	Insecure bool `yaml:"insecure"`
}

// Limits are bounds.
type Limits struct {
	Memory  config.Bytes `yaml:"memory"`  // Memory is a size.
	Streams uint16       `yaml:"streams"` // Streams is a number of streams.
	Nice    int8         `yaml:"nice"`    // Nice is a priority.
	Share   float64      `yaml:"share"`   // Share is a part of a core.
}

// Rule says what to do with the streams it matches.
type Rule struct {
	// Match selects streams.
	Match string `yaml:"match"`
	// Count makes metrics.
	Count []Count `yaml:"count"`
	// Keep bounds the text that is kept.
	Keep Keep `yaml:"keep"`
}

// Validate asks for a selector.
func (r *Rule) Validate() error {
	var problems []error
	if r.Match == "" {
		problems = append(problems, &config.Problem{Key: "match", Message: "give a selector, {} matches all"})
	}
	for i, c := range r.Count {
		if slices.Contains(c.By, "time") {
			problems = append(problems, &config.Problem{Key: "count[" + string(rune('0'+i)) + "].by", Message: "time has no bound: count by something else"})
		}
	}
	return config.Join(problems...)
}

// Count is one metric.
type Count struct {
	// Name is the name of the metric.
	Name string `yaml:"name"`
	// By are the fields whose values tell series apart.
	By []string `yaml:"by"`
	// As is how it is sent.
	As Kind `yaml:"as"`
	// Window is the time between values; 0 sends at once.
	Window time.Duration `yaml:"window"`
}

// SetDefaults makes the window 10 s.
func (c *Count) SetDefaults() { *c = Count{As: "gauge", Window: 10 * time.Second} }

// Kind is a kind of metric.
type Kind string

// Values are the kinds.
func (Kind) Values() []string { return []string{"gauge", "count"} }

// Keep is "none", or bounds.
type Keep struct {
	None bool
	keep
}

type keep struct {
	// Size bounds the bytes.
	Size config.Bytes `yaml:"size"`
	// Age bounds the time.
	Age time.Duration `yaml:"age"`
}

// UnmarshalNode reads the word or the bounds.
func (k *Keep) UnmarshalNode(n *config.Node) error {
	if n.Kind() != config.Scalar {
		return config.Decode(n, &k.keep).Err()
	}
	if n.Text() != "none" {
		return &config.Problem{Message: `want "none", or bounds as in {size: 1GiB}`}
	}
	k.None = true
	return nil
}

// MarshalNode is the reverse of UnmarshalNode.
func (k Keep) MarshalNode() any {
	if k.None {
		return "none"
	}
	return k.keep
}

// Schema has both forms.
func (Keep) Schema() map[string]any {
	return map[string]any{"title": "`none` or bounds", "anyOf": []any{map[string]any{"const": "none"}, keep{}}}
}

// Labels are shared by all sources.
type Labels struct {
	// Labels are added to the streams of this source.
	Labels map[string]string `yaml:"labels"`
}

// File follows files.
type File struct {
	// Paths are patterns of the files to follow.
	Paths []string `yaml:"paths"`
	// Start is where a file begins: beginning, end, or a time back.
	Start string `yaml:"start"`
	// MaxLine is the longest line.
	MaxLine config.Bytes `yaml:"max_line"`
	Labels  `yaml:",inline"`
}

// DefaultFile returns the defaults.
func DefaultFile() File { return File{Start: "end", MaxLine: 1 << 20} }

// Validate asks for a pattern.
func (f *File) Validate() error {
	if len(f.Paths) == 0 {
		return config.Join(&config.Problem{Key: "paths", Message: "give at least one pattern"})
	}
	return nil
}

// Docker follows containers.
type Docker struct {
	// Include are the names of containers.
	Include []string `yaml:"include"`
	// StatsInterval is the time between readings of a container's statistics.
	StatsInterval time.Duration `yaml:"stats_interval"`
	Labels        `yaml:",inline"`
}

// StatsD sends metrics.
type StatsD struct {
	// Address is where to send to.
	Address string `yaml:"address"`
	// Token opens the server.
	Token config.Secret `yaml:"token"`
	// Retry are the pauses between attempts.
	Retry []time.Duration `yaml:"retry"`
}

// Validate tells an address from nonsense, and how not to tell secrets.
func (s *StatsD) Validate() error {
	if !strings.Contains(s.Address, "://") {
		return &config.Problem{Key: "address", Message: "want a URL such as udp://host:8125, not \"" + s.Address + "\""}
	}
	if s.Token == "short" {
		return errors.New("the token \"" + string(s.Token) + "\" is too short")
	}
	return nil
}

// Default returns the defaults.
func Default() Config {
	return Config{Node: "web-1", HTTP: HTTP{Listen: netip.MustParseAddrPort("127.0.0.1:9103")}}
}

// Decode decodes all of a tree, and returns what to print of it.
func Decode(tree *config.Tree) (shown any, mistakes config.Mistakes) {
	cfg := Default()
	mistakes = config.Decode(tree.Root, &cfg)
	sources, more := components(cfg.Sources, func(kind string) any {
		switch kind {
		case "file":
			f := DefaultFile()
			return &f
		case "docker":
			return &Docker{Include: []string{"*"}, StatsInterval: 20 * time.Second}
		}
		return nil
	}, []string{"file", "docker"})
	mistakes = append(mistakes, more...)
	sinks, more := components(cfg.Sinks, func(string) any { return new(StatsD) }, []string{"statsd"})
	shown = struct {
		Config  `yaml:",inline"`
		Sources map[string]component `yaml:"sources"`
		Sinks   map[string]component `yaml:"sinks"`
	}{cfg, sources, sinks}
	return shown, append(mistakes, more...).Sort()
}

type component struct {
	Type     string `yaml:"type"`
	Settings any    `yaml:",inline"`
}

func components(nodes map[string]config.Node, settings func(kind string) any, known []string) (map[string]component, config.Mistakes) {
	made := map[string]component{}
	var mistakes config.Mistakes
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[name]
		kind, rest, wrong := n.Choose("type", known)
		mistakes = append(mistakes, wrong...)
		if kind == "" {
			continue
		}
		into := settings(kind)
		mistakes = append(mistakes, config.Decode(rest, into)...)
		made[name] = component{kind, into}
	}
	return made, mistakes
}
