package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// TestClasses: each class of a stream is kept as a stream of its own, with its own bounds.
func TestClasses(t *testing.T) {
	const text = `rules:
  - match: '{}'
    parse: {json: {}}
    keep:
      age: 5d
      classes:
        - {name: errors, of: {levels: [error, fatal]}, age: 7d, size: 2MiB}
        - {name: import, of: {fields: {task: "import.*", level: "info|debug"}}, age: 2m}
        - {name: slow, of: 'took [0-9]+s'}
`
	rules := compiled(t, text)
	s := record.Stream{ID: "docker/shop", Source: "docker", Labels: record.NewLabels(map[string]string{"container": "shop"})}
	keep, ok := keepOf(s, rules, []string{"central"})
	if !ok || keep.Until != nil || len(keep.Classes) != 3 || keep.Bound.Age != 120*time.Hour {
		t.Fatalf("%+v", keep)
	}
	c := keep.Classes[0]
	if c.Stream.ID != `docker/shop{class="errors"}` || c.Stream.Source != "docker" || c.Stream.Labels.String() != `{class="errors", container="shop"}` || c.Bound.Age != 168*time.Hour || c.Bound.Size != 2<<20 {
		t.Errorf("%+v", c)
	}
	if wants := strings.Join(reads(rules), " "); !strings.Contains(wants, "task") || strings.Contains(wants, "level level") {
		t.Errorf("rules read %s", wants)
	}
	if got, want := kept(rules).String(), "the text, at most 5d; of it errors, at most 2MiB and 7d; of it import, at most 2m; of it slow, as much as journal allows"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	s.Labels = record.NewLabels(map[string]string{"class": "first"})
	if keep, _ := keepOf(s, rules, nil); keep.Classes[1].Stream.Labels.String() != `{class="first", weir_class="import"}` {
		t.Errorf("%+v", keep.Classes[1])
	}
	if got, _ := keepOf(s, compiled(t, text+"  - {match: '{}', keep: none}\n"), nil); got.Classes != nil {
		t.Error("a later rule keeps nothing, and yet there are classes")
	}
	cfg, mistakes := loaded(t, text)
	for line, class := range map[string]string{
		`{"level":"error","task":"import"}`:       "errors",
		`{"level":"info","task":"import.orders"}`: "import",
		`{"level":"warn","task":"import.orders"}`: "",
		`{"level":"warn","msg":"took 17s"}`:       "slow",
		`not JSON, took 17s`:                      "slow",
		`not JSON`:                                "",
	} {
		e, err := Explain(t.Context(), cfg, []byte(line), nil)
		if err != nil || mistakes != "" || e.Class != class {
			t.Errorf("%s is of class %q, want %q (%v, %s)", line, e.Class, class, err, mistakes)
		}
	}
}

func TestClassMistakes(t *testing.T) {
	bad := func(classes, want string) {
		t.Helper()
		_, mistakes := loaded(t, "rules: [{match: '{}', keep: {classes: ["+classes+"]}}]")
		if !strings.Contains(mistakes, want) {
			t.Errorf("%s gives %q; want %s", classes, mistakes, want)
		}
	}
	bad("{of: x}", "rules[0].keep.classes[0].name: give the class a name")
	bad("{name: a b, of: x}", "give the class a name")
	bad("{name: a}", "classes[0].of: say which records")
	bad("{name: a, of: {}}", "classes[0].of: it asks for nothing")
	bad("{name: a, of: x}, {name: a, of: y}", "classes[1].name: name each class once")
	bad("{name: a, of: x, age: 1s}", "classes[0].age: want at least 1m")
	bad("{name: a, of: x, size: 1KiB}", "classes[0].size: want at least 64KiB")
	bad("{name: a, of: x, age: 30d}", "classes[0].age: it is longer than journal.age")
	bad("{name: a, of: x, size: 2GiB}", "classes[0].size: it is more than journal.size")
	bad("{name: a, of: {fields: {tsk: x}}}", `no rule extracts the field "tsk"`)
	bad("{name: a, of: {levels: [loud]}}", "classes[0].of.levels[0]")
	var many []string
	for _, c := range "abcdefghijklmnopq" {
		many = append(many, "{name: "+string(c)+", of: x}")
	}
	bad(strings.Join(many, ", "), "classes: use at most 16")
}
