package datadog

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// BenchmarkRequest makes requests of a thousand lines of a web server, packed.
func BenchmarkRequest(b *testing.B) {
	batch := &record.Batch{Stream: stream("shop"), First: 1}
	for i := range maxEntries {
		body := fmt.Appendf(nil, `10.0.%d.%d - - [21/Nov/2026:10:00:%02d +0000] "GET /product/%d?from=%d HTTP/1.1" %d %d "-" "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"`,
			i%256, i*7%256, i%60, i*13%4000, i%17, 200+i%5, i*31%9000)
		batch.Records = append(batch.Records, record.Record{Time: time.Now().UnixNano(), Level: record.LevelInfo, Body: batch.Append(body)})
	}
	for _, packed := range []Compression{Gzip, Zstd, None} {
		b.Run(string(packed), func(b *testing.B) {
			c := Default()
			c.Compression = packed
			s := &Sink{config: c, encoder: encoder{config: c, node: "web-1"}}
			size := 0
			for b.Loop() {
				s.text = append(s.text[:0], '[')
				s.encoder.begin(batch, time.Now())
				for i := range batch.Records {
					s.text, _ = s.encoder.append(append(s.text, ','), batch, i)
				}
				size = len(s.pack(s.text))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/maxEntries, "ns/record")
			b.ReportMetric(float64(size)/maxEntries, "bytes/record")
		})
	}
}
