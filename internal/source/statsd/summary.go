package statsd

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// statLabel is the label of a timer's gauges that says which of etsy's numbers one is.
const statLabel = "stat"

// maxSamples bounds the values that all summaries together keep between two flushes.
const maxSamples = 4 << 20

// stats are the numbers that etsy's server makes of a timer's values, with their names.
type stats struct {
	percentiles []float64
	names       []string // those of plain, then five for each percentile
}

// plain are the names of the numbers without a percentile; the first two are there without values, too.
func plain() []string {
	return []string{"count", "count_ps", "lower", "upper", "sum", "sum_squares", "mean", "median", "std"}
}

func newStats(percentiles []float64) *stats {
	s := &stats{percentiles: percentiles, names: plain()}
	for _, p := range percentiles {
		name := strconv.FormatFloat(p, 'f', -1, 64)
		name = strings.Replace(strings.Replace(name, ".", "_", 1), "-", "top", 1)
		bound := "upper_"
		if p < 0 {
			bound = "lower_"
		}
		for _, of := range []string{"count_", "mean_", bound, "sum_", "sum_squares_"} {
			s.names = append(s.names, of+name)
		}
	}
	return s
}

// of appends the numbers of values, which it sorts, in the order of names. times is how many
// values there were before sampling, seconds the interval. What there is not is NaN.
func (s *stats) of(dst, values []float64, times, seconds float64) []float64 {
	dst = append(dst, times, times/seconds)
	n := len(values)
	if n == 0 {
		for range len(s.names) - 2 {
			dst = append(dst, math.NaN())
		}
		return dst
	}
	slices.Sort(values)
	// In the order in which etsy's adds, so that the rounding is the same.
	sums, squares := make([]float64, n+1), make([]float64, n+1)
	for i, v := range values {
		sums[i+1], squares[i+1] = v+sums[i], float64(v*v)+squares[i]
	}
	mean, median := sums[n]/float64(n), values[n/2]
	if n%2 == 0 {
		median = (values[n/2-1] + values[n/2]) / 2
	}
	spread := 0.0
	for _, v := range values {
		d := v - mean
		spread += float64(d * d)
	}
	dst = append(dst, values[0], values[n-1], sums[n], squares[n], mean, median, math.Sqrt(spread/float64(n)))
	for _, p := range s.percentiles {
		k := 1
		if n > 1 {
			k = int(math.Floor(math.Abs(p)/100*float64(n) + 0.5))
		}
		switch k = min(k, n); {
		case k == 0:
			nan := math.NaN()
			dst = append(dst, nan, nan, nan, nan, nan)
		case p > 0:
			dst = append(dst, float64(k), sums[k]/float64(k), values[k-1], sums[k], squares[k])
		default:
			sum, square := sums[n]-sums[n-k], squares[n]-squares[n-k]
			dst = append(dst, float64(k), sum/float64(k), values[n-k], sum, square)
		}
	}
	return dst
}

// summary is the values of one timer since the last flush.
type summary struct {
	series []*metric.Series // one a number
	values []float64
	times  float64
	active bool // it has shown values, or has some
}

// summaries are those of all timers, where the configuration asks for percentiles.
type summaries struct {
	stats *stats

	mu     sync.Mutex // guards all below, and what is in summaries
	active []*summary
	kept   int // values
	missed int // values that were not kept
	result []float64
}

// add takes a value that stands for so many.
func (s *summaries) add(m *summary, v, times float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept >= maxSamples {
		s.missed++
		return
	}
	s.kept++
	m.values = append(m.values, v)
	m.times += times
	if !m.active {
		m.active = true
		s.active = append(s.active, m)
	}
}

// flush appends what the timers come to, and forgets their values. It returns how many were missed.
func (s *summaries) flush(dst []record.Delta, interval time.Duration) ([]record.Delta, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = slices.DeleteFunc(s.active, func(m *summary) bool {
		s.result = s.stats.of(s.result[:0], m.values, m.times, interval.Seconds())
		for i, v := range s.result {
			dst = append(dst, record.Delta{Series: m.series[i].ID(), Cell: record.SetCell, Add: v})
		}
		m.active = len(m.values) > 0 // else it has now shown that there are none
		m.values, m.times = nil, 0
		return !m.active
	})
	missed := s.missed
	s.kept, s.missed = 0, 0
	return dst, missed
}

// reset sets the gauges of timers from before the start to what there is without values.
func (s *summaries) reset(dst []record.Delta, series []*metric.Series) []record.Delta {
	for _, one := range series {
		v := math.NaN()
		if stat := one.Labels().Get(statLabel); stat == "count" || stat == "count_ps" {
			v = 0
		}
		dst = append(dst, record.Delta{Series: one.ID(), Cell: record.SetCell, Add: v})
	}
	return dst
}
