package count

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
)

// Config is one number that a rule makes of the records it applies to.
type Config struct {
	// Name is the number's name as StatsD sends it, as in nginx.status_count. On /metrics
	// dots become underscores and a counter ends in _total: nginx_status_count_total.
	Name string `yaml:"name"`
	// By lists the fields whose values tell the series apart: fields that the rules
	// extract, `level`, or labels of the stream, as in [status]. Empty: one series.
	By []string `yaml:"by,omitempty"`
	// Sum is a numeric field whose values are added up, instead of counting records.
	Sum string `yaml:"sum,omitempty"`
	// Histogram is a numeric field whose values are counted in buckets.
	Histogram string `yaml:"histogram,omitempty"`
	// Buckets are the histogram's upper limits in the metric's unit, ascending. Default:
	// for seconds 0.005 to 10, for bytes 256 to 16 Mi, else 1 to 1000000.
	Buckets []float64 `yaml:"buckets,omitempty"`
	// Native makes it a native histogram, whose buckets come by themselves where there are values:
	// {} or {factor: 1.1, max_buckets: 160}. /metrics shows them to scrapers that ask for
	// Prometheus' protobuf format, as Prometheus does where native histograms are enabled;
	// the text formats have count and sum alone. Default: a histogram with Buckets.
	Native *Native `yaml:"native,omitempty"`
	// Exemplar lists the fields that lead to where a record comes from, as [trace_id, span_id]. For
	// each bucket, or for a counter, the latest record's are shown beside the number as its
	// exemplar: on /metrics (OpenMetrics, protobuf), in the history, over remote write. Fields
	// have been redacted then. A restart begins without exemplars on /metrics. What is longer
	// than 128 characters with the names makes none. Default: none.
	Exemplar []string `yaml:"exemplar,omitempty"`
	// Unit is what the field's plain numbers are in: seconds, milliseconds, microseconds,
	// nanoseconds, bytes, kibibytes. The metric is in seconds or bytes and its name says
	// so. Values with a unit of their own (12ms, 3KiB) need none. Default: as the numbers are.
	Unit string `yaml:"unit,omitempty"`
	// Window is how often a StatsD sink sends the number. Default: the sink's window.
	Window time.Duration `yaml:"window,omitempty"`
	// As is how a StatsD sink sends it: `gauge` (default) is the number of the window, as
	// the tools before sent it; `count` adds up over hosts and over windows missed.
	As string `yaml:"as,omitempty"`
	// MaxSeries bounds the series; what comes beyond is counted in one series with the
	// label overflow="true". Default 1000.
	MaxSeries int `yaml:"max_series,omitempty"`
	// Help is the metric's HELP text. Default: made from the name.
	Help string `yaml:"help,omitempty"`
}

type unit struct {
	names  []string
	suffix string // of the metric's name
	scale  float64
}

var units = [...]unit{
	{[]string{""}, "", 1},
	{[]string{"seconds", "s"}, "seconds", 1},
	{[]string{"milliseconds", "ms"}, "seconds", 1e-3},
	{[]string{"microseconds", "us"}, "seconds", 1e-6},
	{[]string{"nanoseconds", "ns"}, "seconds", 1e-9},
	{[]string{"bytes", "B"}, "bytes", 1},
	{[]string{"kibibytes", "KiB"}, "bytes", 1024},
}

func findUnit(name string) (unit, bool) {
	for _, u := range units {
		if slices.Contains(u.names, name) {
			return u, true
		}
	}
	return unit{}, false
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, format string, args ...any) {
		problems = append(problems, &config.Problem{Key: key, Message: fmt.Sprintf(format, args...)})
	}
	if c.Name == "" {
		problem("name", "give the number a name, as in nginx.status_count")
	} else if !metric.ValidName(promName(c.Name)) {
		problem("name", "%q: use letters, digits, dots and underscores, a letter first", c.Name)
	}
	if c.Sum != "" && c.Histogram != "" {
		problem("histogram", "a number is either a sum or a histogram; write two entries")
	}
	if len(c.Buckets) > 0 && c.Histogram == "" {
		problem("buckets", "only a histogram has buckets; name its field with histogram")
	}
	if !slices.IsSorted(c.Buckets) || len(slices.Compact(slices.Clone(c.Buckets))) != len(c.Buckets) {
		problem("buckets", "sort the limits in ascending order, each once")
	}
	if err := c.Native.problem(&c); err != nil {
		problem("native", "%v", err)
	}
	for i, name := range c.Exemplar {
		label := promName(name) // fields of two names may be one label
		if !metric.ValidName(label) || slices.ContainsFunc(c.Exemplar[:i], func(o string) bool { return promName(o) == label }) {
			problem(fmt.Sprintf("exemplar[%d]", i), "name each field once, as in [trace_id, span_id]")
		}
	}
	if len(c.Buckets) > 100 {
		problem("buckets", "use at most 100 buckets")
	}
	if _, ok := findUnit(c.Unit); !ok {
		problem("unit", "%q is not known; use seconds, milliseconds, microseconds, nanoseconds, bytes or kibibytes", c.Unit)
	}
	if c.As != "" && c.As != "gauge" && c.As != "count" {
		problem("as", "%q is not known; use gauge or count", c.As)
	}
	if c.Window < 0 || c.Window > 0 && c.Window < time.Second {
		problem("window", "use at least 1s")
	}
	if c.MaxSeries < 0 || c.MaxSeries > 1_000_000 {
		problem("max_series", "use 1 to 1000000")
	}
	for i, by := range c.By {
		if slices.Contains(c.By[:i], by) || by == "" {
			problem(fmt.Sprintf("by[%d]", i), "name each field once")
		}
	}
	return config.Join(problems...)
}

// Fields returns the names of the fields that c reads.
func (c Config) Fields() []string {
	fields := slices.Concat(c.By, c.Exemplar)
	for _, f := range []string{c.Sum, c.Histogram} {
		if f != "" {
			fields = append(fields, f)
		}
	}
	return fields
}

// MetricName returns the name that c has on /metrics.
func (c Config) MetricName() string {
	name := promName(c.Name)
	u, _ := findUnit(c.Unit)
	if u.suffix != "" && !strings.HasSuffix(name, "_"+u.suffix) {
		name += "_" + u.suffix
	}
	if c.Histogram == "" && !strings.HasSuffix(name, "_total") {
		name += "_total"
	}
	return name
}

func (c Config) buckets() []float64 {
	if c.Histogram == "" || c.Native != nil || len(c.Buckets) > 0 {
		return c.Buckets
	}
	u, _ := findUnit(c.Unit)
	switch u.suffix {
	case "seconds":
		return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	case "bytes":
		return []float64{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20}
	}
	return []float64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}
}

func (c Config) help() string {
	switch {
	case c.Help != "":
		return c.Help
	case c.Sum != "":
		return "Sum of the field " + c.Sum + " of log records."
	case c.Histogram != "":
		return "The field " + c.Histogram + " of log records."
	}
	return "Log records counted by a rule."
}

// promName replaces what a metric or label name cannot have.
func promName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		case r == '.', r == '-':
			return '_'
		}
		return '!' // refused by ValidName
	}, s)
}
