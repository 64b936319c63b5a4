package logql_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql"
)

// BenchmarkQueries asks what the goals are stated for.
func BenchmarkQueries(b *testing.B) {
	a := loadDataset(b)
	e := logql.New(logql.Options{Archive: a})
	var from, to int64
	for _, s := range a.Streams() {
		v := s.View()
		for i := range v.Len() {
			h := v.Head(i)
			if from == 0 || h.MinTime < from {
				from = h.MinTime
			}
			to = max(to, h.MaxTime)
		}
		v.Close()
	}
	hour := func(q string) logql.Params {
		return logql.Params{Query: q, Start: time.Unix(0, from), End: time.Unix(0, to+1), Limit: 100}
	}
	window := "[" + (time.Duration(to-from) + time.Hour).Truncate(time.Second).String() + "]"
	for _, q := range []struct{ name, text string }{
		{"absent", `{job="plain"} |= "no such thing"`},
		{"rare", `{job="plain"} |= "61edf51b0028fa9d888463256ef0df06"`},
		{"common100", `{job="plain"} |= "GET"`},
		{"common100filter", `{job="plain"} |= "checkout" != "POST"`},
		{"fold", `count_over_time({job="plain"} |~ "(?i)firefox" ` + window + `)`},
		{"count5xx", `count_over_time({job="plain"} |~ " 5\\d\\d " ` + window + `)`},
		{"countLiteral", `sum(count_over_time({job="plain"} |= "GET" ` + window + `))`},
		{"byStatus", `sum by (status) (count_over_time({job="plain"} | regexp ` + "`" + nginxRegex + "`" + ` ` + window + `))`},
		{"byStatusStored", `sum by (status) (count_over_time({job="stored"} | regexp ` + "`" + nginxRegex + "`" + ` | status!="" ` + window + `))`},
		{"byMethodStored", `sum by (method) (count_over_time({job="stored"} | regexp ` + "`" + nginxRegex + "`" + ` | method!="" ` + window + `))`},
		{"byStatusPattern", `sum by (status) (count_over_time({job="plain"} | pattern ` + "`" + `<_> - - [<_>] "<method> <path> <_>" <status> <_>` + "`" + ` ` + window + `))`},
		{"quantile", `quantile_over_time(0.9, {job="plain"} |= "rt=1" | regexp ` + "`" + `rt=(?P<rt>\S+)` + "`" + ` | unwrap rt | __error__="" ` + window + `)`},
		{"total", `sum(count_over_time({job="plain"}` + window + `))`},
		{"ungrouped", `count_over_time({job="plain"}` + window + `)`},
		{"byLevel", `sum by (detected_level) (count_over_time({job="plain"}` + window + `))`},
		{"byStored", `sum by (status) (count_over_time({job="stored"}` + window + `))`},
		{"storedScan", `sum by (status) (count_over_time({job="stored"} |= "GET"` + window + `))`},
	} {
		b.Run(q.name, func(b *testing.B) { ask(b, e, hour(q.text)) })
	}
	histogram := hour(`sum by (detected_level) (count_over_time({job="plain"}[1m]))`)
	histogram.Step = time.Minute
	b.Run("histogram", func(b *testing.B) { ask(b, e, histogram) })
	histogram.Query = `sum by (detected_level) (count_over_time({job="plain"} |= "GET" [1m]))`
	b.Run("histogramOfLiteral", func(b *testing.B) { ask(b, e, histogram) })
	b.Run("labelValues", func(b *testing.B) {
		for b.Loop() {
			if v, err := e.LabelValues(b.Context(), "job", logql.Selection{Start: time.Unix(0, from), End: time.Unix(0, to)}); len(v) != 2 || err != nil {
				b.Fatal("the labels are not there")
			}
		}
	})
}

func ask(b *testing.B, e *logql.Engine, p logql.Params) {
	b.ReportAllocs()
	var res logql.Result
	// The least of both is what the query takes when nothing else runs.
	const most = time.Duration(1<<63 - 1)
	least, fastest := most, most
	for b.Loop() {
		before := cpu(b)
		var err error
		if res, err = e.Query(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		least, fastest = min(least, cpu(b)-before), min(fastest, res.Stats.Duration)
	}
	b.ReportMetric(float64(least)/1e6, "least-cpu-ms")
	b.ReportMetric(float64(fastest)/1e6, "least-ms")
	b.Logf("%s: %d entries, %d series, %+v", p.Query, len(res.Entries), len(res.Series), res.Stats)
}

// cpu returns the processor time that the test has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
