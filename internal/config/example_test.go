package config_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// Agent is a configuration whose sources are of types that it does not know.
type Agent struct {
	Node    string                 `yaml:"node"`
	Sources map[string]config.Node `yaml:"sources"`
}

// Tail configures a source.
type Tail struct {
	Paths   []string      `yaml:"paths"`
	Poll    time.Duration `yaml:"poll"`
	MaxLine config.Bytes  `yaml:"max_line"`
	Token   config.Secret `yaml:"token"`
}

// Validate asks for a pattern.
func (t *Tail) Validate() error {
	if len(t.Paths) == 0 {
		return config.Join(&config.Problem{Key: "paths", Message: "give at least one pattern"})
	}
	return nil
}

const agentYAML = `
node: ${NAME:-web-1}
sources:
  tail: {paths: /var/log/*.log, pol: 5s}
  access:
    type: tail
    paths: []
    max_line: 1M
`

// A subtree stays undecoded in a field of type Node, until it is known what type of
// component it configures. Paths and positions are those in the file all the same.
func Example_components() {
	options := memory(map[string]string{"weir.yaml": agentYAML})
	tree, mistakes := config.Load(options, "weir.yaml")
	cfg := Agent{}
	mistakes = append(mistakes, config.Decode(tree.Root, &cfg)...)
	for _, name := range slices.Sorted(maps.Keys(cfg.Sources)) {
		node := cfg.Sources[name]
		kind, settings, wrong := node.Choose("type", []string{"tail", "docker"})
		mistakes = append(mistakes, wrong...)
		if kind == "tail" {
			tail := Tail{Poll: time.Second, MaxLine: 1 << 20}
			mistakes = append(mistakes, config.Decode(settings, &tail)...)
		}
	}
	fmt.Println(cfg.Node)
	fmt.Println(mistakes.Sort().Err())
	// Output:
	// web-1
	// weir.yaml:4:33: sources.tail.pol: unknown key, did you mean "poll"?
	// weir.yaml:7:5: sources.access.paths: give at least one pattern
	// weir.yaml:8:15: sources.access.max_line: want a size such as 64KiB, 10MB or 1GiB, not "1M"
}

// What is in effect is shown with defaults in and secrets out. A component shows its type.
func ExamplePlain() {
	type component struct {
		Type     string `yaml:"type"`
		Settings any    `yaml:",inline"`
	}
	shown := struct {
		Agent   `yaml:",inline"`
		Sources map[string]component `yaml:"sources"` // in place of Agent's
	}{
		Agent:   Agent{Node: "web-1"},
		Sources: map[string]component{"access": {"tail", &Tail{Poll: time.Minute, Token: "hunter2"}}},
	}
	if err := config.WriteYAML(os.Stdout, config.Plain(shown, nil)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// node: web-1
	// sources:
	//   access:
	//     type: tail
	//     paths: []
	//     poll: 1m
	//     max_line: 0
	//     token: "***"
}

// Keep has two forms: "none", or bounds.
type Keep struct {
	None   bool
	Bounds struct {
		Size config.Bytes  `yaml:"size"`
		Age  time.Duration `yaml:"age"`
	}
}

// UnmarshalNode reads either form.
func (k *Keep) UnmarshalNode(n *config.Node) error {
	if k.None = n.Text() == "none"; k.None {
		return nil
	}
	return config.Decode(n, &k.Bounds).Err()
}

func ExampleUnmarshaler() {
	options := memory(map[string]string{"weir.yaml": "rules: [{keep: none}, {keep: {size: 100MiB}}, {keep: {aeg: 7d}}]"})
	tree, _ := config.Load(options, "weir.yaml")
	var cfg struct {
		Rules []struct {
			Keep Keep `yaml:"keep"`
		} `yaml:"rules"`
	}
	mistakes := config.Decode(tree.Root, &cfg)
	fmt.Println(cfg.Rules[0].Keep.None, cfg.Rules[1].Keep.Bounds.Size)
	fmt.Println(mistakes)
	// Output:
	// true 100MiB
	// weir.yaml:1:55: rules[2].keep.aeg: unknown key, did you mean "age"?
}

func ExampleSecret() {
	token := config.Secret("hunter2")
	fmt.Printf("%v %q %#v\n", token, token, token)
	fmt.Println(len(string(token)))
	// Output:
	// *** "***" "***"
	// 7
}

func ExampleBytes() {
	fmt.Println(config.Bytes(64<<10), config.Bytes(10e6), config.Bytes(1000))
	// Output: 64KiB 10MB 1kB
}

func ExampleJoin() {
	err := config.Join(
		&config.Problem{Key: "paths", Message: "give at least one pattern"},
		nil,
		&config.Problem{Key: "count[0].by", Message: "name a field"},
	)
	var problem *config.Problem
	fmt.Println(errors.As(err, &problem), err)
	// Output:
	// true paths: give at least one pattern
	// count[0].by: name a field
}
