package count_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/count"
)

// apply is the end of a line: it commits at once.
func apply(reg *metric.Registry) flow.Sink {
	return flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		reg.Apply(b.Deltas)
		return nil
	})
}

// batch makes records of rows, one value a slot.
func batch(slots []string, rows ...[]string) *record.Batch {
	b := &record.Batch{Slots: slots}
	for _, row := range rows {
		b.Records = append(b.Records, record.Record{Rules: 1, Level: record.LevelWarn})
		for _, v := range row {
			span := record.Span{}
			if v != "" {
				span = b.Append([]byte(v))
			}
			b.Values = append(b.Values, span)
		}
	}
	return b
}

func newMetric(t testing.TB, reg *metric.Registry, c count.Config) *count.Metric {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	m, err := count.New(reg, c, "test")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func values(reg *metric.Registry, name string) map[string]string {
	got := map[string]string{}
	reg.Each(func(f *metric.Family, s *metric.Series) bool {
		if f.Desc().Name == name {
			cells := ""
			for i := range s.Cells() {
				cells += strconv.FormatFloat(s.Cell(i), 'g', -1, 64) + " "
			}
			got[fmt.Sprint(s.Values())] = cells
		}
		return true
	})
	return got
}

func TestCount(t *testing.T) {
	slots := []string{"status", "bytes", "rt"}
	rows := [][]string{
		{"200", "512", "0.005"},
		{"200", "-", "0.004, 0.010 : -"},
		{"404", "10", "12ms"},
		{"500", "x", ""},
	}
	labels := record.Labels{{Name: "container", Value: "shop"}}
	for _, test := range []struct {
		config count.Config
		metric string
		want   map[string]string
	}{
		{count.Config{Name: "nginx.status_count", By: []string{"status"}}, "nginx_status_count_total",
			map[string]string{"[200]": "2 ", "[404]": "1 ", "[500]": "1 "}},
		{count.Config{Name: "n.sent", Sum: "bytes", Unit: "bytes", By: []string{"container"}}, "n_sent_bytes_total",
			map[string]string{"[shop]": "522 "}},
		{count.Config{Name: "n.rt", Histogram: "rt", Unit: "seconds", Buckets: []float64{0.005, 0.0125}}, "n_rt_seconds",
			map[string]string{"[]": "1 1 1 0.031 "}},
		{count.Config{Name: "n.lines", By: []string{"level", "status"}}, "n_lines_total",
			map[string]string{"[warn 200]": "2 ", "[warn 404]": "1 ", "[warn 500]": "1 "}},
		{count.Config{Name: "all"}, "all_total", map[string]string{"[]": "4 "}},
	} {
		reg := metric.New()
		m := newMetric(t, reg, test.config)
		line := count.Stage([]count.Rule{{Bit: 0, Metrics: []*count.Metric{m}}}, slots, labels)(apply(reg))
		if err := line.Write(t.Context(), batch(slots, rows...)); err != nil {
			t.Fatal(err)
		}
		if got := values(reg, test.metric); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: got %v, want %v", test.metric, got, test.want)
		}
	}
}

func TestRulesThatDoNotApplyAreNotCounted(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n"})
	line := count.Stage([]count.Rule{{Bit: 3, Metrics: []*count.Metric{m}}}, nil, nil)(apply(reg))
	b := batch(nil, nil, nil, nil)
	b.Records[1].Rules = 1 << 3
	if err := line.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := values(reg, "n_total")["[]"]; got != "1 " {
		t.Errorf("counted %s, want 1", got)
	}
}

func TestEscapedValuesAreOne(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", By: []string{"path"}})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, []string{"path"}, nil)(apply(reg))
	b := batch([]string{"path"}, []string{`/a?b=1&c`}, []string{`/a?b=1\u0026c`})
	b.Records[1].Flags |= record.Escaped
	if err := line.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := values(reg, "n_total"); got["[/a?b=1&c]"] != "2 " {
		t.Errorf("got %v", got)
	}
}

func TestOverflow(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", By: []string{"id"}, MaxSeries: 3})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, []string{"id"}, nil)(apply(reg))
	for i := range 100 {
		if err := line.Write(t.Context(), batch([]string{"id"}, []string{strconv.Itoa(i % 50)})); err != nil {
			t.Fatal(err)
		}
	}
	got := values(reg, "n_total")
	if len(got) != 4 || got["[0]"] != "2 " || got["[]"] != "94 " {
		t.Errorf("got %v, want three series of 2 and 94 beyond them", got)
	}
}

// TestValuesStayInTheirLabels: bytes that are no UTF-8 must not move text to another label.
func TestValuesStayInTheirLabels(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", By: []string{"user", "group"}})
	slots := []string{"user", "group"}
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, slots, nil)(apply(reg))
	if err := line.Write(t.Context(), batch(slots, []string{"a\xffb", "c"}, []string{"a", "b\xffc"}, []string{"\xff", "g"})); err != nil {
		t.Fatal(err)
	}
	got := values(reg, "n_total")
	for _, want := range []string{"[a\uFFFDb c]", "[a b\uFFFDc]", "[\uFFFD g]"} {
		if got[want] != "1 " {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
}

// TestLevelIsTheRecords: the label level is the level that was found, not the words of a
// field that has that name.
func TestLevelIsTheRecords(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", By: []string{"level"}})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, []string{"level"}, nil)(apply(reg))
	b := batch([]string{"level"}, []string{"40"}, []string{""}, []string{"odd"})
	b.Records[2].Level = record.LevelUnknown
	if err := line.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := values(reg, "n_total"); got["[warn]"] != "2 " || got["[odd]"] != "1 " {
		t.Errorf("got %v", got)
	}
}

// TestManyLongValues makes values that are one series once they are shortened: they must
// not each cost memory.
func TestManyLongValues(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", By: []string{"path"}})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, []string{"path"}, nil)(apply(reg))
	long := strings.Repeat("x", 2000)
	for i := range 3000 {
		if err := line.Write(t.Context(), batch([]string{"path"}, []string{long + strconv.Itoa(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if got := values(reg, "n_total"); len(got) != 1 {
		t.Errorf("%d series", len(got))
	}
}

func TestNumbersThatNoCounterTakes(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", Sum: "v"})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, []string{"v"}, nil)(apply(reg))
	if err := line.Write(t.Context(), batch([]string{"v"}, []string{"1e308h"}, []string{"-5"}, []string{"2"}, []string{"NaN"})); err != nil {
		t.Fatal(err)
	}
	if got := values(reg, "n_total")["[]"]; got != "2 " {
		t.Errorf("sum is %s, want 2", got)
	}
}

func TestNoAllocations(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "n", By: []string{"status"}})
	h := newMetric(t, reg, count.Config{Name: "h", Histogram: "rt", By: []string{"status"}})
	slots := []string{"status", "rt"}
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m, h}}}, slots, nil)(
		flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	b := batch(slots, []string{"200", "0.5"}, []string{"404", "0.25"}, []string{"200", "3"})
	if n := testing.AllocsPerRun(100, func() {
		b.Deltas = b.Deltas[:0]
		if err := line.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]count.Config{
		"name: give the number a name, as in nginx.status_count":                                               {},
		"histogram: a number is either a sum or a histogram; write two entries":                                {Name: "a", Sum: "x", Histogram: "y"},
		"buckets: sort the limits in ascending order, each once":                                               {Name: "a", Histogram: "y", Buckets: []float64{2, 1}},
		`unit: "weeks" is not known; use seconds, milliseconds, microseconds, nanoseconds, bytes or kibibytes`: {Name: "a", Unit: "weeks"},
		`as: "set" is not known; use gauge or count`:                                                           {Name: "a", As: "set"},
		"by[1]: name each field once":                                                                          {Name: "a", By: []string{"x", "x"}},
		`name: "1 2": use letters, digits, dots and underscores, a letter first`:                               {Name: "1 2"},
		"window: use at least 1s":                                                                              {Name: "a", Window: 5},
	} {
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate(%+v) = %v\nwant %s", c, err, want)
		}
	}
}
