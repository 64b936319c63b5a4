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

import (
	"bytes"

	"github.com/weirlog/weir/internal/record"
)

// searched is how many bytes of a line are searched for a word.
const searched = 200

// longest is the longest word that is a level.
const longest = len("information")

// FromValue returns the level that a value stands for: a word in any case, a number of
// pino and bunyan (10 to 60), or a syslog severity (0 to 7).
func FromValue(v []byte) record.Level {
	v = bytes.Trim(v, " \t\"[]<>")
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

func fromNumber(v []byte) record.Level {
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' || n > 1000 {
			return record.LevelUnknown
		}
		n = n*10 + int(c-'0')
	}
	switch {
	case n <= 7:
		return Syslog(n)
	case n >= 60 && n < 70:
		return record.LevelFatal
	case n >= 50 && n < 60:
		return record.LevelError
	case n >= 40 && n < 50:
		return record.LevelWarn
	case n >= 30 && n < 40:
		return record.LevelInfo
	case n >= 20 && n < 30:
		return record.LevelDebug
	case n >= 10 && n < 20:
		return record.LevelTrace
	}
	return record.LevelUnknown
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
	case "trace", "trc", "finest", "finer", "verbose":
		return record.LevelTrace
	case "debug", "dbg", "dbug", "fine", "debu", "d":
		return record.LevelDebug
	case "info", "inf", "information", "notice", "config", "note", "i", "log":
		return record.LevelInfo
	case "warn", "warning", "wrn", "w":
		return record.LevelWarn
	case "error", "err", "eror", "severe", "erro", "e":
		return record.LevelError
	case "fatal", "crit", "critical", "panic", "alert", "emerg", "emergency", "ftl", "dpanic", "f", "c":
		return record.LevelFatal
	}
	return record.LevelUnknown
}

// FromLine returns the level that the words of a line say, LevelUnknown when none does.
func FromLine(line []byte) record.Level {
	if l := klog(line); l != record.LevelUnknown {
		return l
	}
	if l := priority(line); l != record.LevelUnknown {
		return l
	}
	line = line[:min(len(line), searched)]
	for i := 0; i < len(line); {
		if !letter(line[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(line) && wordByte(line[end]) {
			end++
		}
		if end-i <= longest && end-i >= 3 {
			if l := inPlace(line, i, end); l != record.LevelUnknown {
				return l
			}
		}
		i = end
	}
	return record.LevelUnknown
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// wordByte says whether c goes on a word: NO_ERRORS, error-rate and errors.log are one each.
func wordByte(c byte) bool {
	return letter(c) || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80
}

// inPlace returns the level of the word line[i:end] if a logger would put one there.
func inPlace(line []byte, i, end int) record.Level {
	if i > 0 && wordByte(line[i-1]) {
		return record.LevelUnknown // the word is the end of a longer one, as in 2err
	}
	upper := true
	for _, c := range line[i:end] {
		upper = upper && c >= 'A' && c <= 'Z'
	}
	before, after := byte(' '), byte(' ')
	if i > 0 {
		before = line[i-1]
	}
	if end < len(line) {
		after = line[end]
	}
	switch {
	case before == '[' || before == '<' || before == '(':
		upper = after == ']' || after == '>' || after == ')' || after == ':' || after == ' ' || upper
	case upper:
		upper = after != '=' && after != '/' && before != '/' // a key or a path
	case before == '=' || before == '"' || before == '\'':
		upper = keyBefore(line[:i])
	case after == ':':
		upper = i == 0 || before == ' '
	}
	if !upper {
		return record.LevelUnknown
	}
	return FromValue(line[i:end])
}

// keyBefore says whether before ends in the key of a level and what stands between it and
// its value: level=, "level":", lvl=", severity: '.
func keyBefore(before []byte) bool {
	key := bytes.TrimRight(before, " \t\"'=:\\")
	if len(key) == len(before) {
		return false
	}
	for _, name := range [...]string{"level", "lvl", "severity", "loglevel", "levelname", "log.level", "priority"} {
		if len(key) >= len(name) && bytes.EqualFold(key[len(key)-len(name):], []byte(name)) {
			return len(key) == len(name) || !wordByte(key[len(key)-len(name)-1])
		}
	}
	return false
}

// klog reads the header of Kubernetes' and glog's lines: E1120 17:56:45.088231 12 main.go:7].
func klog(line []byte) record.Level {
	if len(line) < 15 || line[5] != ' ' || line[8] != ':' || line[11] != ':' {
		return record.LevelUnknown
	}
	for _, c := range line[1:5] {
		if c < '0' || c > '9' {
			return record.LevelUnknown
		}
	}
	switch line[0] {
	case 'I':
		return record.LevelInfo
	case 'W':
		return record.LevelWarn
	case 'E':
		return record.LevelError
	case 'F':
		return record.LevelFatal
	}
	return record.LevelUnknown
}

// priority reads the priority at the start of a syslog message: <11>.
func priority(line []byte) record.Level {
	if len(line) < 3 || line[0] != '<' {
		return record.LevelUnknown
	}
	n := 0
	for i, c := range line[1:min(len(line), 5)] {
		if c == '>' && i > 0 {
			if n > 191 {
				return record.LevelUnknown
			}
			return Syslog(n & 7)
		}
		if c < '0' || c > '9' {
			return record.LevelUnknown
		}
		n = n*10 + int(c-'0')
	}
	return record.LevelUnknown
}
