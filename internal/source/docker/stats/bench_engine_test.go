package stats

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/metric"
)

// BenchmarkMeasure measures one container of a real engine by its files; takes one answer of
// the API, without the second for which an engine lets it wait; and shows 400 containers.
func BenchmarkMeasure(b *testing.B) {
	e := enginetest.Start(b)
	id := e.Run(enginetest.Container{Name: "bench", Cmd: []string{"sleep", "1000"}})
	client, err := dockerapi.Open(dockerapi.Options{Host: e.Host})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	details, err := client.Inspect(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Options{
		Registry: metric.New(), Engine: func() (Engine, error) { return client, nil },
		Name: func(d *dockerapi.Details) (string, bool) { return d.Name, true }, Problem: func(err error) { b.Fatal(err) },
	})
	if err != nil {
		b.Fatal(err)
	}
	x := c.container(id)
	c.learn(x, &details)
	b.Run("files", func(b *testing.B) {
		if x.files == nil {
			b.Skip("SKIP: the engine's files cannot be seen from here")
		}
		b.ReportAllocs()
		for b.Loop() {
			c.readOne(x)
		}
	})
	b.Run("api", func(b *testing.B) {
		b.ReportAllocs()
		text, err := os.ReadFile("testdata/stats-limited.json")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			a := answer{x: x}
			if a.err = json.Unmarshal(text, &a.stats); c.take(&a) != nil {
				b.Fatal(a.err)
			}
		}
	})
	b.Run("scrape", func(b *testing.B) {
		for i := range 400 { // 20,000 series
			more := c.container(fmt.Sprint("more", i))
			more.details, more.name, more.running = details, fmt.Sprint("more", i), true
			c.publish(more, &c.host.sample)
		}
		var text []byte
		b.ReportAllocs()
		for b.Loop() {
			text = c.o.Registry.AppendText(text[:0], metric.Text)
		}
		b.ReportMetric(float64(len(text)), "bytes")
	})
}
