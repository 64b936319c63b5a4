package flow_test

import (
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// TestPoolTrims: what an unusual batch took is not held by the pool.
func TestPoolTrims(t *testing.T) {
	pool := flow.NewPool(1)
	b, err := pool.Get(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const many = 1 << 20
	b.Arena, b.Deltas = make([]byte, 2*many), make([]record.Delta, many)
	b.Records, b.Fields, b.Values = make([]record.Record, many), make([]record.Field, many), make([]record.Span, many)
	pool.Put(b)
	if b, err = pool.Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n := cap(b.Arena) + cap(b.Deltas) + cap(b.Records) + cap(b.Fields) + cap(b.Values); n > 0 {
		t.Errorf("%d are held", n)
	}
}
