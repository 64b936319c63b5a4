package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/match"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/count"
	"github.com/weirlog/weir/internal/stage/filter"
	"github.com/weirlog/weir/internal/stage/join"
	"github.com/weirlog/weir/internal/stage/level"
	"github.com/weirlog/weir/internal/stage/parse"
	"github.com/weirlog/weir/internal/stage/redact"
)

// Rule says what to do with the records of the streams that it matches. Every rule that
// matches a stream applies, in the order of the file.
type Rule struct {
	// Name is how the rule appears on the page, in metrics and in messages. Default: the
	// name of its first count, else its place in the list.
	Name string `yaml:"name,omitempty"`
	// Match is a stream selector, as in {container="nginx"}. {} is every stream.
	Match string `yaml:"match"`
	// Join puts lines together that are one record, such as stack traces. Of several
	// rules on one stream the last that says something is used.
	Join *join.Config `yaml:"join"`
	// Parse takes fields from the text. A rule that parses applies only to the records
	// that fit; the others are counted as unmatched.
	Parse *parse.Config `yaml:"parse"`
	// Level says where the severity of a record stands. Of several rules the last is used.
	// With a `level_mapping` it says nothing about containers.
	Level *level.Config `yaml:"level"`
	// Redact replaces secrets in the text and in all fields, before anything is counted or
	// kept, whether the rule's parser fits the record or not: [secrets, cards, emails,
	// {name: session, regex: 'sid=\w+'}]. They apply one after the other.
	Redact []redact.Pattern `yaml:"redact,omitempty"`
	// Count makes numbers of the records.
	Count []count.Config `yaml:"count,omitempty"`
	// Filter takes records out after they were counted: those of a kind, all but a sample,
	// or what comes too fast.
	Filter *filter.Config `yaml:"filter"`
	// Plugins see what the filters of all rules leave, one after the other, and may change
	// records or drop them before they are kept; counts are made before. See plugins.md.
	Plugins []Plugin `yaml:"plugins,omitempty"`
	// Keep bounds the text that is kept of a stream: `none`, which keeps counts alone, or
	// {size: 100MiB, age: 7d, fields: [status]}, perhaps with classes of records that are kept for another time. Of several rules the last that says
	// something is used, as a whole. Default: as much as `journal` allows.
	Keep *Keep `yaml:"keep"`
}

// rule is a Rule ready for use.
type rule struct {
	Rule
	selector  match.Selector
	metrics   []*count.Metric
	matched   *metric.Series
	unmatched *metric.Series
	invalid   *metric.Series
	redacted  []*metric.Series // one a pattern
	samples   *parse.Samples
	parser    *parse.Parser // nil: the rule takes every record
	plugins   []flow.Plugin
}

// ruleFamilies are the durable numbers about rules.
type ruleFamilies struct{ matched, unmatched, invalid, redacted *metric.Family }

func newRuleFamilies(reg *metric.Registry) (f ruleFamilies, err error) {
	family := func(name, help string, labels ...string) *metric.Family {
		made, e := reg.Family(metric.Desc{Name: name, Help: help, Labels: append([]string{"rule"}, labels...), Owner: "rules", MaxSeries: 10000, Durable: true})
		err = errors.Join(err, e)
		return made
	}
	f.matched = family("weir_rule_matched_records_total", "Records that a rule applied to.")
	f.unmatched = family("weir_rule_unmatched_records_total", "Records that a rule's parser did not fit.")
	f.invalid = family("weir_rule_invalid_values_total", "Values of numeric fields that were not numbers.")
	f.redacted = family("weir_rule_redactions_total", "Pieces of text that a rule replaced.", "pattern")
	return f, err
}

// compileRules makes rules ready, with their families in reg. Each problem names the rule
// by its place, as in rules[2].count[0].name.
func compileRules(rules []Rule, reg *metric.Registry) ([]*rule, error) {
	families, err := newRuleFamilies(reg)
	if err != nil {
		return nil, err
	}
	owners := metricOwners(rules)
	clean, err := redactAll(rules)
	if err != nil {
		return nil, err
	}
	var problems []error
	compiled := make([]*rule, len(rules))
	names, made := map[string]int{}, map[string]madeMetric{}
	for i, r := range rules {
		c := &rule{Rule: r, samples: &parse.Samples{Redact: clean}}
		c.Name = ruleName(r, i)
		if first, ok := names[c.Name]; ok {
			c.Name = fmt.Sprintf("%s#%d", c.Name, i+1)
			if r.Name != "" {
				problems = append(problems, &config.Problem{Key: fmt.Sprintf("rules[%d].name", i), Message: fmt.Sprintf("%q is the name of rules[%d] already", r.Name, first)})
			}
		}
		names[c.Name] = i
		if c.selector, err = match.Parse(r.Match); err != nil {
			problems = append(problems, &config.Problem{Key: fmt.Sprintf("rules[%d].match", i), Message: err.Error()})
		}
		c.matched, c.unmatched = families.matched.Series(c.Name), families.unmatched.Series(c.Name)
		c.invalid = families.invalid.Series(c.Name)
		for _, p := range r.Redact {
			c.redacted = append(c.redacted, families.redacted.Series(c.Name, p.Name))
		}
		if r.Parse != nil && r.Parse.Validate() == nil {
			p, err := parse.New(*r.Parse, nil)
			if err != nil {
				return nil, fmt.Errorf("rule %s: %w", c.Name, err)
			}
			c.parser = p
		}
		for k, cfg := range r.Count {
			if cfg.Validate() != nil {
				continue // it says so itself
			}
			place := fmt.Sprintf("rules[%d].count[%d]", i, k)
			if first, ok := made[cfg.MetricName()]; ok && !first.sameShape(cfg) {
				problems = append(problems, &config.Problem{Key: place + ".name", Message: fmt.Sprintf("%s makes %s already, with other labels or buckets; count by the same fields, or choose another name", first.place, cfg.MetricName())})
				continue
			}
			made[cfg.MetricName()] = madeMetric{cfg, place}
			m, err := count.New(reg, cfg, owners[cfg.MetricName()])
			if err != nil {
				problems = append(problems, &config.Problem{Key: place + ".name", Message: err.Error()})
				continue
			}
			m.Invalid = c.invalid.ID()
			c.metrics = append(c.metrics, m)
		}
		compiled[i] = c
	}
	return compiled, config.Join(problems...)
}

// madeMetric is the first count of a metric name, and where it stands.
type madeMetric struct {
	count.Config
	place string
}

// sameShape tells whether another count may feed the same series.
func (m madeMetric) sameShape(c count.Config) bool {
	return slices.Equal(m.By, c.By) && m.Shape() == c.Shape() && (m.Histogram == "") == (c.Histogram == "")
}

// redactAll returns what is done to lines that are shown: the patterns of every rule, since
// a line that one rule does not fit may be another's. Patterns that do not compile say so
// where they stand.
func redactAll(rules []Rule) (func([]byte) []byte, error) {
	var patterns []redact.Pattern
	for _, r := range rules {
		for _, p := range r.Redact {
			if p.Validate() == nil {
				patterns = append(patterns, p)
			}
		}
	}
	return redact.Text(patterns)
}

func ruleName(r Rule, i int) string {
	switch {
	case r.Name != "":
		return r.Name
	case len(r.Count) > 0 && r.Count[0].Name != "":
		return r.Count[0].Name
	}
	return fmt.Sprintf("rules[%d]", i)
}

// metricOwners returns, for each metric name, a digest of all that decides what it counts,
// over every rule that feeds it. When that changes the series begin anew: an old value
// plus new meaning would be a number about nothing.
func metricOwners(rules []Rule) map[string]string {
	parts := map[string][]string{}
	for _, r := range rules {
		for _, c := range r.Count {
			meaning, err := json.Marshal(struct {
				Match, Join, Parse, Level, Redact, By, Sum, Histogram, Unit any
			}{r.Match, r.Join, r.Parse, r.Level, r.Redact, c.By, c.Sum, c.Histogram, c.Unit})
			if err != nil {
				panic("agent: a rule does not marshal: " + err.Error())
			}
			parts[c.MetricName()] = append(parts[c.MetricName()], string(meaning))
		}
	}
	owners := map[string]string{}
	for name, p := range parts {
		slices.Sort(p)
		sum := sha256.Sum256([]byte(strings.Join(p, "\n")))
		owners[name] = "rule " + hex.EncodeToString(sum[:8])
	}
	return owners
}

// reads returns the fields that rules use of what any of their parsers finds.
func reads(rules []*rule) []string {
	var fields []string
	add := func(names ...string) {
		for _, n := range names {
			if n != "" && !slices.Contains(fields, n) {
				fields = append(fields, n)
			}
		}
	}
	for _, r := range rules {
		for _, c := range r.Count {
			add(c.Fields()...)
		}
		if r.Level != nil {
			add(r.Level.Field)
		}
		if r.Keep != nil && r.Keep.Fields != nil {
			add(r.Keep.Fields.Names...)
		}
		if r.Keep != nil {
			add(classFields(r.Keep.Classes)...)
		}
		if r.Filter != nil {
			add(r.Filter.Fields()...)
		}
		if len(r.Plugins) > 0 {
			add(parsedFields(rules)...)
		}
	}
	if readsLevel(rules) {
		add(level.Fields()...)
	}
	return fields
}

// readsLevel tells whether anything asks for the severity of records.
func readsLevel(rules []*rule) bool {
	for _, r := range rules {
		if r.Level != nil || len(r.Plugins) > 0 || r.Filter != nil && r.Filter.ReadsLevel() {
			return true
		}
		for _, c := range r.Count {
			if slices.Contains(c.By, "level") {
				return true
			}
		}
	}
	return false
}

// matching returns the rules that apply to a stream.
func matching(rules []*rule, labels record.Labels) []*rule {
	var m []*rule
	for _, r := range rules {
		if r.selector.Matches(labels) {
			m = append(m, r)
		}
	}
	return m
}
