package kept

import (
	"bytes"
	"iter"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// The functions of this file look at single parts of lines that Append has written, for
// going through whole blocks. Of other bytes they return something, and never panic.

// Lines returns the lines of a block, without their newlines.
func Lines(block []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(block) > 0 {
			n := bytes.IndexByte(block, '\n')
			if n < 0 {
				n = len(block)
			}
			if !yield(block[:n:n]) {
				return
			}
			block = block[min(n+1, len(block)):]
		}
	}
}

// TimeOf returns the time of a line, 0 if it has none.
func TimeOf(line []byte) int64 {
	if len(line) < timeAt+timeLen {
		return 0
	}
	ns, _ := parseTime(line)
	return ns
}

// LevelOf returns the level of a line.
func LevelOf(line []byte) record.Level {
	if len(line) <= levelAt {
		return record.LevelUnknown
	}
	switch line[levelAt] {
	case 't':
		return record.LevelTrace
	case 'd':
		return record.LevelDebug
	case 'i':
		return record.LevelInfo
	case 'w':
		return record.LevelWarn
	case 'e':
		return record.LevelError
	case 'f':
		return record.LevelFatal
	}
	return record.LevelUnknown
}

// BodyOf returns the body of a line in canonical escaping, valid as long as the line.
func BodyOf(line []byte) []byte {
	start := bodyStart(line)
	if start < 0 {
		return nil
	}
	end := bodyEnd(line, start)
	return line[start:end:end]
}

// BodyAt returns where the body of a line begins and ends in it; both are 0 if the line is
// too short to have one.
func BodyAt(line []byte) (start, end int) {
	if start = bodyStart(line); start < 0 {
		return 0, 0
	}
	return start, bodyEnd(line, start)
}

// bodyStart returns where the body of a line begins, -1 if the line is too short.
func bodyStart(line []byte) int {
	start := timeAt + timeLen - 1 + len(afterTime[LevelOf(line)])
	if start > len(line) {
		return -1
	}
	return start
}

// bodyEnd returns where the body ends that begins at start. Most lines end with their body;
// of the parts that may follow only two end as those lines do, in a quote and a brace.
func bodyEnd(line []byte, start int) int {
	last := len(line) - 2
	if last > start && line[last] == '"' && line[last+1] == '}' && line[last-1] != '\\' && !bytes.HasSuffix(line[:last+1], []byte(stderrPart)) {
		i := last - 1
		for i >= start && base64Char[line[i]] {
			i--
		}
		if i < start || line[i] != '"' || !bytes.HasSuffix(line[:i+1], []byte(rawPart)) {
			return last
		}
	}
	if end := jsontext.End(line, start); end >= 0 {
		return end
	}
	return len(line)
}

// base64Char has the characters of base64.
var base64Char = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
		in[c] = true
	}
	return in
}()
