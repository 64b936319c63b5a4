package flow

import (
	"net/netip"
	"testing"
)

func TestContainers(t *testing.T) {
	one, two := netip.MustParseAddr("172.17.0.2"), netip.MustParseAddr("fd00::2")
	var none *Containers
	none.Set("a", []netip.Addr{one})
	if none.At(one) != "" {
		t.Error("a nil Containers knows one")
	}
	var c Containers
	has := func(first, second string) {
		t.Helper()
		if c.At(one) != first || c.At(two) != second {
			t.Errorf("at the addresses are %q and %q; want %q and %q", c.At(one), c.At(two), first, second)
		}
	}
	has("", "")
	c.Set("a", []netip.Addr{one, two})
	has("a", "a")
	c.Set("b", []netip.Addr{one}) // before it is known that a has stopped
	has("b", "a")
	c.Set("a", nil)
	has("b", "")
	c.Set("b", []netip.Addr{two})
	has("", "b")
}
