package statsd

import "testing"

// TestMappings: globs in their order before expressions, templates, types, drop, scale, labels.
func TestMappings(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Mappings = []Mapping{
			{Match: `^late\.(\w+)\.(.*)$`, MatchType: "regex", Name: "late_$1_x", Labels: map[string]string{"rest": "${2}", "none": "$3"}},
			{Match: "test.dispatcher.*.*.*", Name: "dispatcher_events_total", Labels: map[string]string{"processor": "$1", "action": "$2", "outcome": "$3", "job": "d"}},
			{Match: "test.*.noise", Action: "drop"},
			{Match: "test.*.time", MatchMetricType: "timer", Name: "${1}_time", Buckets: []float64{1}, Help: "Help."},
			{Match: "test.*.time", MatchMetricType: "gauge", Name: "time_of", Labels: map[string]string{"of": "$1"}, HonorLabels: true, Scale: 0.5},
		}
	})
	w.send(0, "test.dispatcher.FooProcessor.send.success:1|c|#job:mine,a:b\ntest.x.noise:1|c\ntest.x.time:2000|ms\ntest.y.time:8|g\n"+
		"test.y.time:9|g|#of:z\nlate.a.b.c:1|c\nother.name:1|c\n")
	w.lines(7)
	w.has(`dispatcher_events_total{a="b",action="send",job="d",outcome="success",processor="FooProcessor"} 1`,
		`# HELP x_time Help.`, `x_time_bucket{le="1"} 0`, `x_time_sum 2`, `time_of{of="y"} 4`, `time_of{of="z"} 4.5`, `late_a_x{rest="b.c"} 1`, "other_name_total 1",
		`weir_statsd_dropped_lines_total{source="app",listener="udp://127.0.0.1:0",reason="dropped by a mapping"} 1`)
	w.agrees()
	w.restart() // the series with buckets of their own go on
	w.send(0, "test.x.time:2000|ms\n")
	w.lines(8)
	w.has(`x_time_sum 4`)
}

func TestSprockets(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Preset = Sprockets })
	w.send(0, "applications.my-service.timers.MyHandler.GET.204:50.5|ms\ntimers.MyHandler.GET.204:100|ms\napplications.my-service.counters.by.code.204:5|c\n"+
		"gauges.simple.gauge:100|g\ntimers.db.query:1500.0|ms\nraw.path:1|c\n")
	w.lines(6)
	w.has(`http_request_seconds_sum{handler="MyHandler",method="GET",prefix="applications.my-service",status="204"} 0.0505`,
		`http_request_seconds_count{handler="MyHandler",method="GET",status="204"} 1`,
		`by_code_204_total{prefix="applications.my-service"} 5`, "simple_gauge 100", "db_query_seconds_sum 1.5", "raw_path_total 1")
	w.agrees()
}

func TestBadMappings(t *testing.T) {
	for _, m := range []Mapping{
		{Match: "a"}, {Match: "", Name: "x"}, {Match: "(", MatchType: "regex", Name: "x"}, {Match: "a", Name: "x", MatchType: "y"}, {Match: "a", Name: "x", Action: "y"},
		{Match: "a", Name: "x", MatchMetricType: "y"}, {Match: "a", Name: "x", Buckets: []float64{2, 1}}, {Match: "a", Name: "x", Labels: map[string]string{"a b": "c"}},
	} {
		if err := m.Validate(); err == nil {
			t.Errorf("%+v is taken", m)
		}
	}
}
