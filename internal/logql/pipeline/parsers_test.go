package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/record"
)

// BenchmarkParsers counts the lines of an application by what is in them.
func BenchmarkParsers(b *testing.B) {
	random := rand.New(rand.NewPCG(3, 4))
	const lines = 2000
	var objects, pairs []string
	for i := range lines {
		status, took, path := []int{200, 200, 200, 404, 503}[random.IntN(5)], random.IntN(900), fmt.Sprintf("/api/v1/orders/%d", random.IntN(1e6))
		objects = append(objects, fmt.Sprintf(`{"time":"2026-11-21T05:06:07.%09dZ","level":"info","msg":"request \"handled\"","method":"GET","path":%q,"status":%d,"took_ms":%d.5,"user":{"id":%d,"roles":["a","b"]},"trace_id":"%016x%016x","error":null}`,
			i, path, status, took, random.IntN(1e5), random.Uint64(), random.Uint64()))
		pairs = append(pairs, fmt.Sprintf(`time=2026-11-21T05:06:07.%09dZ level=info msg="request \"handled\"" method=GET path=%s status=%d took=%dms user.id=%d trace_id=%016x%016x error=`,
			i, path, status, took, random.IntN(1e5), random.Uint64(), random.Uint64()))
	}
	for _, c := range []struct {
		name, stages string
		text         []byte
	}{
		{"json", `| json | status>=500`, block(objects...)},
		{"jsonNamed", `| json status | status>=500`, block(objects...)},
		{"logfmt", `| logfmt | status>=500`, block(pairs...)},
		{"logfmtNamed", `| logfmt status | status>=500`, block(pairs...)},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := compile(b, `{a="b"} `+c.stages, pipeline.Need{}).NewRunner()
			r.Stream(record.Labels{{Name: "app", Value: "shop"}})
			passed := 0
			for b.Loop() {
				r.Block(c.text)
				for passed = 0; r.Next(); {
					if r.Process() {
						passed++
					}
				}
			}
			if passed == 0 || passed == lines {
				b.Errorf("%d lines pass", passed)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
		})
	}
}
