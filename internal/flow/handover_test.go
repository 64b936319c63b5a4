package flow

import "testing"

type open struct{ closed int }

func (o *open) Close() error { o.closed++; return nil }

func TestHandover(t *testing.T) {
	var none *Handover
	left := &open{}
	none.Leave("a", left)
	if left.closed != 1 || none.Take("a") != nil {
		t.Error("a nil Handover keeps something")
	}
	var h Handover
	a, b := &open{}, &open{}
	h.Leave("a", a)
	h.Leave("b", b)
	if h.Take("a") != a || h.Take("a") != nil || h.Take("c") != nil {
		t.Error("it is not taken once")
	}
	c := &open{}
	h.Leave("b", c)
	h.Close()
	h.Close()
	if a.closed != 0 || b.closed != 1 || c.closed != 1 {
		t.Errorf("closed %d, %d and %d times", a.closed, b.closed, c.closed)
	}
}
