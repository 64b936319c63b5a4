package pickle

import (
	"math"
	"strconv"
)

// constructTime returns the value of a class of the module datetime. Texts are as isoformat
// writes them; the forms of the bytes are those of CPython's Modules/_datetimemodule.c.
func (d *Decoder) constructTime(class []byte, args uint32) (node, bool) {
	first := d.item(args, 0)
	from := len(d.arena)
	switch string(class) {
	case "datetime.datetime":
		if b := d.raw(first, 10); b != nil && d.appendDate(b) {
			d.arena = append(d.arena, 'T')
			return d.made2(from, d.appendClock(b[4:]) && d.appendZone(args))
		}
	case "datetime.date":
		if b := d.raw(first, 4); b != nil {
			return d.made2(from, d.appendDate(b))
		}
	case "datetime.time":
		if b := d.raw(first, 6); b != nil {
			return d.made2(from, d.appendClock(b) && d.appendZone(args))
		}
	case "datetime.timedelta":
		return d.span(args)
	case "datetime.timezone":
		if x := d.nodes[first]; x.kind == Float {
			return d.made2(from, d.appendOffset(math.Float64frombits(x.value)))
		}
	}
	return node{}, false
}

// made2 is made for what may have failed.
func (d *Decoder) made2(from int, ok bool) (node, bool) {
	if !ok {
		return d.unmade(from)
	}
	return d.made(Text, from), true
}

// raw returns the n bytes of a node that has so many.
func (d *Decoder) raw(at uint32, n int) []byte {
	if b := d.bytes(at); d.nodes[at].kind == Bytes && len(b) == n {
		return b
	}
	return nil
}

func (d *Decoder) appendDate(b []byte) bool {
	year, month, day := int(b[0])<<8|int(b[1]), int(b[2]&0x7f), int(b[3])
	if year > 9999 || month > 12 || day > 31 {
		return false
	}
	d.arena = append(appendPadded(d.arena, year, 4), '-')
	d.arena = append(appendPadded(d.arena, month, 2), '-')
	d.arena = appendPadded(d.arena, day, 2)
	return true
}

func (d *Decoder) appendClock(b []byte) bool {
	hour, minute, second := int(b[0]&0x7f), int(b[1]), int(b[2])
	micro := int(b[3])<<16 | int(b[4])<<8 | int(b[5])
	if hour > 23 || minute > 59 || second > 59 || micro > 999999 {
		return false
	}
	d.arena = append(appendPadded(d.arena, hour, 2), ':')
	d.arena = append(appendPadded(d.arena, minute, 2), ':')
	d.arena = appendPadded(d.arena, second, 2)
	if micro > 0 {
		d.arena = appendPadded(append(d.arena, '.'), micro, 6)
	}
	return true
}

// appendZone appends the zone of a time that has one, which is an offset as appendOffset
// writes it; zones of other libraries are not known.
func (d *Decoder) appendZone(args uint32) bool {
	switch d.count(args) {
	case 1:
		return true
	case 2:
		zone := d.item(args, 1)
		if b := d.bytes(zone); d.nodes[zone].kind == Text && len(b) > 0 && len(b) <= maxZone && (b[0] == '+' || b[0] == '-') {
			d.arena = append(d.arena, b...)
			return true
		}
	}
	return false
}

// maxZone is how long an offset is.
const maxZone = len("+01:02:03.456789")

func (d *Decoder) appendOffset(seconds float64) bool {
	if math.Abs(seconds) >= 24*3600 || math.IsNaN(seconds) {
		return false
	}
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	whole := int(seconds)
	d.arena = append(appendPadded(append(d.arena, sign), whole/3600, 2), ':')
	d.arena = appendPadded(d.arena, whole/60%60, 2)
	if whole%60 > 0 {
		d.arena = appendPadded(append(d.arena, ':'), whole%60, 2)
	}
	return true
}

// span returns the seconds of a timedelta: days, seconds, microseconds.
func (d *Decoder) span(args uint32) (n node, ok bool) {
	var parts [3]float64
	for i := range parts {
		x := d.nodes[d.item(args, i)]
		if x.kind != Int {
			return node{}, false
		}
		parts[i] = float64(int64(x.value))
	}
	seconds := parts[0]*24*3600 + parts[1] + parts[2]/1e6
	return node{kind: Float, value: math.Float64bits(seconds)}, d.count(args) == 3
}

// appendPadded appends a number that is not negative with zeros before it.
func appendPadded(dst []byte, v, digits int) []byte {
	for limit := 10; digits > 1; digits, limit = digits-1, limit*10 {
		if v < pow10(digits-1) {
			dst = append(dst, '0')
		} else {
			break
		}
	}
	return strconv.AppendInt(dst, int64(v), 10)
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}
