// Package rfc3339 reads times in the form that log files have them, without allocating:
//
//	ns, ok := rfc3339.Parse([]byte("2026-11-20T18:07:46.11701285Z"))
//
// It is pure, and takes nothing but RFC 3339; package time has the other layouts.
package rfc3339

// The years whose nanoseconds fit into 64 bits, without the incomplete ones at both ends.
const (
	minYear = 1678
	maxYear = 2261
)

// Parse reads a time as Unix nanoseconds; a year that they do not reach gives 0. Any number
// of digits may stand in the fraction, or none: Docker trims its zeros. ok is false when s
// is malformed.
func Parse(s []byte) (ns int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	bad := 0
	year := two(s[0], s[1], &bad)*100 + two(s[2], s[3], &bad)
	month, day := two(s[5], s[6], &bad), two(s[8], s[9], &bad)
	hour, minute, second := two(s[11], s[12], &bad), two(s[14], s[15], &bad), two(s[17], s[18], &bad)
	if bad != 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	fraction, rest := parseFraction(s[19:])
	zone := 0
	if len(rest) != 1 || rest[0] != 'Z' {
		if zone, ok = parseZone(rest); !ok {
			return 0, false
		}
	}
	if year < minYear || year > maxYear {
		return 0, true
	}
	seconds := int64(daysSinceEpoch(year, month, day))*86400 + int64(hour*3600+minute*60+second-zone)
	return seconds*1e9 + fraction, true
}

// two returns the number that two digits are, and sets bad when they are not digits.
func two(a, b byte, bad *int) int {
	a -= '0'
	b -= '0'
	if a > 9 || b > 9 {
		*bad = 1
	}
	return int(a)*10 + int(b)
}

// parseFraction reads .123 as nanoseconds, rounding down, and returns what follows. A point
// without digits is left to the caller to refuse.
func parseFraction(s []byte) (ns int64, rest []byte) {
	if len(s) < 2 || s[0] != '.' || s[1]-'0' > 9 {
		return 0, s
	}
	i, unit := 1, int64(1e8)
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		ns += int64(s[i]-'0') * unit
		unit /= 10
	}
	return ns, s[i:]
}

// parseZone reads +01:00 as seconds.
func parseZone(s []byte) (seconds int, ok bool) {
	if len(s) != len("+01:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	bad := 0
	hour, minute := two(s[1], s[2], &bad), two(s[4], s[5], &bad)
	if bad != 0 || hour > 23 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSinceEpoch counts days from 1970-01-01. Years are taken to begin in March, so that
// the leap day is the last of its year and months have a regular pattern of lengths.
func daysSinceEpoch(year, month, day int) int {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	const epoch = 719468 // days from 0000-03-01 to 1970-01-01
	return year*365 + year/4 - year/100 + year/400 + (month*153+2)/5 + day - 1 - epoch
}
