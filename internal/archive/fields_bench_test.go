package archive

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
)

// distlogText returns records with the fields that a logger of Python sends.
func distlogText(records int) (t kept.Text) {
	var a kept.Appender
	field := func(name, value string) kept.Field { return kept.Field{Name: []byte(name), Value: []byte(value)} }
	for i := range records {
		name := []string{"root", "shop.cart", "shop.orders"}[i*i%3]
		a.AppendTo(&t, &kept.Record{Time: int64(i) * 1e6, Level: 3, Body: fmt.Appendf(nil, "order %d of user%d took %d ms", i*7919, i%300, i%521), Fields: []kept.Field{
			field("name", name), field("pathname", "/srv/apps/shop/"+name+".py"), field("lineno", fmt.Sprint(20+i*i%40)), field("funcName", "handle"),
			field("thread", "140400928568000"), field("threadName", "MainThread"), field("processName", "MainProcess"), field("process", "9139"),
			field("key", fmt.Sprintf("%d@0c5c7fd0-a6a3-a450-6513-%012d/1", i%9, i)), field("context_job", "checkout"), field("msg", "order %d of %s took %d ms"),
		}})
	}
	return t
}

// BenchmarkTakeFields is what is found out of the records of a block as they come in.
func BenchmarkTakeFields(b *testing.B) {
	t := distlogText(600)
	var made builder
	b.ReportAllocs()
	for b.Loop() {
		made.start(1)
		made.take(t, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(t.Marks)), "ns/record")
}
