package demo

import (
	"strconv"
	"time"
)

// LogFormat is the nginx log_format that Traffic writes.
const LogFormat = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent ` +
	`"$http_referer" "$http_user_agent" "$http_x_forwarded_for" rt=$request_time ` +
	`uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time" ` +
	`upstream=$upstream_addr rid=$request_id cache=$upstream_cache_status`

// oddPerMille is how many of a thousand requests are of the kinds that a pattern written
// for ordinary ones does not fit.
const oddPerMille = 8

// Hit says what Append wrote.
type Hit struct {
	// Status is the HTTP status of the line.
	Status int
	// Odd marks a line that only a parser of the log_format understands: an empty or
	// garbled request, several upstreams, a user name with a space, no byte count.
	Odd bool
}

// Traffic makes nginx access lines of a shop's web server. The same seed and the same
// times give the same lines, on every machine. It belongs to one goroutine.
type Traffic struct {
	// Trouble makes the application servers fail: a third of what reaches them ends in 502.
	Trouble bool

	dice   dice
	second int64  // Unix second that stamp shows
	stamp  []byte // $time_local
}

// NewTraffic returns the traffic that seed stands for.
func NewTraffic(seed uint64) *Traffic {
	return &Traffic{dice: dice(seed), second: -1}
}

// Append adds one line to dst, with its newline, as nginx logs it at time now.
func (t *Traffic) Append(dst []byte, now time.Time) ([]byte, Hit) {
	if t.dice.below(1000) < oddPerMille {
		return t.appendOdd(dst, now)
	}
	r := t.request()
	dst = t.appendClient(dst, t.user(), now)
	dst = append(dst, r.method...)
	dst = append(dst, ' ')
	dst = t.appendPath(dst, r.kind)
	dst = append(dst, " HTTP/1.1"...)
	dst = t.appendAnswer(dst, r.status, t.size(r))
	switch {
	case r.cached:
		dst = append(dst, `rt=0.000 uct="-" uht="-" urt="-" upstream=-`...)
	default:
		dst = t.appendTimes(dst, r.status)
		dst = append(dst, " upstream="...)
		dst = t.appendUpstream(dst)
	}
	return t.appendEnd(dst, r.cached), Hit{Status: r.status}
}

// appendOdd writes what scanners, dying clients and failing upstreams leave behind.
func (t *Traffic) appendOdd(dst []byte, now time.Time) ([]byte, Hit) {
	switch n := t.dice.below(80); {
	case n < 30: // connected, said nothing, timed out
		dst = t.appendBare(t.appendClient(dst, "-", now), "-", 408, 0)
		return t.appendEnd(dst, false), Hit{Status: 408, Odd: true}
	case n < 40: // an empty request line
		dst = t.appendBare(t.appendClient(dst, "-", now), "", 400, 0)
		return t.appendEnd(dst, false), Hit{Status: 400, Odd: true}
	case n < 60: // TLS spoken to the plain port
		dst = t.appendTLS(t.appendClient(dst, "-", now))
		return t.appendEnd(dst, false), Hit{Status: 400, Odd: true}
	case n < 76: // the first upstream failed and the next was asked
		return t.appendRetried(dst, now)
	case n < 78:
		dst = t.appendClient(dst, "Jane Doe", now)
		dst = append(dst, "GET /admin/orders HTTP/1.1"...)
		dst = t.appendTimes(t.appendAnswer(dst, 200, 5120), 200)
		dst = t.appendUpstream(append(dst, " upstream="...))
		return t.appendEnd(dst, false), Hit{Status: 200, Odd: true}
	default:
		dst = t.appendClient(dst, "-", now)
		dst = append(dst, "HEAD /health HTTP/1.1"...)
		dst = t.appendTimes(t.appendAnswer(dst, 204, -1), 204)
		dst = t.appendUpstream(append(dst, " upstream="...))
		return t.appendEnd(dst, false), Hit{Status: 204, Odd: true}
	}
}

// appendRetried writes a request whose first upstream failed.
func (t *Traffic) appendRetried(dst []byte, now time.Time) ([]byte, Hit) {
	status := [...]int{200, 502, 504}[t.dice.below(3)]
	dst = t.appendClient(dst, "-", now)
	dst = append(dst, "GET "...)
	dst = t.appendPath(dst, kindAPI)
	dst = t.appendAnswer(append(dst, " HTTP/1.1"...), status, 166)
	dst = append(dst, `rt=2.017 uct="1.000, 0.001" uht="-, 1.016" urt="1.000, 1.017" upstream=`...)
	dst = t.appendUpstream(dst)
	dst = t.appendUpstream(append(dst, ", "...))
	return t.appendEnd(dst, false), Hit{Status: status, Odd: true}
}

// appendClient writes the line up to and with the quote before the request.
func (t *Traffic) appendClient(dst []byte, user string, now time.Time) []byte {
	dst = t.appendAddress(dst)
	dst = append(dst, " - "...)
	dst = append(dst, user...)
	dst = append(dst, " ["...)
	if s := now.Unix(); s != t.second {
		t.second = s
		t.stamp = now.UTC().AppendFormat(t.stamp[:0], "02/Jan/2006:15:04:05 -0700")
	}
	dst = append(dst, t.stamp...)
	return append(dst, `] "`...)
}

// appendAnswer writes from the quote after the request to before the times. A negative
// size is written as nginx writes an unknown one.
func (t *Traffic) appendAnswer(dst []byte, status, size int) []byte {
	dst = append(dst, `" `...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	if size < 0 {
		dst = append(dst, '-')
	} else {
		dst = strconv.AppendInt(dst, int64(size), 10)
	}
	dst = append(dst, ` "`...)
	dst = t.appendReferer(dst)
	dst = append(dst, `" "`...)
	dst = append(dst, agents[t.dice.below(len(agents))]...)
	dst = append(dst, `" "`...)
	switch n := t.dice.below(10); {
	case n < 6:
		dst = append(dst, '-')
	case n < 9:
		dst = t.appendAddress(dst)
	default:
		dst = t.appendAddress(dst)
		dst = t.appendAddress(append(dst, ", "...))
	}
	return append(dst, `" `...)
}

// appendBare writes a request that carried no headers and reached no upstream.
func (t *Traffic) appendBare(dst []byte, request string, status, size int) []byte {
	dst = append(dst, request...)
	dst = append(dst, `" `...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(size), 10)
	return append(dst, ` "-" "-" "-" rt=60.000 uct="-" uht="-" urt="-" upstream=-`...)
}

// appendTLS writes the start of a ClientHello the way nginx escapes it.
func (t *Traffic) appendTLS(dst []byte) []byte {
	dst = append(dst, `\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03`...)
	for range 8 + t.dice.below(24) {
		b := 0x80 | t.dice.below(0x80) // never a space, which would make it three words
		dst = append(dst, '\\', 'x', upperHex[b>>4], upperHex[b&15])
	}
	return t.appendBare(dst, "", 400, 157)
}

// appendTimes writes the request's and the upstream's times, in seconds.
func (t *Traffic) appendTimes(dst []byte, status int) []byte {
	ms := 1 + t.dice.below(40)
	if t.dice.below(20) == 0 {
		ms += t.dice.below(1500)
	}
	if status == 504 {
		ms += 60000
	}
	connect := t.dice.below(3)
	dst = appendSeconds(append(dst, "rt="...), ms+connect)
	dst = appendSeconds(append(dst, ` uct="`...), connect)
	dst = append(dst, `" uht="`...)
	if status == 504 {
		dst = append(dst, '-')
	} else {
		dst = appendSeconds(dst, ms)
	}
	dst = appendSeconds(append(dst, `" urt="`...), ms)
	return append(dst, '"')
}

// appendEnd writes the request's id, its cache status and the newline.
func (t *Traffic) appendEnd(dst []byte, cached bool) []byte {
	dst = append(dst, " rid="...)
	dst = t.appendHex(dst, 32)
	dst = append(dst, " cache="...)
	if cached {
		return append(dst, "HIT\n"...)
	}
	dst = append(dst, cacheStates[t.dice.below(len(cacheStates))]...)
	return append(dst, '\n')
}

// appendSeconds writes milliseconds as nginx writes times: seconds with three decimals.
func appendSeconds(dst []byte, ms int) []byte {
	dst = strconv.AppendInt(dst, int64(ms/1000), 10)
	ms %= 1000
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}
