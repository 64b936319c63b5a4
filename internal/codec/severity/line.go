package severity

import (
	"bytes"

	"github.com/weirlog/weir/internal/record"
)

const (
	// searched is how many bytes of a line are searched for a word.
	searched = 200
	// searchedObject is how many bytes of a JSON object are searched for its level.
	searchedObject = 2048
)

// FromLine returns the level that the words of a line say, LevelUnknown when none does.
func FromLine(line []byte) record.Level {
	if len(line) < 3 {
		return record.LevelUnknown
	}
	switch line[0] {
	case 'I', 'W', 'E', 'F':
		if l := klog(line); l != record.LevelUnknown {
			return l
		}
	case '<':
		if l := priority(line); l != record.LevelUnknown {
			return l
		}
	case 'f':
		if bytes.HasPrefix(line, []byte("fatal error: ")) {
			return record.LevelFatal // a Go program ends, as with panic:
		}
	case '{':
		if l := fromObject(line[:min(len(line), searchedObject)]); l != record.LevelUnknown {
			return l
		}
	}
	return fromWords(line[:min(len(line), searched)])
}

// What bytes are to a word.
const (
	isUpper = 1 << iota
	isLower
	isInner  // what else goes on a word: NO_ERRORS, error-rate and errors.log are one each
	isOpener // what a level may follow at once, whatever its case
	isQuote
)

const inWord = isUpper | isLower | isInner

var classes = func() (is [256]uint8) {
	for c := range is {
		switch {
		case 'A' <= c && c <= 'Z':
			is[c] = isUpper
		case 'a' <= c && c <= 'z':
			is[c] = isLower
		case '0' <= c && c <= '9', c == '_', c == '-', c == '.', c >= 0x80:
			is[c] = isInner
		}
	}
	for _, c := range "[<(\t:" {
		is[c] = isOpener
	}
	is['"'], is['\''] = isQuote, isQuote
	return is
}()

// pair is half of the question whether two bytes may be the place of a level: they may be
// if the first of the one and the second of the other have a bit in common. So nearly no
// line without a level makes the search look closer.
type pair struct{ first, second uint32 }

var pairs = func() (of [256]pair) {
	const opener, quote, end, keyEnd = 1 << 28, 1 << 29, 1 << 30, 1 << 31
	for _, start := range [...]string{"TR", "FI", "VE", "SI", "DE", "DB", "IN", "NO", "CO", "LO", "SU", "WA", "WR", "ER", "SE", "FA", "CR", "PA", "AL", "EM", "FT", "DP"} {
		bit := uint32(1) << (start[0] - 'A')
		of[start[0]].first |= bit
		of[start[1]].second |= bit
		of[start[0]].second |= opener
		of[start[0]|0x20].second |= opener
	}
	for c, class := range classes {
		switch class {
		case isOpener:
			of[c].first |= opener
		case isQuote:
			of[c].first |= quote
		}
	}
	for _, c := range "cefglnorsty" { // the ends of words
		of[c].first |= end
	}
	for _, c := range "leyLEY" { // the ends of keys
		of[c].first |= keyEnd
	}
	of[':'].second |= end | keyEnd | quote
	of['='].second |= keyEnd
	return of
}()

// fromPairs goes over a line by pairs of bytes, since nearly none of them is the place of a
// level, four at once, and decides at the few that may be.
func fromPairs(line []byte) record.Level {
	before, i := uint32(0), 0
	for ; len(line)-i >= 4; i += 4 {
		four := (*[4]byte)(line[i:])
		p, q, r, s := &pairs[four[0]], &pairs[four[1]], &pairs[four[2]], &pairs[four[3]]
		if before&p.second|p.first&q.second|q.first&r.second|r.first&s.second != 0 {
			if l := among(line, i, i+4); l != record.LevelUnknown {
				return l
			}
		}
		before = s.first
	}
	return among(line, i, len(line))
}

// among decides at the places of a line from i on and before to.
func among(line []byte, i, to int) record.Level {
	for i = max(i, 1); i < to; i++ {
		if pairs[line[i-1]].first&pairs[line[i]].second == 0 {
			continue
		}
		if l := at(line, i); l != record.LevelUnknown {
			return l
		}
	}
	return record.LevelUnknown
}

// at judges the place in a line where byte i and the one before it are a pair.
func at(line []byte, i int) record.Level {
	c, was := line[i], classes[line[i-1]]
	switch {
	case c == '=' || c == ':' && was == isQuote:
		return keyed(line, i)
	case c == ':':
		if l := labelled(line, i); l != record.LevelUnknown {
			return l
		}
		return keyed(line, i)
	case was == isOpener:
		return bracketed(line, i)
	}
	return upper(line, i-1)
}

// fromObject looks for the key of a level in a JSON object. A key within a string, whose
// quotes are escaped, is none, unless the whole object is still escaped.
func fromObject(line []byte) record.Level {
	escaped := len(line) > 1 && line[1] == '\\'
	for i := 1; ; i++ {
		n := bytes.IndexByte(line[i:], ':')
		if n < 0 {
			return record.LevelUnknown
		}
		i += n
		end := i - 1
		for end > 1 && line[end] == ' ' {
			end--
		}
		if end < 2 || classes[line[end]] != isQuote || line[end-1] == '\\' && !escaped {
			continue
		}
		if l := keyed(line, i); l != record.LevelUnknown {
			return l
		}
	}
}

// upper judges a word in upper case, which begins at i: ERROR.
func upper(line []byte, i int) record.Level {
	if !isStart(line, i) {
		return record.LevelUnknown
	}
	end := i + 1
	for end < len(line) && classes[line[end]] == isUpper {
		end++
	}
	if end-i < 3 || end-i > longest || i > 0 && line[i-1] == '/' {
		return record.LevelUnknown
	}
	after := byte(' ')
	if end < len(line) {
		after = line[end]
	}
	if classes[after]&inWord != 0 || after == '=' || after == '/' || after == '(' {
		return record.LevelUnknown // another word, a key, a path, a call
	}
	if common(line[i:end]) && after != ':' {
		return record.LevelUnknown
	}
	return FromValue(line[i:end])
}

// bracketed judges a word of any case that follows an opener at once: [error], <warn>,
// [core:error], and, between tabs, error.
func bracketed(line []byte, i int) record.Level {
	end := wordEnd(line, i)
	if end == len(line) || end-i < 3 || end-i > longest {
		return record.LevelUnknown
	}
	switch opener, after := line[i-1], line[end]; opener {
	case '\t':
		if after != '\t' {
			return record.LevelUnknown
		}
	case ':':
		if after != ']' {
			return record.LevelUnknown
		}
	default:
		if after != ']' && after != '>' && after != ')' && after != ':' && after != ' ' {
			return record.LevelUnknown
		}
	}
	return FromValue(line[i:end])
}

// labelled judges a word before the colon at place colon: error: no stock.
func labelled(line []byte, colon int) record.Level {
	i := colon
	for i > 0 && classes[line[i-1]]&(isUpper|isLower) != 0 && colon-i <= longest {
		i--
	}
	if colon-i < 3 || i > 0 && line[i-1] != ' ' && line[i-1] != ']' && line[i-1] != '\t' && !isColored(line, i) {
		return record.LevelUnknown
	}
	if colon+1 < len(line) && line[colon+1] != ' ' && line[colon+1] != '\t' && i > 0 {
		return record.LevelUnknown // info:4 within a text
	}
	if w := line[i:colon]; i > 0 && (string(w) == "fail" || string(w) == "log" || string(w) == "note" || string(w) == "fine") {
		return record.LevelUnknown // a level at the start of a line only
	}
	return FromValue(line[i:colon])
}

// keyed judges the value behind the colon or equals sign at place i, if the key before it
// is one of a level: level=warn, "level":30.
func keyed(line []byte, i int) record.Level {
	end := i
	for end > 0 && (classes[line[end-1]] == isQuote || line[end-1] == '\\' || line[end-1] == ' ') {
		end--
	}
	start := end
	for start > 0 && classes[line[start-1]]&inWord != 0 {
		start--
	}
	if !isKey(line[start:end]) {
		return record.LevelUnknown
	}
	from := i + 1
	for from < len(line) && (line[from] == ' ' || line[from] == '\\' || classes[line[from]] == isQuote) {
		from++
	}
	to := from
	for to < len(line) && classes[line[to]]&inWord != 0 {
		to++
	}
	return FromValue(line[from:to])
}

// isKey says whether a key is one of a level, in any case.
func isKey(key []byte) bool {
	for _, name := range [...]string{"level", "lvl", "severity", "loglevel", "log.level", "log_level", "levelname", "level_name", "priority"} {
		if len(key) == len(name) && key[0]|0x20 == name[0] && bytes.EqualFold(key, []byte(name)) {
			return true
		}
	}
	return false
}

func wordEnd(line []byte, i int) int {
	for i < len(line) && classes[line[i]]&inWord != 0 {
		i++
	}
	return i
}

// isStart says whether a word may begin at i: no other word goes on to it.
func isStart(line []byte, i int) bool {
	return i == 0 || classes[line[i-1]]&inWord == 0 || isColored(line, i)
}

// isColored says whether a terminal's color ends before i, as in ESC [ 31 m.
func isColored(line []byte, i int) bool {
	if line[i-1] != 'm' {
		return false
	}
	k := i - 2
	for k >= 0 && (line[k] >= '0' && line[k] <= '9' || line[k] == ';') {
		k--
	}
	return k >= 1 && line[k] == '[' && line[k-1] == 0x1b
}

// klog reads the header of Kubernetes' and glog's lines: E1120 17:56:45.088231 12 main.go:7].
func klog(line []byte) record.Level {
	if len(line) < len("E1120 17:56:45.") || line[5] != ' ' || line[8] != ':' || line[11] != ':' {
		return record.LevelUnknown
	}
	for _, c := range line[1:5] {
		if c < '0' || c > '9' {
			return record.LevelUnknown
		}
	}
	return FromValue(line[:1])
}

// priority reads the priority at the start of a syslog message: <11>.
func priority(line []byte) record.Level {
	n := 0
	for i, c := range line[1:min(len(line), 5)] {
		if c == '>' && i > 0 && n <= 191 {
			return Syslog(n & 7)
		}
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return record.LevelUnknown
}
