package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// tagConfig says what is put on records.
type tagConfig struct {
	// Type is tag.
	Type string `yaml:"type"`
	// Text is put in front of every record. Needed.
	Text string `yaml:"text"`
}

func defaultTag() tagConfig { return tagConfig{Type: "tag"} }

// Validate returns what is wrong with c.
func (c tagConfig) Validate() error {
	if c.Text == "" {
		return &config.Problem{Key: "text", Message: "say what is put in front"}
	}
	return nil
}

// tag is a plugin that puts a text in front of records, and drops those that are empty.
type tag struct{ config tagConfig }

func newTag(c tagConfig, _ flow.PluginDeps) (*tag, error) { return &tag{c}, nil }

// Stage implements flow.Plugin.
func (t *tag) Stage(l flow.PluginLine) flow.Stage {
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for i := range b.Records {
				r := &b.Records[i]
				switch {
				case !l.Sees(r): // of another rule, or dropped before
				case r.Body.Len == 0:
					l.Drop(b, i)
				default: // the body may be escaped, so text that is put in is plain letters
					from := len(b.Arena)
					b.Arena = append(append(b.Arena, t.config.Text...), b.Bytes(r.Body)...)
					r.Body = record.Span{Off: uint32(from), Len: uint32(len(b.Arena) - from)}
				}
			}
			return next.Write(ctx, b)
		})
	}
}

// Close implements flow.Plugin.
func (t *tag) Close() error { return nil }

// TestPluginExample runs the plugin of docs/plugins.md as the catalogue would make it, and
// sees that the page shows this code.
func TestPluginExample(t *testing.T) {
	entry := pluginEntry(defaultTag, newTag)
	load := func(text string) (pluginPart, config.Mistakes) {
		name := filepath.Join(t.TempDir(), "plugin.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		tree, mistakes := config.Load(config.Options{}, name)
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		return entry(tree.Root)
	}
	if _, mistakes := load("{type: tag}"); len(mistakes) != 1 || mistakes[0].Path != "text" {
		t.Errorf("mistakes: %v", mistakes)
	}
	part, mistakes := load("{type: tag, text: 'shop: '}")
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	plugin, err := part.build(flow.PluginDeps{Name: "tag"})
	if err != nil {
		t.Fatal(err)
	}
	defer plugin.Close()
	var got []string
	line := plugin.Stage(flow.PluginLine{Rule: 1, Dropped: 7})(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		for _, r := range b.Records {
			if r.Flags&record.Dropped == 0 {
				got = append(got, string(b.Bytes(r.Body)))
			}
		}
		return nil
	}))
	b := new(record.Batch)
	b.Records = []record.Record{{Rules: 1, Body: b.Append([]byte("a"))}, {Rules: 1}, {Rules: 2, Body: b.Append([]byte("b"))}}
	if err := line.Write(t.Context(), b); err != nil || strings.Join(got, ",") != "shop: a,b" || len(b.Deltas) != 1 || b.Deltas[0].Series != 7 {
		t.Errorf("%q went on, %v, with %+v", got, err, b.Deltas)
	}
	code, err := os.ReadFile("example_plugin_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := bytes.Cut(page, []byte("<!-- internal/agent/example_plugin_test.go -->\n```go\n"))
	shown, _, ok := bytes.Cut(shown, []byte("```\n<!-- end -->"))
	if !ok || !bytes.Contains(code, shown) {
		t.Error("docs/plugins.md shows other code than this file has")
	}
}
