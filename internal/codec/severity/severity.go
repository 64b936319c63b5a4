// Package severity finds how severe a line of log is: from a value that says it (a word, a
// number of pino, bunyan or syslog) or from the words of a line, as the loggers of Go,
// Python, Java and others place them.
//
//	severity.FromValue([]byte("WARN"))                        // record.LevelWarn
//	severity.FromLine([]byte("E1120 17:56:45.088 main.go:7]")) // record.LevelError
//
// A word counts only where a logger would put it: in upper case, or in brackets, or behind
// level= or the like, or before a colon, within the first bytes of the line. So NO_ERRORS
// and errors=0 say nothing. Functions are pure, allocate nothing, and may be called
// concurrently. What stands for a level in a configuration is not the package's business.
package severity

import "github.com/weirlog/weir/internal/record"

// longest is the longest word that is a level.
const longest = len("information")

// FromValue returns the level that a value stands for: a word in any case, a number of
// pino and bunyan (10 to 60), or a syslog severity (0 to 7).
func FromValue(v []byte) record.Level {
	for len(v) > 0 && isWrapping(v[0]) {
		v = v[1:]
	}
	for len(v) > 0 && isWrapping(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	if len(v) == 0 || len(v) > longest {
		return record.LevelUnknown
	}
	if v[0] >= '0' && v[0] <= '9' {
		return fromNumber(v)
	}
	var lower [longest]byte
	for i, c := range v {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return word(lower[:len(v)])
}

// isWrapping says whether c may stand around a value.
func isWrapping(c byte) bool {
	switch c {
	case ' ', '\t', '"', '\'', '[', ']', '<', '>':
		return true
	}
	return false
}

// fromNumber reads syslog's severities, and pino's and bunyan's levels, between which users
// put their own.
func fromNumber(v []byte) record.Level {
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' || n > 1000 {
			return record.LevelUnknown
		}
		n = n*10 + int(c-'0')
	}
	if n < 10 {
		return Syslog(n)
	}
	if n >= 70 {
		return record.LevelUnknown
	}
	return record.LevelTrace + record.Level(n/10-1)
}

// Syslog returns the level of a syslog severity, 0 (emergency) to 7 (debug).
func Syslog(n int) record.Level {
	switch {
	case n < 0 || n > 7:
		return record.LevelUnknown
	case n <= 2:
		return record.LevelFatal
	case n == 3:
		return record.LevelError
	case n == 4:
		return record.LevelWarn
	case n <= 6:
		return record.LevelInfo
	}
	return record.LevelDebug
}

// word returns the level of a word in lower case.
func word(w []byte) record.Level {
	switch string(w) {
	case "trace", "trc", "trce", "finest", "finer", "verbose", "silly", "t", "v":
		return record.LevelTrace
	case "debug", "dbg", "dbug", "fine", "debu", "d":
		return record.LevelDebug
	case "info", "inf", "information", "notice", "config", "note", "i", "n", "log", "success":
		return record.LevelInfo
	case "warn", "warning", "wrn", "w":
		return record.LevelWarn
	case "error", "err", "eror", "erro", "severe", "fail", "e":
		return record.LevelError
	case "fatal", "crit", "critical", "panic", "alert", "emerg", "emergency", "ftl", "dpanic", "f", "c", "a":
		return record.LevelFatal
	}
	return record.LevelUnknown
}

// common says whether a word that is a level is also one of everyday language, so that it
// counts only with a colon behind it or in brackets.
func common(w []byte) bool {
	switch string(w) {
	case "LOG", "NOTE", "FINE", "CONFIG", "FAIL", "SUCCESS", "ALERT", "VERBOSE":
		return true
	}
	return false
}
