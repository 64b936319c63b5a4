package metric_test

import (
	"bytes"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

func family(t testing.TB, r *metric.Registry, d metric.Desc) *metric.Family {
	t.Helper()
	f, err := r.Family(d)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sampleRegistry has each kind of series that the formats treat differently.
func sampleRegistry(t testing.TB) *metric.Registry {
	r := metric.New(record.Label{Name: "machine", Value: "web-1"})
	status := family(t, r, metric.Desc{Name: "nginx_status_count_total", Help: "Lines by status.", Labels: []string{"status"}, MaxSeries: 3})
	for i, code := range []string{"404", "200", "301", "500", "502"} {
		status.Series(code).Add(float64(i + 1))
	}
	load := family(t, r, metric.Desc{Name: "load", Help: "With \\ and \"quotes\" and\nlines.", Kind: metric.Gauge, Labels: []string{"path", "why"}})
	load.Series("/a\"b\\c\nd", "").Set(-0.25)
	load.Series("/é\xff", "inf").Set(math.Inf(1))
	load.Series("/é", "nan").Set(math.NaN())
	rt := family(t, r, metric.Desc{Name: "rt_seconds", Help: "Request time.", Kind: metric.Histogram, Buckets: []float64{0.1, 1, 1e6}})
	for _, v := range []float64{0.05, 0.1, 0.5, 2, 3e6} {
		rt.Series().Observe(v)
	}
	family(t, r, metric.Desc{Name: "silent_total", Help: "Without series."})
	family(t, r, metric.Desc{Name: "odd_counter"}).Series().Add(1 << 60)
	family(t, r, metric.Desc{Name: "jobs_total", Help: "Shadowed."}).Series().Add(1)
	family(t, r, metric.Desc{Name: "jobs", Kind: metric.Gauge, Help: "Gauge."}).Series().Set(1795198202)
	return r
}

const wantText = `# HELP jobs Gauge.
# TYPE jobs gauge
jobs{machine="web-1"} 1795198202
# HELP jobs_total Shadowed.
# TYPE jobs_total counter
jobs_total{machine="web-1"} 1
# HELP load With \\ and "quotes" and\nlines.
# TYPE load gauge
load{machine="web-1",path="/a\"b\\c\nd",why=""} -0.25
load{machine="web-1",path="/é",why="nan"} NaN
load{machine="web-1",path="/é` + "\uFFFD" + `",why="inf"} +Inf
# HELP nginx_status_count_total Lines by status.
# TYPE nginx_status_count_total counter
nginx_status_count_total{machine="web-1",status="200"} 2
nginx_status_count_total{machine="web-1",status="301"} 3
nginx_status_count_total{machine="web-1",status="404"} 1
nginx_status_count_total{machine="web-1",overflow="true"} 9
# TYPE odd_counter counter
odd_counter{machine="web-1"} 1.152921504606847e+18
# HELP rt_seconds Request time.
# TYPE rt_seconds histogram
rt_seconds_bucket{machine="web-1",le="0.1"} 2
rt_seconds_bucket{machine="web-1",le="1"} 3
rt_seconds_bucket{machine="web-1",le="1e+06"} 4
rt_seconds_bucket{machine="web-1",le="+Inf"} 5
rt_seconds_sum{machine="web-1"} 3.00000265e+06
rt_seconds_count{machine="web-1"} 5
`

func TestText(t *testing.T) {
	compare(t, string(sampleRegistry(t).AppendText(nil, metric.Text)), wantText)
}

func TestOpenMetrics(t *testing.T) {
	want := strings.NewReplacer(
		"# HELP nginx_status_count_total", "# HELP nginx_status_count",
		"# TYPE nginx_status_count_total", "# TYPE nginx_status_count",
		`and "quotes" and`, `and \"quotes\" and`,
		"# TYPE odd_counter counter", "# TYPE odd_counter unknown",
		"# TYPE jobs_total counter", "# TYPE jobs_total unknown",
		`le="1"`, `le="1.0"`,
	).Replace(wantText) + "# EOF\n"
	compare(t, string(sampleRegistry(t).AppendText(nil, metric.OpenMetrics)), want)
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d differs\ngot:\n%s\nwant:\n%s", i+1, got, want)
		}
	}
}

func TestWithoutConstantLabels(t *testing.T) {
	r := metric.New()
	family(t, r, metric.Desc{Name: "up", Kind: metric.Gauge}).Series().Set(1)
	family(t, r, metric.Desc{Name: "h", Kind: metric.Histogram}).Series().Observe(2)
	compare(t, string(r.AppendText([]byte("before\n"), metric.Text)), `before
# TYPE h histogram
h_bucket{le="+Inf"} 1
h_sum 2
h_count 1
# TYPE up gauge
up 1
`)
}

func TestOpenMetricsTypeComesBack(t *testing.T) {
	r := sampleRegistry(t)
	r.Forget("jobs")
	if got := string(r.AppendText(nil, metric.OpenMetrics)); !strings.Contains(got, "# TYPE jobs counter\njobs_total") {
		t.Errorf("with the gauge gone the counter has no type:\n%s", got)
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIP: promtool is not installed (Debian: prometheus)")
	}
	r := sampleRegistry(t)
	r.Forget("odd_counter") // named against the conventions on purpose
	r.Forget("jobs_total")
	if err := metric.Process(r, "v0.1.0"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(r.AppendText(nil, metric.Text))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestProcess(t *testing.T) {
	r := metric.New()
	if err := metric.Process(r, "v0.1.0"); err != nil {
		t.Fatal(err)
	}
	text := string(r.AppendText(nil, metric.Text))
	for _, name := range []string{
		"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds",
		"go_goroutines", "go_memstats_heap_alloc_bytes", `weir_build_info{version="v0.1.0",goversion="go`,
	} {
		_, line, ok := strings.Cut(text, "\n"+name)
		line, _, _ = strings.Cut(line, "\n")
		if _, value, _ := strings.Cut(line, " "); !ok || value == "0" || value == "" {
			t.Errorf("%s%s: missing or zero", name, line)
		}
	}
	if err := metric.Process(r, "v0.1.0"); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestAppendValue(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 1: "1", -17: "-17", 0.1: "0.1", 67108864: "67108864", 1e15: "1000000000000000",
		1 << 53: "9.007199254740992e+15", 1e-9: "1e-09", 1.0 / 3: "0.3333333333333333", math.Inf(-1): "-Inf", math.MaxFloat64: "1.7976931348623157e+308",
	} {
		if got := string(metric.AppendValue(nil, v)); got != want {
			t.Errorf("AppendValue(%g) = %s; want %s", v, got, want)
		}
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]metric.Format{
		"":                             metric.Text,
		"*/*":                          metric.Text,
		"text/plain":                   metric.Text,
		"text/html, */*;q=0.8":         metric.Text,
		"application/openmetrics-text": metric.OpenMetrics,
		"application/openmetrics-text; version=1.0.0; charset=utf-8":                        metric.OpenMetrics,
		"application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5":         metric.OpenMetrics,
		"application/openmetrics-text;q=0.4,text/plain;version=0.0.4;q=0.5":                 metric.Text,
		"application/openmetrics-text;q=0":                                                  metric.Text,
		"application/openmetrics-text;q=nan":                                                metric.Text,
		"application/openmetrics-text;version=2.0.0":                                        metric.Text,
		"APPLICATION/OpenMetrics-Text ; Version=1.0.0":                                      metric.OpenMetrics,
		";;;,,/,application/openmetrics-text;q=x":                                           metric.Text,
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.6,*/*": metric.Text,
		// What Prometheus 3 sends.
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
			"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2": metric.OpenMetrics,
	} {
		if got := metric.Negotiate(accept); got != want {
			t.Errorf("Negotiate(%q) = %v; want %v", accept, got, want)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
	f.Add("text/plain;q=\"1\",,;=")
	f.Fuzz(func(t *testing.T, accept string) {
		if metric.Negotiate(accept) == metric.OpenMetrics && !strings.Contains(strings.ToLower(accept), "application/openmetrics-text") {
			t.Errorf("Negotiate(%q) is OpenMetrics", accept)
		}
	})
}

// bigRegistry has n series of two labels.
func bigRegistry(t testing.TB, n int) *metric.Registry {
	r := metric.New(record.Label{Name: "machine", Value: "web-1"})
	f := family(t, r, metric.Desc{Name: "requests_total", Help: "Requests.", Labels: []string{"status", "path"}, MaxSeries: n})
	for i := range n {
		f.Series("200", fmt.Sprintf("/some/path/%d", i)).Add(float64(i) * 1.1)
	}
	return r
}

func TestAppendTextDoesNotAllocate(t *testing.T) {
	r := bigRegistry(t, 1000)
	family(t, r, metric.Desc{Name: "h", Kind: metric.Histogram, Buckets: []float64{1, 2}, Labels: []string{"a"}}).Series("b").Observe(1)
	buf := r.AppendText(nil, metric.Text)
	for _, format := range []metric.Format{metric.Text, metric.OpenMetrics} {
		if n := testing.AllocsPerRun(10, func() { buf = r.AppendText(buf[:0], format) }); n > 0 {
			t.Errorf("format %d: %v allocations", format, n)
		}
	}
}

func BenchmarkAppendText20k(b *testing.B) {
	r := bigRegistry(b, 20000)
	buf := r.AppendText(nil, metric.Text)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = r.AppendText(buf[:0], metric.Text)
	}
}
