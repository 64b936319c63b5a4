package count_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/count"
)

// TestNative counts in buckets that come by themselves.
func TestNative(t *testing.T) {
	reg := metric.New()
	m := newMetric(t, reg, count.Config{Name: "rt", Histogram: "rt", Unit: "ms", Native: &count.Native{Factor: 2, MaxBuckets: 100}})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{m}}}, []string{"rt"}, nil)(apply(reg))
	for range 2 {
		if err := line.Write(t.Context(), batch([]string{"rt"}, []string{"1500"}, []string{"0"}, []string{"-250"}, []string{"1.9s"}, []string{"x"}, []string{""})); err != nil {
			t.Fatal(err)
		}
	}
	var h native.Histogram
	if s := m.Family.Series(); m.Family.Desc().Name != "rt_seconds" || !s.ReadNative(&h) {
		t.Fatal(m.Family.Desc())
	}
	h.Threshold = 0
	if got, want := fmt.Sprint(h), "{0 2 8 6.3 {[{1 1}] [4]} {[{-2 1}] [2]} 0}"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// TestExemplars has the latest record of each cell of a batch, with what its fields are.
func TestExemplars(t *testing.T) {
	reg := metric.New()
	slots := []string{"rt", "trace_id", "span.id"}
	ids := []string{"trace_id", "span.id"}
	hits := newMetric(t, reg, count.Config{Name: "hits", Exemplar: ids})
	classic := newMetric(t, reg, count.Config{Name: "classic", Histogram: "rt", Buckets: []float64{1, 5}, Exemplar: ids})
	fine := newMetric(t, reg, count.Config{Name: "fine", Histogram: "rt", Native: &count.Native{Factor: 2, MaxBuckets: 100}, Exemplar: ids[:1]})
	var got []string
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{hits, classic, fine}}}, slots, nil)(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		for _, e := range b.Exemplars {
			if since := time.Since(time.Unix(0, e.Time)); e.Time != 7e9 && since > time.Minute {
				t.Errorf("of %v ago", since)
			}
			got = append(got, fmt.Sprintf("%d %v %q", e.Series, e.Value, b.Bytes(e.Labels)))
		}
		return nil
	}))
	long := strings.Repeat("ü", metric.MaxExemplarRunes-len("trace_id")+1)
	b := batch(slots, []string{"0.5", "a", "1"}, []string{"0.7", `b\"`, "-"}, []string{"3", "", "3"}, []string{"9", "", ""}, []string{"100", long, "4"}, []string{"200", "\xff", "5"})
	b.Records[1].Flags |= record.Escaped
	b.Records[1].Time = 7e9
	if err := line.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	series := func(m *count.Metric) uint32 { return m.Family.Series().ID() }
	want := []string{
		// Of the counter the last record's is no text, of the highest bucket too.
		fmt.Sprintf("%d 0.7 %q", series(classic), "trace_id\xffb\"\xff"),
		fmt.Sprintf("%d 3 %q", series(classic), "span_id\xff3\xff"),
		fmt.Sprintf("%d 0.5 %q", series(fine), "trace_id\xffa\xff"),
		fmt.Sprintf("%d 0.7 %q", series(fine), "trace_id\xffb\"\xff"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestExemplarsDoNotAllocate once there is memory for them.
func TestExemplarsDoNotAllocate(t *testing.T) {
	reg := metric.New()
	slots := []string{"rt", "trace_id"}
	fine := newMetric(t, reg, count.Config{Name: "fine", Histogram: "rt", Native: &count.Native{Factor: 1.1, MaxBuckets: 100}, Exemplar: slots[1:]})
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{fine}}}, slots, nil)(
		flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	b := batch(slots, []string{"0.5", "a"}, []string{"3", "b"}, []string{"3", "c"}, []string{"0", "d"})
	used := len(b.Arena)
	if n := testing.AllocsPerRun(100, func() {
		b.Deltas, b.Exemplars, b.Arena = b.Deltas[:0], b.Exemplars[:0], b.Arena[:used]
		if err := line.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// TestValidateNative has what is refused.
func TestValidateNative(t *testing.T) {
	fine := &count.Native{Factor: 1.1, MaxBuckets: 160}
	for want, c := range map[string]count.Config{
		"native: only a histogram is native; name its field with histogram":          {Name: "a", Native: fine},
		"native: its buckets come by themselves; leave out either buckets or native": {Name: "a", Histogram: "x", Buckets: []float64{1}, Native: fine},
		"exemplar[1]: name each field once, as in [trace_id, span_id]":               {Name: "a", Exemplar: []string{"x", "x"}},
		"exemplar[0]: name each field once, as in [trace_id, span_id]":               {Name: "a", Exemplar: []string{"a b"}},
	} {
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate(%+v) = %v\nwant %s", c, err, want)
		}
	}
	for want, n := range map[string]count.Native{
		"factor: use a number from 1.003 to 65536, as 1.1": {Factor: 1, MaxBuckets: 1},
		"max_buckets: use 1 to 10000":                      {Factor: 2},
	} {
		if err := n.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate(%+v) = %v\nwant %s", n, err, want)
		}
	}
	if err := (&count.Config{Name: "a", Histogram: "x", Native: fine, Exemplar: []string{"trace_id", "level"}}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestExemplarLabelsOnce: two fields whose names become one label are a mistake, since no
// format takes a label twice.
func TestExemplarLabelsOnce(t *testing.T) {
	c := count.Config{Name: "hits", Exemplar: []string{"trace_id", "span_id"}}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for _, second := range []string{"trace_id", "trace.id", "trace-id"} {
		c.Exemplar[1] = second
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "exemplar[1]") {
			t.Errorf("trace_id and %s: %v", second, err)
		}
	}
}

// TestExemplarOfTimesToCome: a record that says to be of times to come, as whoever pushes it likes,
// has the present. Databases would take none after it until that time.
func TestExemplarOfTimesToCome(t *testing.T) {
	slots := []string{"trace_id"}
	hits := newMetric(t, metric.New(), count.Config{Name: "hits", Exemplar: slots})
	b := batch(slots, []string{"a"})
	b.Records[0].Time = time.Now().AddDate(100, 0, 0).UnixNano()
	line := count.Stage([]count.Rule{{Metrics: []*count.Metric{hits}}}, slots, nil)(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	if err := line.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if len(b.Exemplars) != 1 || time.Until(time.Unix(0, b.Exemplars[0].Time)) > 0 {
		t.Errorf("%+v", b.Exemplars)
	}
}
