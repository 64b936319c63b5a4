package archive

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// BenchmarkAdd is a commit's text of one stream on its way into blocks, with what it leaves in
// the tail: 2 MB at a time, which is what eight senders of OTLP have in one commit.
func BenchmarkAdd(b *testing.B) {
	var appender kept.Appender
	var t kept.Text
	field := func(name, value string) kept.Field { return kept.Field{Name: []byte(name), Value: []byte(value)} }
	for i := range 5000 {
		id := fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15)
		appender.AppendTo(&t, &kept.Record{
			Time: int64(i) * 1_000_003, Level: record.LevelInfo, Body: fmt.Appendf(nil, "GET /orders/%d answered 200 in %d ms for customer %d of the shop in lane %d", i*7919%1_000_003, i%97, i*31%5003, i%13),
			Fields: []kept.Field{
				field("trace_id", id+id), field("span_id", id), field("flags", "1"), field("http_route", "/orders/{id}"), field("http_response_status_code", "200"),
				field("customer_id", fmt.Sprint(i*31%5003)), field("service_version", "1.17.3"), field("telemetry_sdk_language", "go"), field("scope_name", "github.com/shop/orders"),
			},
		})
	}
	a, err := Open(Options{Tree: new(disk.Faulty)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := a.Stream(record.Stream{ID: "s", Source: "s"}, Bound{})
	var log []byte
	written := 0
	b.ReportAllocs()
	for b.Loop() {
		log = s.Add(log[:0], t)
		written += len(log)
		s.waiting = s.waiting[:0]
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(t.Marks)), "ns/record")
	b.ReportMetric(float64(written)/float64(b.N*len(t.Marks)), "logged-B/record")
}
