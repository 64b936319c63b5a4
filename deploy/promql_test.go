package deploy_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// selector is a series that an expression names, and the labels that it asks for.
type selector struct {
	name   string // empty: of any name
	labels []string
}

// named is what an expression names.
type named struct {
	selectors []selector
	// grouped are the labels in by (…), on (…) and their like, made those of label_replace.
	grouped, made []string
}

var (
	promToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z._]*|\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\}|[()\[\]]|[^\s]`)
	promLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"`)
	promName  = regexp.MustCompile(`^[a-zA-Z_:]`)
	// grafanaValues asks for the values of a label.
	grafanaValues = regexp.MustCompile(`^label_values\((.*), *(\w+)\)$`)
)

// The words of PromQL that the files here use and that name no series.
var (
	promFunctions = strings.Fields("sum max min count avg group rate increase changes max_over_time min_over_time time vector histogram_quantile label_replace")
	promGroupings = strings.Fields("by without on ignoring group_left group_right")
	promOperators = strings.Fields("and or unless offset bool")
)

// names finds the series and labels in an expression. It knows as much of the language as
// the files here use, and fails on what it does not know.
func names(expr string) (n named, err error) {
	if m := grafanaValues.FindStringSubmatch(expr); m != nil {
		n, err = names(m[1])
		n.grouped = append(n.grouped, m[2])
		return n, err
	}
	tokens := promToken.FindAllString(expr, -1)
	at := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	for i := 0; i < len(tokens); i++ {
		word := tokens[i]
		switch {
		case word[0] == '{': // without a name before it
			n.selectors = append(n.selectors, selector{"", matched(word)})
		case !promName.MatchString(word), slices.Contains(promOperators, word):
		case slices.Contains(promGroupings, word):
			if at(i+1) != "(" {
				return n, fmt.Errorf("%s without a list in %s", word, expr)
			}
			for i += 2; i < len(tokens) && tokens[i] != ")"; i++ {
				if tokens[i] != "," {
					n.grouped = append(n.grouped, tokens[i])
				}
			}
		case at(i+1) == "(" || slices.Contains(promFunctions, word) && slices.Contains(promGroupings, at(i+1)):
			if !slices.Contains(promFunctions, word) {
				return n, fmt.Errorf("%s is no known function in %s", word, expr)
			}
			if word == "label_replace" {
				n.made = append(n.made, firstString(tokens[i:]))
			}
		case strings.HasPrefix(at(i+1), "{"):
			n.selectors = append(n.selectors, selector{word, matched(at(i + 1))})
			i++
		default:
			n.selectors = append(n.selectors, selector{word, nil})
		}
	}
	return n, nil
}

// matched returns the labels in {…}.
func matched(braces string) (labels []string) {
	for _, m := range promLabel.FindAllStringSubmatch(braces, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

func firstString(tokens []string) string {
	for _, t := range tokens {
		if t[0] == '"' {
			return strings.Trim(t, `"`)
		}
	}
	return ""
}

func TestNames(t *testing.T) {
	for expr, want := range map[string]named{
		`up{job="containers"} == 0`:    {selectors: []selector{{"up", []string{"job"}}}},
		`time() - a > 60 or vector(0)`: {selectors: []selector{{"a", nil}}},
		`sum by (x, y) (rate(a{b=~"c{1}", d!="e"}[5m])) / on (x) group_left (z) (b > 0)`: {
			selectors: []selector{{"a", []string{"b", "d"}}, {"b", nil}}, grouped: []string{"x", "y", "x", "z"}},
		`(a unless a offset 10m) and on (job) (up offset 10m == 1)`:            {selectors: []selector{{"a", nil}, {"a", nil}, {"up", nil}}, grouped: []string{"job"}},
		`label_replace({overflow="true"}, "metric", "$1", "__name__", "(.+)")`: {selectors: []selector{{"", []string{"overflow"}}}, made: []string{"metric"}},
		`label_values(a{b="c"}, d)`:                                            {selectors: []selector{{"a", []string{"b"}}}, grouped: []string{"d"}},
		`16 * 1024 < 1e3`:                                                      {},
	} {
		got, err := names(expr)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", expr, got, err)
		}
	}
	for _, expr := range []string{"frobnicate(a)", "sum by x"} {
		if got, err := names(expr); err == nil {
			t.Errorf("%s: %+v", expr, got)
		}
	}
}
