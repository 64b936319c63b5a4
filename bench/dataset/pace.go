package dataset

import (
	"math/bits"
	"strconv"
	"time"
)

// otherPerMille is how many of a thousand lines are no access lines at all. With the odd
// requests among the access lines one line in a hundred does not fit the pattern.
const otherPerMille = 2

// pace is the clock of a set: lines come a millisecond apart on average, at any nanosecond.
type pace struct {
	now   int64  // Unix nanoseconds
	state uint64 // of the generator
}

// next moves the clock to the next line.
func (p *pace) next() int64 {
	p.now += int64(p.draw() % 2_000_000)
	switch p.draw() % 16 { // a clock that ticks more coarsely leaves zeros at the end
	case 0:
		return p.now - p.now%1000
	case 1:
		return p.now - p.now%10
	}
	return p.now
}

// draw returns 64 random bits, by the wyrand generator.
func (p *pace) draw() uint64 {
	p.state += 0xa0761d6478bd642f
	hi, lo := bits.Mul64(p.state, p.state^0xe7037ed1a0b428db)
	return hi ^ lo
}

// appendOther writes what nginx says besides its access log, and on which stream.
func (p *pace) appendOther(dst []byte, now int64) ([]byte, string) {
	at := time.Unix(0, now).UTC()
	switch p.draw() % 8 {
	case 0:
		return append(dst, "/docker-entrypoint.sh: Configuration complete; ready for start up\n"...), stdout
	case 1:
		dst = at.AppendFormat(dst, "2006/01/02 15:04:05")
		return append(dst, " [notice] 1#1: signal 1 (SIGHUP) received from 412, reconfiguring\n"...), stderr
	case 2:
		dst = at.AppendFormat(dst, "2006/01/02 15:04:05")
		dst = append(dst, ` [warn] 29#29: *`...)
		dst = strconv.AppendUint(dst, p.draw()%1_000_000, 10)
		return append(dst, ` a client request body is buffered to a temporary file /var/cache/nginx/client_temp/0000000017, client: 10.1.0.9, server: shop.example.com, request: "POST /api/v2/orders HTTP/1.1", host: "shop.example.com"`+"\n"...), stderr
	default:
		dst = at.AppendFormat(dst, "2006/01/02 15:04:05")
		dst = append(dst, ` [error] 29#29: *`...)
		dst = strconv.AppendUint(dst, p.draw()%1_000_000, 10)
		return append(dst, ` upstream timed out (110: Connection timed out) while reading response header from upstream, client: 203.0.113.9, server: shop.example.com, request: "GET /search?q=red+shoes&page=2 HTTP/1.1", upstream: "http://10.0.3.12:8080/search?q=red+shoes&page=2", host: "shop.example.com"`+"\n"...), stderr
	}
}
