package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// extractedBy returns the labels that json makes of a line, and whether it can take it.
func extractedBy(r *pipeline.Runner, line string) (labels []string, ok bool) {
	r.SetRecord(nil, []byte(line))
	if !r.Run() || r.Err() != "" {
		return nil, false
	}
	for _, l := range r.AppendLabels(nil) {
		if l.Category == pipeline.OfParsed {
			labels = append(labels, l.Name)
		}
	}
	return labels, true
}

func jsonRunner() *pipeline.Runner {
	r := pipeline.Compile(pipeline.Spec{Stages: []syntax.Stage{&syntax.JSON{}}, Need: pipeline.Need{All: true}}).NewRunner()
	r.Stream(record.Labels{})
	return r
}

func TestJSONPaths(t *testing.T) {
	for line, want := range map[string]string{
		` {"a":1,"b":{"c":"x","d":{"e":true}},"b_c":2}`: `a=a b_c=b/c b_d_e=b/d/e b_c=b_c`,
		`{"a.b":{"c d":0},"9":1,"\u0061":1,"x":""}`:     `a_b_c_d=a.b/c d _9=9 a=a x=x`,
		`{"n":null,"l":[{"a":1}],"o":{},"t":1,}`:        `t=t`,
		`{"a":1,"b":`:                                   `a=a`,
		`[{"a":1}]`:                                     ``,
		`a=1`:                                           ``,
		``:                                              ``,
	} {
		var got []string
		pipeline.JSONPaths([]byte(line), func(label string, path []string) { got = append(got, label+"="+strings.Join(path, "/")) })
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// FuzzJSONPaths has what leads to each label that json makes of a line.
func FuzzJSONPaths(f *testing.F) {
	for _, line := range []string{`{"a":1,"b":{"c":"x","d e":{"f":false}}}`, `{"a":[1,{"b":2}],"\u00e4":"\n","":1}`, `{"a":{"a":{}},"b":-1,}`, `{"a":"\x","b":tru}`, "{\"a\":\"\t\",\r\n\"b\" : 2 } x"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var named []string
		pipeline.JSONPaths([]byte(line), func(label string, path []string) {
			if len(path) == 0 {
				t.Errorf("%q: nothing leads to %s", line, label)
			}
			named = append(named, label)
		})
		labels, ok := extractedBy(jsonRunner(), line)
		for _, label := range labels {
			if ok && !slices.Contains(named, label) {
				t.Errorf("%q: what leads to %s? only %q are known", line, label, named)
			}
		}
	})
}
