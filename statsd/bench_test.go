package statsd

import (
	"testing"
)

// BenchmarkIncr is a call with two tags.
func BenchmarkIncr(b *testing.B) {
	for name, o := range map[string]Options{"added up": {}, "lines": {Aggregate: -1, DropOldest: true}} {
		c, _ := offline(b, o)
		b.Run(name+", one goroutine", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Incr("shop.requests.count", 1, "status:200", "method:GET")
			}
		})
		b.Run(name+", parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					c.Incr("shop.requests.count", 1, "status:200", "method:GET")
				}
			})
		})
	}
}

// BenchmarkFinding is why a series is looked for by the addresses of its strings first.
func BenchmarkFinding(b *testing.B) {
	c, _ := offline(b, Options{})
	a, s, tags := c.core.aggregate, &c.scope, []string{"status:200", "method:GET"}
	c.Incr("shop.requests.count", 1, tags...)
	b.Run("by address", func(b *testing.B) {
		for b.Loop() {
			if f := a.front[slot(s, counter, "shop.requests.count", tags)].Load(); f == nil || !f.is(s, counter, "shop.requests.count", tags) {
				b.Fatal("not there")
			}
		}
	})
	b.Run("by content", func(b *testing.B) {
		for b.Loop() {
			if a.table.Load().find(a.hash(s, counter, "shop.requests.count", tags), s, "shop.requests.count", tags) == nil {
				b.Fatal("not there")
			}
		}
	})
}

// BenchmarkCells is why a counter has several cells, and why a goroutine finds its own by
// the address of its stack.
func BenchmarkCells(b *testing.B) {
	c, _ := offline(b, Options{})
	c.Incr("n", 1)
	e := c.core.aggregate.series(&c.scope, counter, "n", nil)
	for name, choose := range map[string]func() uint64{
		"one":      func() uint64 { return 0 },
		"by stack": func() uint64 { return stripe() & (fewStripes - 1) },
	} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					e.add(choose(), 1)
				}
			})
		})
	}
}
