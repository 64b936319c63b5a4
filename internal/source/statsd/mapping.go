package statsd

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
)

// Mapping gives the names that it matches another name, and labels. Its keys are those of
// statsd_exporter. Of mappings whose match is a glob the first that matches applies, else the first whose match
// is a regular expression. A mapped name stands as it is, without a suffix.
type Mapping struct {
	// Match is a glob, in which * is one part between dots, or a regular expression.
	Match string `yaml:"match"`
	// MatchType is `glob` or `regex`. Default: glob.
	MatchType string `yaml:"match_type"`
	// MatchMetricType limits it to `counter`, `gauge` or `observer` (also called timer: timers, histograms
	// and distributions). Default: all.
	MatchMetricType string `yaml:"match_metric_type"`
	// Name is the metric's name; $1 or ${1} stands for what the first * or group has matched.
	Name string `yaml:"name"`
	// Labels are added, and replace tags of the same name; $1 is as in the name.
	Labels map[string]string `yaml:"labels"`
	// HonorLabels lets tags replace Labels instead.
	HonorLabels bool `yaml:"honor_labels"`
	// Action is `map`, or `drop`, which drops the lines and counts them. Default: map.
	Action string `yaml:"action"`
	// Help is the metric's description.
	Help string `yaml:"help"`
	// Scale is what values are multiplied by. Default: 1.
	Scale float64 `yaml:"scale"`
	// Buckets are the limits of a histogram. Default: those of the source.
	Buckets []float64 `yaml:"buckets"`
	// HistogramOptions has buckets, as newer files say it.
	HistogramOptions Histogram `yaml:"histogram_options"`
	// ObserverType, TimerType, SummaryOptions, Quantiles and TTL are read and change nothing: timers are
	// histograms, and the source's expiry is that of all series.
	ObserverType string `yaml:"observer_type"`
	// TimerType is the older name of ObserverType.
	TimerType string `yaml:"timer_type"`
	// SummaryOptions changes nothing.
	SummaryOptions config.Node `yaml:"summary_options"`
	// Quantiles changes nothing.
	Quantiles config.Node `yaml:"quantiles"`
	// TTL changes nothing.
	TTL time.Duration `yaml:"ttl"`
}

// Histogram is the options of a mapping's histogram.
type Histogram struct {
	// Buckets are its limits.
	Buckets []float64 `yaml:"buckets"`
	// NativeHistogramBucketFactor makes it a native histogram, whose buckets each end at most
	// that much above where they begin: 1.1. It has no Buckets then.
	NativeHistogramBucketFactor float64 `yaml:"native_histogram_bucket_factor"`
	// NativeHistogramMaxBuckets bounds the buckets of a series; beyond it they become twice as
	// wide. Default: 160.
	NativeHistogramMaxBuckets int `yaml:"native_histogram_max_buckets"`
}

// MappingFile is a mapping file of statsd_exporter.
type MappingFile struct {
	// Defaults are for mappings that do not say.
	Defaults MappingDefaults `yaml:"defaults"`
	// Mappings are in the order in which they are tried.
	Mappings []Mapping `yaml:"mappings"`
}

// MappingDefaults are what mappings have that do not say it.
type MappingDefaults struct {
	// MatchType is glob or regex.
	MatchType string `yaml:"match_type"`
	// Buckets are of histograms.
	Buckets []float64 `yaml:"buckets"`
	// HistogramOptions has buckets, as newer files say it.
	HistogramOptions Histogram `yaml:"histogram_options"`
	// ObserverType changes nothing.
	ObserverType string `yaml:"observer_type"`
	// TimerType changes nothing.
	TimerType string `yaml:"timer_type"`
	// SummaryOptions changes nothing.
	SummaryOptions config.Node `yaml:"summary_options"`
	// Quantiles changes nothing.
	Quantiles config.Node `yaml:"quantiles"`
	// GlobDisableOrdering changes nothing: the first match applies.
	GlobDisableOrdering bool `yaml:"glob_disable_ordering"`
	// TTL changes nothing.
	TTL time.Duration `yaml:"ttl"`
}

// All returns the mappings with their defaults.
func (f *MappingFile) All() []Mapping {
	all := slices.Clone(f.Mappings)
	for i := range all {
		m := &all[i]
		if m.MatchType == "" {
			m.MatchType = f.Defaults.MatchType
		}
		if len(m.Buckets)+len(m.HistogramOptions.Buckets) == 0 {
			m.Buckets = slices.Concat(f.Defaults.Buckets, f.Defaults.HistogramOptions.Buckets)
			own, of := &m.HistogramOptions, &f.Defaults.HistogramOptions
			own.NativeHistogramBucketFactor = cmp.Or(own.NativeHistogramBucketFactor, of.NativeHistogramBucketFactor)
			if own.NativeHistogramBucketFactor != 0 {
				own.NativeHistogramMaxBuckets = cmp.Or(own.NativeHistogramMaxBuckets, of.NativeHistogramMaxBuckets)
			}
		}
	}
	return all
}

// Validate returns what is wrong with m.
func (m *Mapping) Validate() error {
	var problems []error
	need := func(ok bool, key, message string) {
		if !ok {
			problems = append(problems, &config.Problem{Key: key, Message: message})
		}
	}
	need(slices.Contains([]string{"", "glob", "regex"}, m.MatchType), "match_type", "use glob or regex")
	need(slices.Contains([]string{"", "map", "drop"}, m.Action), "action", "use map or drop")
	need(slices.Contains([]string{"", "counter", "gauge", "observer", "timer"}, m.MatchMetricType), "match_metric_type", "use counter, gauge or observer")
	need(ascending(m.Buckets), "buckets", "give at most 100 limits, each above the one before")
	need(ascending(m.HistogramOptions.Buckets), "histogram_options.buckets", "give at most 100 limits, each above the one before")
	if o := &m.HistogramOptions; o.NativeHistogramBucketFactor != 0 || o.NativeHistogramMaxBuckets != 0 {
		need(o.NativeHistogramBucketFactor >= leastFactor && o.NativeHistogramBucketFactor <= mostFactor, "histogram_options.native_histogram_bucket_factor", needFactor)
		need(o.NativeHistogramMaxBuckets >= 0 && o.NativeHistogramMaxBuckets <= mostNativeBuckets, "histogram_options.native_histogram_max_buckets", needMaxBuckets)
	}
	need(m.Action == "drop" || m.Name != "", "name", "give the name that metrics get")
	for name := range m.Labels {
		need(metric.ValidName(name) && !strings.Contains(name, ":"), "labels."+name, "use letters, digits and '_' in names of labels, not a digit first")
	}
	if _, err := m.compile(); err != nil {
		need(false, "match", err.Error())
	}
	return config.Join(problems...)
}

// compile returns the expression that a name has to match.
func (m *Mapping) compile() (*regexp.Regexp, error) {
	if m.MatchType == "regex" {
		return regexp.Compile(m.Match)
	}
	if m.Match == "" {
		return nil, fmt.Errorf("give a glob, such as app.*.requests")
	}
	return regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(m.Match), `\*`, `([^.]*)`) + "$")
}

// rule is a mapping that is ready for use.
type rule struct {
	*Mapping
	match   *regexp.Regexp
	natural bool // the name gets the suffix of its type
}

// newRules compiles what a valid configuration says: the preset, globs, expressions.
func newRules(c *Config) []rule {
	var rules []rule
	add := func(m *Mapping, natural bool) {
		if match, err := m.compile(); err == nil {
			rules = append(rules, rule{m, match, natural})
		}
	}
	for _, kind := range []bool{false, true} {
		for i := range c.Mappings {
			if m := &c.Mappings[i]; (m.MatchType == "regex") == kind {
				add(m, false)
			}
		}
	}
	if c.Preset == Sprockets {
		add(&Mapping{
			MatchType: "regex", MatchMetricType: "observer", Name: "http_request_seconds", Help: "Requests by handler, method and status.",
			Match:  `^(?:(.+?)\.)?timers\.([^.]+)\.(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT)\.(\d{3})$`,
			Labels: map[string]string{"prefix": "$1", "handler": "$2", "method": "$3", "status": "$4"},
		}, true)
		add(&Mapping{MatchType: "regex", Match: `^(?:(.+?)\.)?(?:counters|gauges|timers)\.(.+)$`, Name: "${2}", Labels: map[string]string{"prefix": "$1"}}, true)
	}
	return rules
}

// observed tells whether it is for a type.
func (r *rule) observed(typ wire.Type) bool {
	switch r.MatchMetricType {
	case "":
		return true
	case "counter":
		return typ == wire.Counter
	case "gauge":
		return typ == wire.Gauge
	}
	return typ == wire.Timer || typ == wire.Histogram || typ == wire.Distribution
}

// find returns the rule for a name, and what its groups have matched.
func find(rules []rule, name []byte, typ wire.Type) (*rule, []int) {
	for i := range rules {
		r := &rules[i]
		if !r.observed(typ) {
			continue
		}
		if groups := r.match.FindSubmatchIndex(name); groups != nil {
			return r, groups
		}
	}
	return nil, nil
}

// expand fills a template, in which $1_x is what the first group has matched, and _x.
func (r *rule) expand(template string, name []byte, groups []int) string {
	return string(r.match.Expand(nil, []byte(numbered.ReplaceAllString(template, "${$1}")), name, groups))
}

// numbered is $1, which regexp would read as the name 1_x in $1_x.
var numbered = regexp.MustCompile(`\$(\d+)`)
