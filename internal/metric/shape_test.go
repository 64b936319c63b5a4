package metric

import (
	"fmt"
	"testing"
)

// TestShapes: a shape is found at once, however many there are, and goes with its last family.
func TestShapes(t *testing.T) {
	const n = 1000
	r := New()
	for i := range 2 * n {
		if _, err := r.Family(Desc{Name: fmt.Sprintf("m%d", i), Help: fmt.Sprintf("The metric %d.", i%n), Owner: "otlp", Free: true}); err != nil {
			t.Fatal(err)
		}
	}
	all := 0
	for _, some := range r.shapes {
		if all += len(some); len(some) > 3 {
			t.Errorf("%d shapes are looked through", len(some))
		}
	}
	if all != n {
		t.Errorf("%d shapes; want %d", all, n)
	}
	for i := range 2 * n {
		r.Forget(fmt.Sprintf("m%d", i))
	}
	if len(r.shapes) != 0 {
		t.Errorf("%d shapes are left", len(r.shapes))
	}
}

// BenchmarkShapes makes families that differ in their help, as those of a source do whose senders
// describe them.
func BenchmarkShapes(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				r := New()
				for i := range n {
					if _, err := r.Family(Desc{Name: fmt.Sprintf("m%d", i), Help: fmt.Sprintf("The metric %d.", i), Owner: "otlp", Free: true}); err != nil {
						b.Fatal(err)
					}
				}
				for i := range n {
					r.Forget(fmt.Sprintf("m%d", i))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/family")
		})
	}
}
