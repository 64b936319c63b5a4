package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// loaded reads a configuration and returns it with its mistakes, one a line.
func loaded(t *testing.T, text string) (Config, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, mistakes := Load(Files{Paths: []string{name}, Env: unset, Hostname: "web-1"})
	var lines []string
	for _, m := range mistakes {
		lines = append(lines, m.Path+": "+m.Message)
	}
	return cfg, strings.Join(lines, "\n")
}

// compiled returns the rules of a configuration without mistakes.
func compiled(t *testing.T, text string) []*rule {
	t.Helper()
	cfg, mistakes := loaded(t, text)
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	reg, _, err := scratch(cfg.Node)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := compileRules(cfg.Rules, reg)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

const parsing = `
rules:
  - match: '{}'
    parse: {regex: '(?P<ip>\S+) (?P<status>\d+) (?P<size>\d+)'}
    count:
      - {name: a, by: [status, level]}
      - {name: b, sum: size, by: [status]}
`

func TestKept(t *testing.T) {
	for _, test := range []struct {
		more string
		want Kept
	}{
		{"", Kept{Fields: []string{"status", "size"}}},
		{"    keep: none", Kept{None: true}},
		{"    keep: {}", Kept{Fields: []string{"status", "size"}}},
		{"    keep: {size: 100MiB, age: 3d}", Kept{Size: 100 << 20, Age: 72 * time.Hour, Fields: []string{"status", "size"}}},
		{"    keep: {age: 1w, fields: all}", Kept{Age: 168 * time.Hour, Fields: []string{"ip", "status", "size"}}},
		{"    keep: {fields: none}", Kept{}},
		{"    keep: {fields: ip}", Kept{Fields: []string{"ip"}}},
		{"    keep: {fields: [size, ip, size]}", Kept{Fields: []string{"size", "ip"}}},
		// The last that says something says all of it.
		{"    keep: {size: 1MiB, fields: all}\n  - {match: '{}', keep: {age: 2m}}\n  - match: '{}'", Kept{Age: 2 * time.Minute, Fields: []string{"status", "size"}}},
		{"    keep: none\n  - {match: '{}', keep: {}}", Kept{Fields: []string{"status", "size"}}},
		{"    keep: {size: 1MiB}\n  - {match: '{}', keep: none}", Kept{None: true}},
		{"    keep: {fields: [ip]}\n  - {match: '{a=\"b\"}', keep: none}", Kept{Fields: []string{"ip"}}},
	} {
		rules := matching(compiled(t, parsing+test.more), record.Labels{{Name: "a", Value: "c"}})
		if got := kept(rules); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\ngives %+v; want %+v", test.more, got, test.want)
		}
	}
}

// TestStoredFieldsAreRead: formats that have any field extract what is stored.
func TestStoredFieldsAreRead(t *testing.T) {
	rules := compiled(t, "rules: [{match: '{}', parse: {json: {}}, keep: {fields: [user.id]}}]")
	if want := reads(rules); !slices.Contains(want, "user.id") {
		t.Errorf("rules read %v", want)
	}
}

func TestJournalDefaults(t *testing.T) {
	cfg, mistakes := loaded(t, "journal: {age: 3d}")
	if want := (Journal{Size: 1 << 30, Age: 72 * time.Hour, Free: 512 << 20}); mistakes != "" || cfg.Journal != want {
		t.Errorf("%+v, %s", cfg.Journal, mistakes)
	}
}

func TestKeepMistakes(t *testing.T) {
	bad := func(text, want string) {
		t.Helper()
		if _, got := loaded(t, text); got != want {
			t.Errorf("%s\nsays:\n%s\nwant:\n%s", text, got, want)
		}
	}
	bad("rules: [{match: '{}', keep: all}]", "rules[0].keep: want none, or bounds as in {size: 100MiB, age: 7d}; {} keeps as much as journal allows")
	bad("rules: [{match: '{}', keep: }]", "rules[0].keep: want none, or bounds as in {size: 100MiB, age: 7d}; {} keeps as much as journal allows")
	bad("rules: [{match: '{}', keep: {size: 1k}}]", `rules[0].keep.size: want a size such as 64KiB, 10MB or 1GiB, not "1k"`)
	bad("rules: [{match: '{}', keep: {size: 1kB, age: 1s}}]", "rules[0].keep.size: want at least 64KiB; keep: none keeps no text\nrules[0].keep.age: want at least 1m; keep: none keeps no text")
	bad("rules: [{match: '{}', keep: {sise: 1MiB}}]", `rules[0].keep.sise: unknown key, did you mean "size"?`)
	bad("rules: [{match: '{}', keep: {size: 2GiB, age: 8d}}]", "rules[0].keep.size: it is more than journal.size, 1GiB, which bounds all streams together: raise that as well\nrules[0].keep.age: it is longer than journal.age, 7d, which bounds every stream: raise that as well")
	bad("rules: [{match: '{}', keep: {age: 8d}}]\njournal: {age: 0s}", "")
	bad("rules: [{match: '{}', parse: {json: {}}, keep: {fields: all}}]", "rules[0].keep.fields: lines of json have any fields: name those to store")
	bad("rules: [{match: '{}', parse: {nginx: combined}, keep: {fields: [stauts]}}]", `rules[0].keep.fields: no rule extracts the field "stauts", did you mean "status"?`)
	bad("rules: [{match: '{}', keep: {fields: }}]", "rules[0].keep.fields: no value: give names of fields, all or none")
	bad("journal: {size: 1kB, age: 1s}", "journal.size: want at least 1MiB; a rule with keep: none keeps no text of its streams\njournal.age: want at least 1m, or 0s for no bound by age")
}

// TestKeepIsShown: what weir config prints is read again as the same.
func TestKeepIsShown(t *testing.T) {
	cfg, mistakes := loaded(t, parsing+"    keep: {size: 100MiB, age: 7d, fields: [ip]}\n  - {match: '{}', keep: none}\n  - {match: '{}', keep: {fields: all}}\n  - {match: '{}', keep: {fields: none}}\n  - {match: '{}', keep: {classes: [{name: a, of: x, age: 1d}, {name: b, of: {levels: [info]}}]}}")
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	text, err := Effective(cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"journal:\n  size: 1GiB\n  age: 7d\n  free: 512MiB\n", "size: 100MiB", "keep: none", "fields: all", "fields: none"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	again, mistakes := loaded(t, string(text))
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	for i, r := range cfg.Rules {
		if !reflect.DeepEqual(again.Rules[i].Keep, r.Keep) {
			t.Errorf("%+v became %+v", r.Keep, again.Rules[i].Keep)
		}
	}
}
