package scope_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/scope"
	"github.com/weirlog/weir/scope/scopehttp"
)

// counting returns a context whose scopes are counted.
func counting(t *testing.T, m *scope.Metrics, wrap func(slog.Handler) slog.Handler) context.Context {
	t.Helper()
	h, err := scope.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}), scope.Options{Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	return scope.WithLogger(t.Context(), slog.New(wrap(h)))
}

func itself(h slog.Handler) slog.Handler { return h }

// TestTook: the record that ends a scope says what it was and how long it took, if that is asked for.
func TestTook(t *testing.T) {
	for _, asked := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			h, err := scope.New(slog.NewJSONHandler(&out, nil), scope.Options{Took: asked})
			if err != nil {
				t.Fatal(err)
			}
			in, task := scope.Task(scope.WithLogger(t.Context(), slog.New(h)), "work")
			_, part := scope.To(in, "part")
			time.Sleep(1500 * time.Millisecond)
			part.Fail(errTest)
			part.End(nil)
			task.Success("done", "n", 3)
			task.End(nil)
			type closing struct {
				Msg, Task string
				Took      float64
				N         int
			}
			var got []closing
			for line := range strings.Lines(out.String()) {
				var c closing
				if err := json.Unmarshal([]byte(line), &c); err != nil {
					t.Fatal(err)
				}
				got = append(got, c)
			}
			want := []closing{{Msg: "work"}, {Msg: "part"}, {Msg: "FAILED part", Task: "part", Took: 1.5}, {Msg: "done", Task: "work", Took: 1.5, N: 3}}
			if !asked {
				want = []closing{{Msg: "work"}, {Msg: "part"}, {Msg: "FAILED part"}, {Msg: "done", N: 3}}
			}
			if !slices.Equal(got, want) {
				t.Errorf("asked %v: got %+v, want %+v", asked, got, want)
			}
		})
	}
}

// TestMetrics: each scope that ends is counted once, by name, whatever level is logged.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &scope.Metrics{Buckets: []float64{5, 0.5}}
		ctx := counting(t, m, itself)
		for i, took := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 20 * time.Second} {
			in, task := scope.Task(ctx, "work")
			_, part := scope.To(in, "a \"part\"\n\\")
			part.End(nil)
			time.Sleep(took)
			if i == 2 {
				task.Fail(errTest)
			}
			task.End(nil)
			task.End(nil)
		}
		got := regexp.MustCompile(`"[0-9a-f]{16,32}"`).ReplaceAllString(string(m.AppendOpenMetrics(nil)), `"X"`)
		const traced = ` # {trace_id="X",span_id="X"} `
		want := `# TYPE task_duration_seconds histogram
# UNIT task_duration_seconds seconds
# HELP task_duration_seconds How long scopes took, by the message they began with.
task_duration_seconds_bucket{task="a \"part\"\n\\",le="0.5"} 4` + traced + `0.0 946684802.600
task_duration_seconds_bucket{task="a \"part\"\n\\",le="5.0"} 4
task_duration_seconds_bucket{task="a \"part\"\n\\",le="+Inf"} 4
task_duration_seconds_sum{task="a \"part\"\n\\"} 0.0
task_duration_seconds_count{task="a \"part\"\n\\"} 4
task_duration_seconds_bucket{task="work",le="0.5"} 2` + traced + `0.5 946684800.600
task_duration_seconds_bucket{task="work",le="5.0"} 3` + traced + `2.0 946684802.600
task_duration_seconds_bucket{task="work",le="+Inf"} 4` + traced + `20.0 946684822.600
task_duration_seconds_sum{task="work"} 22.6
task_duration_seconds_count{task="work"} 4
# TYPE task_failures counter
# HELP task_failures Scopes that failed.
task_failures_total{task="a \"part\"\n\\"} 0
task_failures_total{task="work"} 1` + traced + `1.0 946684802.600
# EOF
`
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// TestMetricsBounds: names beyond the bound share a series, and long ones are cut.
func TestMetricsBounds(t *testing.T) {
	m := &scope.Metrics{MaxNames: 2}
	for i := range 10 {
		m.Observe("", strings.Repeat("x", 1000)+fmt.Sprint(i), time.Second, true)
		m.Observe("", fmt.Sprint(i), time.Second, true)
	}
	text := string(m.AppendOpenMetrics(nil))
	for _, want := range []string{
		`task_failures_total{overflow="true"} 9`, `task_failures_total{task="0"} 1`, `task_failures_total{task="` + strings.Repeat("x", 128) + `"} 10`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	var none *scope.Metrics
	none.Observe("", "x", 0, true)
	if text := string(none.AppendOpenMetrics(nil)); text != "# EOF\n" {
		t.Errorf("%q", text)
	}
}

// wrapped is a handler around a Handler, and one that hides it.
type (
	wrapped struct{ slog.Handler }
	hiding  struct{ slog.Handler }
)

func (w wrapped) Unwrap() slog.Handler { return w.Handler }

// TestMetricsWrapped: the Handler is found behind others that tell what they wrap.
func TestMetricsWrapped(t *testing.T) {
	for want, wrap := range map[int]func(slog.Handler) slog.Handler{
		1: func(h slog.Handler) slog.Handler { return wrapped{wrapped{h}} },
		0: func(h slog.Handler) slog.Handler { return hiding{h} },
	} {
		m := &scope.Metrics{}
		ctx := counting(t, m, wrap)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, task := scope.Task(ctx, "work")
				task.End(nil)
				m.AppendOpenMetrics(nil)
			})
		}
		wg.Wait()
		if got := strings.Contains(string(m.AppendOpenMetrics(nil)), `task_duration_seconds_count{task="work"} 8`+"\n"); got != (want == 1) {
			t.Errorf("%d: %t", want, got)
		}
	}
}

// TestPrometheus: a real one scrapes the series and their exemplars.
func TestPrometheus(t *testing.T) {
	m := &scope.Metrics{}
	ctx := counting(t, m, itself)
	in, task := scope.Task(ctx, "work \"é\"\n\\ \xff")
	_, part := scope.To(in, "part")
	part.Fail(errors.New("x"))
	part.End(nil)
	task.End(nil)
	exporter := httptest.NewServer(scopehttp.Metrics(m))
	defer exporter.Close()
	p := realtest.StartPrometheus(t, realtest.PrometheusConfig{Scrape: strings.TrimPrefix(exporter.URL, "http://"), Features: "exemplar-storage"})
	realtest.Eventually(t, "the failure's exemplar", func() bool {
		answer, err := http.Get(p.URL + "/api/v1/query_exemplars?" + url.Values{
			"query": {`task_failures_total{task="part"}`}, "start": {fmt.Sprint(time.Now().Add(-time.Hour).Unix())}, "end": {fmt.Sprint(time.Now().Add(time.Hour).Unix())},
		}.Encode())
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var got struct {
			Data []struct {
				Exemplars []struct{ Labels map[string]string }
			}
		}
		return json.NewDecoder(answer.Body).Decode(&got) == nil && len(got.Data) == 1 && got.Data[0].Exemplars[0].Labels["span_id"] == part.ID().SpanID()
	})
}
