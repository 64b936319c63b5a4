package dockerapi

// parseStamp reads the time that begins a message, as 2006-01-02T15:04:05.000000000Z and a
// space, and returns it with the length of both. A length of zero means that there is none,
// or one that 64 bits of nanoseconds cannot hold.
func parseStamp(p []byte) (ns int64, n int) {
	if len(p) < len("2006-01-02T15:04:05Z ") || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' {
		return 0, 0
	}
	year := digits(p[0:4])
	month, day := digits(p[5:7]), digits(p[8:10])
	hour, minute, second := digits(p[11:13]), digits(p[14:16]), digits(p[17:19])
	// Years that 64 bits of nanoseconds hold whole.
	if year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
		minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, 0
	}
	frac, n := fraction(p, 19)
	offset, n := zone(p, n)
	if n == 0 || n >= len(p) || p[n] != ' ' {
		return 0, 0
	}
	seconds := days(year, month, day)*86400 + int64(hour)*3600 + int64(minute)*60 + int64(second) - offset
	return seconds*1e9 + frac, n + 1
}

// digits is the number that p spells, -1 if it is none.
func digits(p []byte) int {
	v := 0
	for _, c := range p {
		if c < '0' || c > '9' {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	return v
}

// fraction reads the part of a second that begins at p[n], if one does, in nanoseconds.
func fraction(p []byte, n int) (int64, int) {
	if p[n] != '.' {
		return 0, n
	}
	n++
	frac, unit := int64(0), int64(1e8)
	for n < len(p) && p[n] >= '0' && p[n] <= '9' {
		frac += int64(p[n]-'0') * unit
		unit /= 10
		n++
	}
	return frac, n
}

// zone reads Z or +hh:mm at p[n], in seconds east; zero as the new n means neither is there.
func zone(p []byte, n int) (int64, int) {
	if n >= len(p) {
		return 0, 0
	}
	if p[n] == 'Z' {
		return 0, n + 1
	}
	if p[n] != '+' && p[n] != '-' || len(p) < n+6 || p[n+3] != ':' {
		return 0, 0
	}
	hour, minute := digits(p[n+1:n+3]), digits(p[n+4:n+6])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, 0
	}
	east := int64(hour)*3600 + int64(minute)*60
	if p[n] == '-' {
		east = -east
	}
	return east, n + 6
}

// days counts from 1970-01-01 in the Gregorian calendar. Years begin in March here, so that
// a leap day is the last of its year.
func days(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	leaps := year/4 - year/100 + year/400
	return int64(year*365 + leaps + (153*(month-3)+2)/5 + day - 1 - 719468)
}
