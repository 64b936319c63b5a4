package demo

import "strconv"

// kind is what part of the shop a request is for.
type kind int

const (
	kindPage kind = iota
	kindAsset
	kindAPI
	kindSearch
)

// request is one drawn request; its path is drawn while it is written.
type request struct {
	kind   kind
	method string
	status int
	cached bool // answered from nginx's cache
}

// request draws what is asked for and how it ends.
func (t *Traffic) request() request {
	r := request{method: "GET", status: 200}
	switch n := t.dice.below(100); {
	case n < 26:
		r.kind = kindAsset
		r.cached = t.dice.below(4) != 0
	case n < 56:
		r.kind = kindAPI
		r.method = apiMethods[t.dice.below(len(apiMethods))]
	case n < 80:
		r.kind = kindSearch
	default:
		r.kind = kindPage
		if t.dice.below(12) == 0 {
			r.method = "HEAD"
		}
	}
	if t.Trouble && !r.cached && t.dice.below(3) == 0 {
		r.status = 502
		return r
	}
	n := t.dice.below(1000)
	for _, e := range endings {
		if n < e.below {
			r.status = e.status
			r.cached = r.cached && r.status < 500
			return r
		}
	}
	if r.method == "POST" && n%3 == 0 {
		r.status = 201
	}
	return r
}

// user draws $remote_user: few requests have one.
func (t *Traffic) user() string {
	if t.dice.below(50) != 0 {
		return "-"
	}
	return users[t.dice.below(len(users))]
}

// size draws $body_bytes_sent.
func (t *Traffic) size(r request) int {
	switch {
	case r.method == "HEAD" || r.status == 304 || r.status == 204:
		return 0
	case r.status >= 300:
		return 150 + t.dice.below(420)
	case r.kind == kindAsset:
		return 900 + t.dice.below(250_000)
	default:
		return 80 + t.dice.below(42_000)
	}
}

// appendPath writes a path and its query.
func (t *Traffic) appendPath(dst []byte, k kind) []byte {
	switch k {
	case kindAsset:
		a := &assets[t.dice.below(len(assets))]
		dst = append(dst, a.stem...)
		dst = append(dst, '-')
		dst = t.appendHex(dst, 8)
		return append(dst, a.ending...)
	case kindAPI:
		dst = append(dst, "/api/v2/"...)
		dst = append(dst, resources[t.dice.below(len(resources))]...)
		dst = append(dst, '/')
		dst = strconv.AppendInt(dst, int64(t.dice.below(2_000_000)), 10)
		if t.dice.below(2) == 0 {
			dst = append(dst, "?fields=id,name,price&currency=EUR&session="...)
			dst = t.appendHex(dst, 16)
		}
		return dst
	case kindSearch:
		dst = append(dst, "/search?q="...)
		dst = append(dst, words[t.dice.below(len(words))]...)
		dst = append(dst, '+')
		dst = append(dst, words[t.dice.below(len(words))]...)
		dst = append(dst, "&category="...)
		dst = append(dst, words[t.dice.below(len(words))]...)
		dst = append(dst, "&page="...)
		dst = strconv.AppendInt(dst, int64(1+t.dice.below(30)), 10)
		return append(dst, "&sort=price"...)
	default:
		dst = append(dst, pages[t.dice.below(len(pages))]...)
		dst = append(dst, words[t.dice.below(len(words))]...)
		return dst
	}
}

// appendReferer writes the page that the request came from, or a dash.
func (t *Traffic) appendReferer(dst []byte) []byte {
	switch n := t.dice.below(20); {
	case n < 5:
		return append(dst, '-')
	case n < 7:
		return append(dst, "https://www.google.com/"...)
	case n < 17:
		return t.appendPath(append(dst, "https://shop.example.com"...), kindPage)
	default:
		return t.appendPath(append(dst, "https://shop.example.com"...), kindSearch)
	}
}

// appendAddress writes one of some thousand client addresses.
func (t *Traffic) appendAddress(dst []byte) []byte {
	n := t.dice.below(4096) * 2654435761
	dst = append(dst, networks[n%len(networks)]...)
	dst = strconv.AppendInt(dst, int64(n>>8&0xff), 10)
	dst = append(dst, '.')
	return strconv.AppendInt(dst, int64(n>>16&0xff), 10)
}

// appendUpstream writes the address of one of the application servers.
func (t *Traffic) appendUpstream(dst []byte) []byte {
	dst = append(dst, "10.0.3."...)
	dst = strconv.AppendInt(dst, int64(11+t.dice.below(6)), 10)
	return append(dst, ":8080"...)
}

// appendHex writes n ≤ 32 random hexadecimal digits.
func (t *Traffic) appendHex(dst []byte, n int) []byte {
	var bits uint64
	for i := range n {
		if i%16 == 0 {
			bits = t.dice.next()
		}
		dst = append(dst, lowerHex[bits&15])
		bits >>= 4
	}
	return dst
}

// dice is the splitmix64 generator: one word of state, the same numbers everywhere and
// for ever, which no library promises of its own.
type dice uint64

// next returns 64 random bits.
func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n).
func (d *dice) below(n int) int { return int(d.next() >> 33 * uint64(n) >> 31) }
