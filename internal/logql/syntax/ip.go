package syntax

import (
	"errors"
	"net/netip"
	"strings"
)

// IPRange is the argument of ip("…"): an address, a range of addresses or a network.
type IPRange struct {
	Text     string // as written
	from, to netip.Addr
}

// ParseIPRange reads 192.0.2.1, 192.0.2.1-192.0.2.9 or 192.0.2.0/24, or the same of IPv6.
func ParseIPRange(text string) (IPRange, error) {
	r := IPRange{Text: text}
	bad := errors.New("expected an address, two with a dash between them, or a network: 192.0.2.1, 192.0.2.1-192.0.2.9, 192.0.2.0/24")
	if from, to, ok := strings.Cut(text, "-"); ok {
		var err, err2 error
		r.from, err = netip.ParseAddr(strings.TrimSpace(from))
		r.to, err2 = netip.ParseAddr(strings.TrimSpace(to))
		if err != nil || err2 != nil {
			return r, bad
		}
	} else if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return r, bad
		}
		r.from, r.to = p.Masked().Addr(), lastOf(p)
	} else {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return r, bad
		}
		r.from, r.to = a, a
	}
	r.from, r.to = r.from.Unmap().WithZone(""), r.to.Unmap().WithZone("")
	if r.from.BitLen() != r.to.BitLen() {
		return r, errors.New("a range is of IPv4 or of IPv6 addresses, not of both")
	}
	if r.to.Less(r.from) {
		return r, errors.New("the range ends before it begins")
	}
	return r, nil
}

// Contains tells whether an address is in the range. An IPv4 address that is mapped into
// IPv6 counts as IPv4.
func (r *IPRange) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.BitLen() == r.from.BitLen() && !a.Less(r.from) && !r.to.Less(a)
}

// lastOf returns the highest address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
