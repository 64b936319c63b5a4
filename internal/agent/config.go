package agent

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/stage/count"
	"github.com/weirlog/weir/internal/stage/level"
	"github.com/weirlog/weir/internal/stage/parse"
	"github.com/weirlog/weir/internal/web"
)

// Config is the configuration of a node. The field comments of it and of what it holds are
// the reference manual.
type Config struct {
	// Node is the name of this machine, the label `machine` of every series. Default:
	// MACHINE_NAME, else the host name.
	Node string `yaml:"node"`
	// DataDir is where positions and counts are kept. Default: $STATE_DIRECTORY, else
	// $XDG_STATE_HOME/weir, else ~/.local/state/weir.
	DataDir string `yaml:"data_dir"`
	// HTTP is the status page, /metrics and the APIs.
	HTTP web.Config `yaml:"http"`
	// Journal bounds the text that is kept on this node, of all streams together.
	Journal Journal `yaml:"journal"`
	// History is the past of the numbers, of which PromQL can ask.
	History History `yaml:"history"`
	// LevelMapping is a JSON file of keywords that say which lines of which containers are
	// errors and warnings; all other lines of containers are info, and rules are not asked:
	// {"default_mapping": {"error_keywords": ["ERROR"], "warning_keywords": ["WARN"]},
	// "mappings": [{"container_keywords": ["shop"], "error_keywords": ["FAIL"],
	// "warning_keywords": [], "messages_to_ignore_errors": ["FAIL: 0"]}]}. Of mappings the
	// first that has a part of the container's name is used. A relative path starts at the
	// folder of the configuration file. Default: LOG_LEVELS_MAPPING_PATH, else none.
	LevelMapping string `yaml:"level_mapping"`
	// Sources are what is read, by name; the type defaults to the name. Default: docker, and
	// push, which is Loki's address for pushes.
	Sources map[string]config.Node `yaml:"sources"`
	// Rules say what to do with the records; every rule that matches a stream applies, in
	// order. Default: count the statuses of containers named like *nginx*.
	Rules []Rule `yaml:"rules"`
	// Sinks are where the numbers are sent, by name; the type defaults to the name.
	// Default: a StatsD sink where the environment names a server (STATSD_HOST, or
	// DD_AGENT_HOST, DD_DOGSTATSD_URL), a file sink where it names LOGS_DIR, Datadog's intake
	// where it has DD_API_KEY and DD_LOGS_ENABLED=true, else none.
	Sinks map[string]config.Node `yaml:"sinks"`

	// DefaultDataDir is set while neither the file nor a flag says where data is kept.
	DefaultDataDir bool

	tree    *config.Tree
	parts   parts
	mapping *level.Mapping
	useless []variable
}

// Files says where the configuration comes from.
type Files struct {
	// Paths are files and directories; see config.Load. None: the defaults alone.
	Paths []string
	// Env looks up an environment variable.
	Env func(name string) (string, bool)
	// Hostname is the name of this machine.
	Hostname string
	// DataDir replaces the data directory of the configuration, unless it is empty.
	DataDir string
	// Insecure lifts the need for a token, as http.insecure does.
	Insecure bool
	// Token is the token that was made for this installation; empty where none was.
	Token string
	// ReadFile reads the level mapping.
	ReadFile func(path string) ([]byte, error)
}

// Load reads and checks a configuration whole. With mistakes it is not to be used.
func Load(f Files) (Config, config.Mistakes) {
	tree, mistakes := config.Load(config.Options{Env: f.Env, Whole: []string{"sources", "sinks"}}, f.Paths...)
	env := environment{f.Env}
	c := Config{Node: env.or(f.Hostname, "MACHINE_NAME"), DataDir: env.dataDir(), HTTP: env.web(f.Token),
		Journal: defaultJournal(), History: defaultHistory(), LevelMapping: env.or("", levelMappingVariable), tree: tree}
	c.HTTP.Insecure = f.Insecure
	mistakes = append(mistakes, config.Decode(tree.Root, &c)...)
	c.DefaultDataDir = tree.Root.Get("data_dir") == nil
	if f.DataDir != "" {
		c.DataDir, c.DefaultDataDir = f.DataDir, false
	}
	c.parts, mistakes = c.decodeParts(env, mistakes)
	c.useless = env.useless()
	if tree.Root.Get("rules") == nil {
		c.Rules = defaultRules()
	}
	mistakes = append(mistakes, c.readMapping(f.ReadFile)...)
	mistakes = append(mistakes, env.mistakes(c, func(key string) bool { return tree.Root.Get(key) != nil })...)
	if len(f.Paths) > 0 && len(tree.Files) == 0 && len(mistakes) == 0 {
		mistakes = append(mistakes, config.Mistake{Position: config.Position{File: f.Paths[0]}, Message: "it holds no *.yaml and no *.yml"})
	}
	return c, mistakes.Sort()
}

// levelMappingVariable names the file where the configuration does not.
const levelMappingVariable = "LOG_LEVELS_MAPPING_PATH"

// readMapping reads the level mapping. What is wrong with it is said at the place that
// names it.
func (c *Config) readMapping(read func(string) ([]byte, error)) config.Mistakes {
	path := c.LevelMapping
	if path == "" {
		return nil
	}
	wrong := config.Mistake{Position: config.Position{File: "environment"}, Path: levelMappingVariable}
	if n := c.tree.Root.Get("level_mapping"); n != nil {
		wrong.Position, wrong.Path = n.Position(), n.Path()
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(wrong.Position.File), path)
		}
	}
	text, err := read(path)
	if err != nil {
		wrong.Message = err.Error() + "; give the path of a file that weir may read, or leave it out"
		return config.Mistakes{wrong}
	}
	if c.mapping, err = level.ParseMapping(text); err != nil {
		wrong.Message = fmt.Sprintf("%s: %v", path, err)
		return config.Mistakes{wrong}
	}
	return nil
}

// Validate returns what is wrong with the rules as a whole: names, metrics that two of them
// define differently, and bounds that those of the node cut. What is wrong with a part is
// said by the part.
func (c Config) Validate() error {
	reg, _, err := scratch(c.Node)
	if err == nil {
		_, err = compileRules(c.Rules, reg)
	}
	return errors.Join(err, unknownFields(c.Rules), keepProblems(c.Rules, c.Journal))
}

// Files returns the files that were read.
func (c Config) Files() []string { return c.tree.Files }

// Mask returns text without the configuration's secrets.
func (c Config) Mask(text string) string { return c.tree.Mask(text) }

// parts are the components of a configuration.
type parts struct {
	sources []sourcePart
	sinks   []sinkPart
}

// sourceTypes returns the types of the sources, by name.
func (p parts) sourceTypes() map[string]string {
	types := map[string]string{}
	for _, s := range p.sources {
		types[s.name] = s.typ
	}
	return types
}

// sourcePart is a source whose settings were decoded and checked.
type sourcePart struct {
	name, typ string
	settings  any
	build     func(flow.Deps) (flow.Source, error)
}

// sinkPart is the same of a sink.
type sinkPart struct {
	name, typ string
	settings  any
	build     func(sinkDeps) (outlet, error)
}

// components returns the parts that Load decoded.
func (c Config) components() (parts, error) {
	if len(c.parts.sources) == 0 {
		return c.parts, errors.New("no sources: name one under sources, or leave the key out to follow Docker")
	}
	return c.parts, nil
}

func (c *Config) decodeParts(env environment, mistakes config.Mistakes) (parts, config.Mistakes) {
	var p parts
	if c.Sources == nil {
		c.Sources = map[string]config.Node{"docker": {}, "push": {}}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		node := c.Sources[name]
		typ, rest, wrong := choose(&node, name, slices.Sorted(maps.Keys(sourceTypes)))
		mistakes = append(mistakes, wrong...)
		if t, ok := sourceTypes[typ]; ok {
			part, wrong := t(rest, env)
			part.name, part.typ = name, typ
			mistakes = append(mistakes, wrong...)
			p.sources = append(p.sources, part)
		}
	}
	mistakes = append(mistakes, c.onePush(p.sources)...)
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		node := c.Sinks[name]
		typ, rest, wrong := choose(&node, name, slices.Sorted(maps.Keys(sinkTypes)))
		mistakes = append(mistakes, wrong...)
		if t, ok := sinkTypes[typ]; ok {
			part, wrong := t(rest, env)
			part.name, part.typ = name, typ
			mistakes = append(mistakes, wrong...)
			p.sinks = append(p.sinks, part)
		}
	}
	if c.Sinks == nil {
		p.sinks = append(p.sinks, env.sinks()...)
	}
	mistakes = append(mistakes, c.separateSinks(p.sinks)...)
	mistakes = append(mistakes, c.pastToSend(p.sinks)...)
	mistakes = append(mistakes, c.sentOn(p)...)
	mistakes = append(mistakes, c.subscribed(p)...)
	return p, append(mistakes, c.ownPatterns(p)...)
}

// choose returns the type of a component and its settings. A component without settings
// is its type with defaults.
func choose(n *config.Node, name string, known []string) (string, *config.Node, config.Mistakes) {
	if n.Kind() == config.Null && slices.Contains(known, name) {
		return name, n, nil
	}
	return n.Choose("type", known)
}

// defaultRules count what most people come for.
func defaultRules() []Rule {
	return []Rule{{
		Name:  "nginx",
		Match: `{container=~".*nginx.*"}`,
		Parse: &parse.Config{Nginx: "combined"},
		Count: []count.Config{{Name: "nginx.status_count", By: []string{"status"}}},
	}}
}

// unknownFields finds fields that nothing extracts: counts by them would make series with
// empty labels. It can only tell where every parser has a fixed list of fields.
func unknownFields(rules []Rule) error {
	known := []string{"level"}
	for _, r := range rules {
		if r.Parse == nil {
			continue
		}
		names, fixed := parserFields(r)
		if !fixed {
			return nil
		}
		known = append(known, names...)
	}
	var problems []error
	missing := func(key, field string) {
		problems = append(problems, &config.Problem{Key: key, Message: fmt.Sprintf("no rule extracts the field %q%s", field, config.Suggest(field, known))})
	}
	for i, r := range rules {
		for k, c := range r.Count {
			if r.Parse == nil {
				continue
			}
			for _, field := range c.Fields() {
				if !slices.Contains(known, field) && !isStreamLabel(field) && !strings.Contains(r.Match, field) {
					missing(fmt.Sprintf("rules[%d].count[%d]", i, k), field)
				}
			}
		}
		for _, named := range otherFields(r) {
			if !slices.Contains(known, named.field) {
				missing(fmt.Sprintf("rules[%d].%s", i, named.key), named.field)
			}
		}
	}
	return config.Join(problems...)
}

// namedField is a field and the key of a rule that names it.
type namedField struct{ key, field string }

// otherFields returns the fields that a rule names outside of its counts.
func otherFields(r Rule) (all []namedField) {
	if r.Keep != nil && r.Keep.Fields != nil {
		for _, field := range r.Keep.Fields.Names {
			all = append(all, namedField{"keep.fields", field})
		}
	}
	if r.Keep != nil {
		for _, field := range classFields(r.Keep.Classes) {
			all = append(all, namedField{"keep.classes", field})
		}
	}
	if r.Filter != nil {
		for _, field := range r.Filter.Fields() {
			all = append(all, namedField{"filter", field})
		}
	}
	return all
}

// parserFields returns the fields that a rule's parser has, and whether there are no others.
func parserFields(r Rule) (names []string, fixed bool) {
	p, err := parse.New(*r.Parse, nil)
	if err != nil {
		return nil, false
	}
	switch p.Format() {
	case "nginx", "regex", "pattern":
		return p.Names(), true
	}
	return nil, false
}

// isStreamLabel tells whether sources give streams a label of this name by themselves.
func isStreamLabel(name string) bool {
	return slices.Contains([]string{"source", "filename", "container", "image", "compose_project", "compose_service"}, name)
}
