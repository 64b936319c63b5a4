package agent

import (
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestExemplarsOfNoRule: where a reload asks for no exemplars any more, or for others, those that
// were there are not shown on. The counts stay.
func TestExemplarsOfNoRule(t *testing.T) {
	config := func(a, b string) Config {
		cfg, mistakes := loaded(t, "rules:\n  - match: '{source=\"app\"}'\n    parse: {json: {}}\n    count: [{name: a"+a+"}, {name: b"+b+"}, {name: c, exemplar: [id]}]\n")
		if mistakes != "" {
			t.Fatal(mistakes)
		}
		return cfg
	}
	old := config(", exemplar: [id]", ", exemplar: [id]")
	a := &Agent{registry: metric.New()}
	if _, err := compileRules(old.Rules, a.registry); err != nil {
		t.Fatal(err)
	}
	series := map[string]*metric.Series{}
	for _, name := range []string{"a_total", "b_total", "c_total"} {
		s := a.registry.Named(name).Series()
		a.registry.Apply([]record.Delta{{Series: s.ID(), Add: 1}})
		a.registry.Exemplify(slices.Values([]metric.Exemplar{{Series: s.ID(), Value: 1, Labels: "id" + record.LabelEnd + "x" + record.LabelEnd}}))
		series[name] = s
	}
	a.forgetChanged(old, config("", ", exemplar: [other]"))
	for name, s := range series {
		if n := len(s.Exemplars()); (n > 0) != (name == "c_total") || s.Value() != 1 || a.registry.Named(name) == nil {
			t.Errorf("%s has %v and %d exemplars", name, s.Value(), n)
		}
	}
}
