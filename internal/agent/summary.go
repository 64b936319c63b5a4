package agent

import (
	"bytes"
	_ "embed" // for comments.json
	"encoding/json"
	"maps"
	"slices"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/reference"
	"github.com/weirlog/weir/internal/sink/remotewrite"
	"github.com/weirlog/weir/internal/web"
)

// Summary is what a good configuration amounts to.
type Summary struct {
	Files      []string      `json:"files"`
	Components []PartSummary `json:"components"`
	// Journal says how much text is kept.
	Journal JournalSummary `json:"journal"`
	// History says how much of the past of the numbers is kept; nil where none is.
	History *HistorySummary `json:"history,omitempty"`
	Rules   []RuleSummary   `json:"rules"`
}

// JournalSummary is how much text a node keeps, as text with units.
type JournalSummary struct {
	Size string `json:"size"`
	Age  string `json:"age,omitempty"`
	Free string `json:"free"`
}

// HistorySummary is how much of the past of the numbers a node keeps, as text with units.
type HistorySummary struct {
	Size     string `json:"size"`
	Age      string `json:"age"`
	Interval string `json:"interval"`
}

// PartSummary is one source or sink.
type PartSummary struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Type string `json:"type"`
	// To is where a sink of remote write sends, and in which version.
	To string `json:"to,omitempty"`
}

// RuleSummary is one rule: what it parses with, and the metrics it makes.
type RuleSummary struct {
	Name    string   `json:"name"`
	Match   string   `json:"match"`
	Parser  string   `json:"parser,omitempty"`
	Engine  string   `json:"engine,omitempty"`
	Metrics []string `json:"metrics,omitempty"`
	// Redact names the patterns that are replaced, and Filter says what is taken out.
	Redact []string `json:"redact,omitempty"`
	Filter []string `json:"filter,omitempty"`
	// Plugins are the types of the rule's plugins, in their order.
	Plugins []string `json:"plugins,omitempty"`
	// Keep says what the rule keeps of the text, where it says so.
	Keep string `json:"keep,omitempty"`
}

// Summarize returns the summary of a configuration without mistakes.
func Summarize(cfg Config) (Summary, error) {
	s := Summary{Files: cfg.Files(), Journal: JournalSummary{Size: cfg.Journal.Size.String(), Free: cfg.Journal.Free.String()}}
	if cfg.Journal.Age > 0 {
		s.Journal.Age = config.FormatDuration(cfg.Journal.Age)
	}
	if h := cfg.History; !h.None {
		s.History = &HistorySummary{Size: h.Size.String(), Age: config.FormatDuration(h.Age), Interval: config.FormatDuration(h.Interval)}
	}
	reg, _, err := scratch(cfg.Node)
	if err != nil {
		return s, err
	}
	rules, err := compileRules(cfg.Rules, reg)
	if err != nil {
		return s, err
	}
	for _, p := range cfg.parts.sources {
		s.Components = append(s.Components, PartSummary{Kind: "source", Name: p.name, Type: p.typ})
	}
	for _, p := range cfg.parts.sinks {
		sink := PartSummary{Kind: "sink", Name: p.name, Type: p.typ}
		if c, ok := p.settings.(remotewrite.Config); ok {
			sink.To = c.URL + ", " + string(c.Protocol)
		}
		s.Components = append(s.Components, sink)
	}
	for _, r := range rules {
		sum := RuleSummary{Name: r.Name, Match: r.selector.String()}
		if r.parser != nil {
			sum.Parser, sum.Engine = r.parser.Format(), r.parser.Engine()
		}
		for _, m := range r.metrics {
			d := m.Family.Desc()
			sum.Metrics = append(sum.Metrics, d.Name+labelList(d.Labels))
		}
		for _, p := range r.Redact {
			sum.Redact = append(sum.Redact, p.Name)
		}
		if r.Filter != nil {
			sum.Filter = r.Filter.Summary()
		}
		for _, p := range r.Plugins {
			sum.Plugins = append(sum.Plugins, p.typ)
		}
		if r.Keep != nil {
			sum.Keep = r.Keep.String()
		}
		s.Rules = append(s.Rules, sum)
	}
	return s, nil
}

func labelList(names []string) string {
	b := []byte("{machine")
	for _, n := range names {
		b = append(append(b, ", "...), n...)
	}
	return string(append(b, '}'))
}

// component is a source or sink as the effective configuration shows it.
type component struct {
	Type     string `yaml:"type"`
	Settings any    `yaml:",inline"`
}

// Effective returns the configuration with every default filled in and secrets masked, as
// YAML or JSON. weir reads it again.
func Effective(cfg Config, asJSON bool) ([]byte, error) {
	sources, sinks := map[string]component{}, map[string]component{}
	for _, p := range cfg.parts.sources {
		sources[p.name] = component{p.typ, p.settings}
	}
	for _, p := range cfg.parts.sinks {
		sinks[p.name] = component{p.typ, p.settings}
	}
	plain := config.Plain(struct {
		Node    string               `yaml:"node"`
		DataDir string               `yaml:"data_dir"`
		HTTP    web.Config           `yaml:"http"`
		Journal Journal              `yaml:"journal"`
		History History              `yaml:"history"`
		Mapping string               `yaml:"level_mapping"`
		Sources map[string]component `yaml:"sources"`
		Rules   []Rule               `yaml:"rules"`
		Sinks   map[string]component `yaml:"sinks"`
	}{cfg.Node, cfg.DataDir, cfg.HTTP, cfg.Journal, cfg.History, cfg.LevelMapping, sources, cfg.Rules, sinks}, cfg.tree)
	var b bytes.Buffer
	if !asJSON {
		err := config.WriteYAML(&b, plain)
		return b.Bytes(), err
	}
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(plain)
	return b.Bytes(), err
}

// comments are the doc comments of the configuration's structs; go generate writes them.
//
//go:embed comments.json
var comments []byte

// Reference returns the book of the configuration, for the JSON Schema and the manual.
func Reference() (*reference.Book, error) {
	book := &reference.Book{
		Root:     Config{HTTP: environment{unset}.web(""), Journal: defaultJournal(), History: defaultHistory()},
		Variants: map[string][]reference.Variant{},
	}
	for _, typ := range slices.Sorted(maps.Keys(sourceTypes)) {
		p, _ := sourceTypes[typ](&config.Node{}, environment{unset})
		book.Variants["sources"] = append(book.Variants["sources"], reference.Variant{Type: typ, Default: p.settings})
	}
	for _, typ := range slices.Sorted(maps.Keys(sinkTypes)) {
		p, _ := sinkTypes[typ](&config.Node{}, environment{unset})
		book.Variants["sinks"] = append(book.Variants["sinks"], reference.Variant{Type: typ, Default: p.settings})
	}
	err := json.Unmarshal(comments, &book.Comments)
	return book, err
}

func unset(string) (string, bool) { return "", false }
