package scope

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Metrics count how scopes end and how long they take, by the message that they began with:
// task_duration_seconds, a histogram, and task_failures_total, each with the trace of the
// last scope as an exemplar. It is for Options.Metrics; several Handlers may share it. The
// zero value is ready, and everything but setting the fields is safe for concurrent use. On a
// nil Metrics every method does nothing.
type Metrics struct {
	// MaxNames bounds how many messages are told apart. What ends beyond that is counted in a
	// series with overflow="true". Zero: 100.
	MaxNames int
	// Buckets are the upper bounds of the histogram in seconds, ascending. Nil: 0.001, 0.005,
	// 0.025, 0.1, 0.5, 1, 5, 10, 60, 300, 3600.
	Buckets []float64

	mu       sync.Mutex
	tasks    map[string]*counted
	overflow *counted
	bounds   []float64 // Buckets, or the default
}

const (
	defaultNames = 100
	// maxName is how many bytes of a message are told apart.
	maxName = 128
)

// counted is what is known of scopes of one name.
type counted struct {
	buckets   []uint64 // by bound, and one more for what is above; not added up
	exemplars []exemplar
	sum       float64
	failures  uint64
	failure   exemplar // the last one
}

// exemplar is one scope of those that were counted.
type exemplar struct {
	id    ID // empty if there is none
	value float64
	when  time.Time
}

// Observe counts a scope that ended: what its message was, how long it took, and whether it
// failed. Scopes whose logger's handler is a Handler do this by themselves.
func (m *Metrics) Observe(id ID, name string, took time.Duration, failed bool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.of(name)
	seconds := took.Seconds()
	e := exemplar{id: id, value: seconds, when: time.Now()}
	i, _ := slices.BinarySearch(m.bounds, seconds)
	c.buckets[i]++
	c.exemplars[i] = e
	c.sum += seconds
	if failed {
		e.value = 1
		c.failures++
		c.failure = e
	}
}

// of returns what is known of a name. mu is held.
func (m *Metrics) of(name string) *counted {
	if m.tasks == nil {
		m.tasks = map[string]*counted{}
		if m.bounds = slices.Sorted(slices.Values(m.Buckets)); len(m.bounds) == 0 {
			m.bounds = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 10, 60, 300, 3600}
		}
	}
	if len(name) > maxName {
		name = name[:maxName]
	}
	if c := m.tasks[name]; c != nil {
		return c
	}
	fresh := func() *counted {
		n := len(m.bounds) + 1
		return &counted{buckets: make([]uint64, n), exemplars: make([]exemplar, n)}
	}
	if len(m.tasks) >= orDefault(m.MaxNames, defaultNames) {
		if m.overflow == nil {
			m.overflow = fresh()
		}
		return m.overflow
	}
	c := fresh()
	m.tasks[strings.Clone(name)] = c
	return c
}

// ContentType is what AppendOpenMetrics writes, as the header of HTTP.
const ContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

// AppendOpenMetrics appends all series in OpenMetrics' text format, by name.
func (m *Metrics) AppendOpenMetrics(dst []byte) []byte {
	if m == nil {
		return append(dst, "# EOF\n"...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, 0, len(m.tasks)+1)
	for name := range m.tasks {
		names = append(names, name)
	}
	slices.Sort(names)
	series := make([]labelled, 0, len(names)+1)
	for _, name := range names {
		series = append(series, labelled{`task="` + escapeLabel(name) + `"`, m.tasks[name]})
	}
	if m.overflow != nil {
		series = append(series, labelled{`overflow="true"`, m.overflow})
	}
	dst = append(dst, "# TYPE task_duration_seconds histogram\n# UNIT task_duration_seconds seconds\n"+
		"# HELP task_duration_seconds How long scopes took, by the message they began with.\n"...)
	for _, s := range series {
		dst = s.appendHistogram(dst, m.bounds)
	}
	dst = append(dst, "# TYPE task_failures counter\n# HELP task_failures Scopes that failed.\n"...)
	for _, s := range series {
		dst = append(dst, "task_failures_total{"+s.label+"} "...)
		dst = strconv.AppendUint(dst, s.failures, 10)
		dst = append(s.failure.append(dst), '\n')
	}
	return append(dst, "# EOF\n"...)
}

// labelled is what is known of a name, with its label as it is written.
type labelled struct {
	label string
	*counted
}

func (s labelled) appendHistogram(dst []byte, bounds []float64) []byte {
	sum := uint64(0)
	for i, n := range s.buckets {
		sum += n
		dst = append(dst, "task_duration_seconds_bucket{"+s.label+`,le="`...)
		if i < len(bounds) {
			dst = appendNumber(dst, bounds[i])
		} else {
			dst = append(dst, "+Inf"...)
		}
		dst = strconv.AppendUint(append(dst, `"} `...), sum, 10)
		dst = append(s.exemplars[i].append(dst), '\n')
	}
	dst = append(dst, "task_duration_seconds_sum{"+s.label+"} "...)
	dst = append(appendNumber(dst, s.sum), '\n')
	dst = append(dst, "task_duration_seconds_count{"+s.label+"} "...)
	return append(strconv.AppendUint(dst, sum, 10), '\n')
}

// append writes the exemplar after a value, if there is one.
func (e exemplar) append(dst []byte) []byte {
	if e.id == "" {
		return dst
	}
	dst = append(dst, ` # {trace_id="`+e.id.TraceID()+`",span_id="`+e.id.SpanID()+`"} `...)
	dst = append(appendNumber(dst, e.value), ' ')
	const milli = 1000
	return strconv.AppendFloat(dst, float64(e.when.UnixMilli())/milli, 'f', 3, 64)
}

// appendNumber writes a number as OpenMetrics wants bounds to be: with a point.
func appendNumber(dst []byte, f float64) []byte {
	e := encoder{buf: dst}
	e.float(f)
	return e.buf
}

// escapeLabel returns a label's value as it is written. Bytes that are not UTF-8 are U+FFFD.
func escapeLabel(s string) string {
	return strings.NewReplacer("\\", `\\`, "\"", `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\ufffd"))
}
