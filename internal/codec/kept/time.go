package kept

import (
	"encoding/binary"

	"github.com/weirlog/weir/internal/codec/rfc3339"
)

// What rfc3339.Parse reads: 1678-01-01 up to the end of 2261.
const (
	minSecond = -9214560000
	maxSecond = 9214646399

	secondsPerDay = 86400
	nanosPerUnit  = 1_000_000_000
)

// appendTime appends the beginning of a line up to the last digit of its time.
func (a *Appender) appendTime(dst []byte, ns int64) []byte {
	second, fraction := ns/nanosPerUnit, ns%nanosPerUnit
	if fraction < 0 {
		second--
		fraction += nanosPerUnit
	}
	if second != a.second || a.text[0] == 0 {
		switch {
		case second < minSecond:
			second, fraction = minSecond, 0
		case second > maxSecond:
			second, fraction = maxSecond, nanosPerUnit-1
		}
		a.setSecond(second)
	}
	dst = append(dst, a.text[:]...)
	f := uint32(fraction)
	head, tail := f/10_000, f%10_000 // five digits and four
	return append(dst,
		byte('0'+head/10_000), byte('0'+head/1000%10), byte('0'+head/100%10), byte('0'+head/10%10), byte('0'+head%10),
		byte('0'+tail/1000), byte('0'+tail/100%10), byte('0'+tail/10%10), byte('0'+tail%10))
}

// setSecond writes the part of the time that seldom changes.
func (a *Appender) setSecond(second int64) {
	a.second = second
	days := second / secondsPerDay
	rest := int(second % secondsPerDay)
	if rest < 0 {
		days--
		rest += secondsPerDay
	}
	year, month, day := date(int(days))
	t := &a.text
	copy(t[:], beforeTime+"0000-00-00T00:00:00.")
	put := func(at, n int) {
		t[timeAt+at] = byte('0' + n/10)
		t[timeAt+at+1] = byte('0' + n%10)
	}
	put(0, year/100)
	put(2, year%100)
	put(5, month)
	put(8, day)
	put(11, rest/3600)
	put(14, rest/60%60)
	put(17, rest%60)
}

// date returns the date of the day that is days after 1970-01-01. Years are taken to begin
// in March, so that the leap day is the last of its year.
func date(days int) (year, month, day int) {
	const (
		epoch   = 719468 // days from 0000-03-01 to 1970-01-01
		in400   = 146097
		in100   = 36524
		in4     = 1461
		inYear  = 365
		in5Mths = 153
	)
	days += epoch
	era := days / in400
	d := days % in400
	y := (d - d/(in4-1) + d/in100 - d/(in400-1)) / inYear
	d -= y*inYear + y/4 - y/100
	m := (5*d + 2) / in5Mths
	day = d - (in5Mths*m+2)/5 + 1
	year = era*400 + y
	month = m + 3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// Clock reads the times of lines in a row. The zero value is ready. It remembers the last
// second, so that of most lines it need not read more than the fraction.
type Clock struct {
	text   [secondLen]byte
	second int64 // in nanoseconds
}

// TimeOf returns the time of a line, 0 if it has none.
func (c *Clock) TimeOf(line []byte) int64 {
	if len(line) < timeAt+timeLen {
		return 0
	}
	t := line[timeAt : timeAt+timeLen]
	fraction, ok := parseFraction(t)
	if !ok {
		return 0
	}
	if c.text[0] != 0 && string(c.text[:]) == string(t[:secondLen]) {
		return c.second + fraction
	}
	ns, ok := parseTime(line)
	if ok {
		copy(c.text[:], t)
		c.second = ns - fraction
	}
	return ns
}

// parseTime reads the time at its place in a line.
func parseTime(line []byte) (ns int64, ok bool) {
	t := line[timeAt : timeAt+timeLen]
	if _, ok = parseFraction(t); !ok || t[secondLen-1] != '.' {
		return 0, false
	}
	ns, ok = rfc3339.Parse(t)
	if ns == 0 && string(t[:4]) != "1970" {
		return 0, false // a year that Append does not write
	}
	return ns, ok
}

// parseFraction reads the nine digits between the point and the Z.
func parseFraction(t []byte) (ns int64, ok bool) {
	w := binary.LittleEndian.Uint64(t[secondLen:])
	last := t[timeLen-2] - '0'
	if (w&(0xf0*ones))|((w+6*ones)&(0xf0*ones))>>4 != 0x33*ones || last > 9 || t[timeLen-1] != 'Z' {
		return 0, false
	}
	// Digits become numbers of two, of four, and of eight.
	w -= '0' * ones
	w = w*10 + w>>8
	w = (w&0x000000ff000000ff*(100+1_000_000<<32) + w>>16&0x000000ff000000ff*(1+10_000<<32)) >> 32
	return int64(w)*10 + int64(last), true
}
