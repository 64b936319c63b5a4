package otlp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/metric"
)

// refuses sends metrics of which one point must not be taken, for a reason.
func (w *world) refuses(reason string, metrics ...string) {
	w.t.Helper()
	if got := w.sendMetrics(metrics...); !strings.Contains(got, `"rejectedDataPoints":"1"`) || !strings.Contains(got, reason) {
		w.t.Errorf("%s: %s; want %q", metrics, got, reason)
	}
}

// TestLateAfterRestart: an old point that comes again or late is no new start, also after a
// restart of weir.
func TestLateAfterRestart(t *testing.T) {
	for _, start := range []int{0, 1} {
		w := newWorld(t, nil).run()
		w.took(sum("hits", start, 10, 5))
		w.took(sum("hits", start, 11, 7))
		w.refuses("it is older", sum("hits", start, 11, 6))
		w.restart(nil)
		w.refuses("it is older", sum("hits", start, 10, 5))
		w.took(sum("hits", start, 11, 7))
		w.has("hits_total" + origin + " 7")
		w.restart(nil)
		w.took(sum("hits", start, 12, 1)) // that is one
		w.has("hits_total" + origin + " 8")
	}
	w := newWorld(t, nil).run()
	w.took(exponential(2, 1, 5, `"count":"2","sum":3,"scale":0,"positive":{"offset":0,"bucketCounts":["2"]}`))
	w.took(exponential(2, 1, 6, `"count":"4","sum":6,"scale":0,"positive":{"offset":0,"bucketCounts":["4"]}`))
	w.restart(nil)
	w.refuses("it is older", exponential(2, 1, 5, `"count":"2","sum":3,"scale":0,"positive":{"offset":0,"bucketCounts":["2"]}`))
	if got, want := w.native(), "count 4 sum 6 zero 0: 2=4"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// TestRounding: a sum that stays is no new start, though what the sums before it came to and
// it make a rounded sum.
func TestRounding(t *testing.T) {
	w := newWorld(t, nil).run()
	w.took(sum("hits", 1, 10, 0.1))
	w.took(sum("hits", 20, 21, 0.2))
	w.restart(nil)
	w.took(sum("hits", 20, 22, 0.2))
	w.has("hits_total" + origin + " 0.30000000000000004")
}

// from is a sum of a resource that says no service, nor when it began.
func from(resource, scope, attribute string, at int, value float64) []byte {
	pair := func(text string) string {
		key, v, ok := strings.Cut(text, "=")
		if !ok {
			return ""
		}
		return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, key, v)
	}
	return fmt.Appendf(nil, `{"resourceMetrics":[{"resource":{"attributes":[%s]},"scopeMetrics":[{"scope":{"attributes":[%s]},"metrics":[{"name":"hits","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
{"attributes":[%s],"timeUnixNano":"%d","asDouble":%v}]}}]}]}]}`, pair(resource), pair(scope), pair(attribute), at, value)
}

// TestTwoSenders: those whose points come to one series are told apart, and never summed as if
// one of them began anew each time.
func TestTwoSenders(t *testing.T) {
	w := newWorld(t, nil).run()
	for at := range 3 { // told apart by a label
		for i, host := range []string{"host.name=a", "host.name=b"} {
			if got := w.post("/v1/metrics", from(host, "", "", 10*at+i, float64(100-90*i+at)), isJSON); got != "200 {}" {
				t.Error(got)
			}
		}
	}
	w.has(`hits_total{host_name="a"} 102`, `hits_total{host_name="b"} 12`)

	for _, two := range [][2][3]string{
		{{"process.pid=1"}, {"process.pid=2"}},
		{{"", "part=1"}, {"", "part=2"}},
		{{"", "", "a.b=1"}, {"", "", "a_b=1"}},
	} {
		w := newWorld(t, nil).run()
		want := ""
		for at := range 4 {
			if at == 2 {
				w.restart(nil)
			}
			for i, who := range two {
				got := w.post("/v1/metrics", from(who[0], who[1], who[2], 10*at+i+1, float64(100-90*i+at)), isJSON)
				if i == 0 && got != "200 {}" || i == 1 && !strings.Contains(got, "service.instance.id") {
					t.Errorf("%v: %s", who, got)
				}
			}
			want = fmt.Sprint(100 + at)
		}
		if got := w.reg.Named("hits_total"); got == nil || sumOf(got) != want {
			t.Errorf("%v: %s; want %s", two, w.numbers(), want)
		}
	}
}

// sumOf returns what all series of f have together.
func sumOf(f *metric.Family) string {
	n := 0.0
	f.Each(func(s *metric.Series) bool { n += s.Value(); return true })
	return fmt.Sprint(n)
}

// TestSaysMore: a sender of which more is known than before, as when a Collector has found out
// where it runs, is the same.
func TestSaysMore(t *testing.T) {
	w := newWorld(t, nil).run()
	body := func(more string, at int, value float64) []byte {
		return fmt.Appendf(nil, `{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.instance.id","value":{"stringValue":"1"}}%s]},"scopeMetrics":[{"metrics":[%s]}]}]}`, more, sum("hits", 1, at, value))
	}
	const more = `,{"key":"host.id","value":{"stringValue":"x"}}`
	for i, b := range [][]byte{body("", 10, 5), body(more, 11, 5), body(more, 12, 7)} {
		if got := w.post("/v1/metrics", b, isJSON); got != "200 {}" {
			t.Errorf("%d: %s", i, got)
		}
	}
	if got := w.post("/v1/metrics", body("", 13, 6), isJSON); !strings.Contains(got, "service.instance.id") {
		t.Error(got)
	}
	if got := sumOf(w.reg.Named("hits_total")); got != "7" {
		t.Error(w.numbers())
	}
}

// TestStateAlone: where weir was killed when a commit had the state of a series and not what the
// point added, the sender, which got no answer, sends the point again, and all is there once.
func TestStateAlone(t *testing.T) {
	const took = `{"name":"took","histogram":{"aggregationTemporality":2,"dataPoints":[{"startTimeUnixNano":"%d","timeUnixNano":"%d","count":"%d","sum":%d,"bucketCounts":["%[3]d","0"],"explicitBounds":[1]}]}}`
	point := func(start, at, n int) []string {
		return []string{
			sum("hits", start, at, float64(n)), fmt.Sprintf(took, start, at, n, n),
			exponential(2, start, at, fmt.Sprintf(`"count":"%d","sum":%[1]d,"scale":0,"positive":{"offset":0,"bucketCounts":["%[1]d"]}`, n)),
		}
	}
	for _, second := range [][]string{point(1, 6, 5), point(6, 7, 2), point(1, 6, 2)} {
		w := newWorld(t, nil).run()
		w.took(point(1, 5, 3)...)
		w.mu.Lock()
		w.fail = errTest
		w.mu.Unlock()
		if got := w.sendMetrics(second...); !strings.HasPrefix(got, "503") {
			t.Error(got)
		}
		w.restart(nil)
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		w.took(second...)
		w.took(second...)
		if got, n := w.native(), 5; got != fmt.Sprintf("count %d sum %[1]d zero 0: 2=%[1]d", n) {
			t.Error(got)
		}
		if all := w.numbers(); !strings.Contains(all, "hits_total"+origin+" 5") || !strings.Contains(all, "took_sum"+origin+" 5") || !strings.Contains(all, "took_count"+origin+" 5") {
			t.Error(all)
		}
	}
}

// TestManyBuckets: a histogram with more buckets than max_buckets takes no more memory, state and
// commits than one with as many, and its series is what it would be with each single bucket.
func TestManyBuckets(t *testing.T) {
	for _, temporality := range []int{1, 2} {
		w := newWorld(t, func(c *Config) { c.MaxBuckets = 100 }).run()
		plain := metric.New()
		f, err := plain.Family(metric.Desc{Name: "rt", Kind: metric.Histogram, Native: &metric.Native{Schema: native.MaxSchema, MaxBuckets: 100}})
		if err != nil {
			t.Fatal(err)
		}
		const n = 4000
		ones := strings.TrimSuffix(strings.Repeat(`"1",`, n), ",")
		for i := range 3 {
			at := 5 + i
			if temporality == 2 && i == 2 {
				w.restart(nil)
			}
			w.took(exponential(temporality, 1, at, fmt.Sprintf(`"count":"%d","sum":0,"scale":9,"positive":{"offset":-2000,"bucketCounts":[%s]}`, n, ones)))
		}
		for k := range n {
			f.Series().Observe(upper(int64(k-2000), 9))
		}
		var want, got native.Histogram
		f.Series().ReadNative(&want)
		w.reg.Named("rt").Find("instance", "1", "job", "shop").ReadNative(&got)
		if got.Schema != want.Schema || temporality == 2 && got.Count != n || temporality == 1 && got.Count != 3*n || len(got.Positive.Counts) != len(want.Positive.Counts) {
			t.Errorf("schema %d with %d buckets and %v values; want %d and %d", got.Schema, len(got.Positive.Counts), got.Count, want.Schema, len(want.Positive.Counts))
		}
		for i := range want.Positive.Counts {
			times := float64(1)
			if temporality == 1 {
				times = 3
			}
			if got.Positive.Counts[i] != times*want.Positive.Counts[i] {
				t.Errorf("bucket %d has %v; want %v", i, got.Positive.Counts[i], times*want.Positive.Counts[i])
			}
		}
		for key, state := range w.kept {
			if len(state) > 2000 {
				t.Errorf("the state %x has %d bytes", key, len(state))
			}
		}
		if w.deltas > 203 {
			t.Errorf("%d deltas of a point", w.deltas)
		}
		for _, track := range w.source.numbers.tracks {
			if len(track.first)+len(track.last) > 203 {
				t.Errorf("%d cells are kept", len(track.first)+len(track.last))
			}
		}
	}
}
