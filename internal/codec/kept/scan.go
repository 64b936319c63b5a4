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

// bodyEnd returns where the body ends that begins at start. Most lines end with it, or have
// nothing behind it but the name of the stream and fields; those are read from their end.
func bodyEnd(line []byte, start int) int {
	end := -1
	switch {
	case bytes.HasSuffix(line, []byte(`"}`)):
		if !endsRaw(line, start) {
			end = endBefore(line, start, len(line)-1)
		}
	case bytes.HasSuffix(line, []byte(`"}}`)):
		// A text has no quote without a backslash, so this is where the fields begin.
		if at := fieldsAt(line, start); at >= 0 {
			end = endBefore(line, start, at)
		}
	}
	if end < 0 {
		end = jsontext.End(line, start)
	}
	if end < 0 {
		return len(line)
	}
	return end
}

// IsTail tells whether text, which stands behind the body of a line, is one for BodyBefore: the
// body's quote, maybe the name of the stream, and fields.
func IsTail(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte(`"`))
	return ok && bytes.HasPrefix(bytes.TrimPrefix(rest, []byte(stderrPart)), []byte(fieldsPart)) && bytes.HasSuffix(text, []byte(`"}}`))
}

// BodyBefore is BodyAt for a line that may end with a tail that another line has: ok is false
// if that does not tell where its body ends.
func BodyBefore(line, tail []byte) (start, end int, ok bool) {
	end = len(line) - len(tail)
	if start = bodyStart(line); start < 0 || end < start || string(line[end:]) != string(tail) {
		return 0, 0, false
	}
	if end == start {
		return start, end, true
	}
	// The quote may be escaped, or that behind the name of the stream.
	last := line[end-1]
	return start, end, last != '\\' && (last != 'r' || !bytes.HasSuffix(line[start:end+1], []byte(stderrPart)))
}

// fieldsAt returns where the last that looks like the beginning of fields is behind start, -1
// if nothing does. It is near the end.
func fieldsAt(line []byte, start int) int {
	for at := len(line); at > start; {
		if at = start + bytes.LastIndexByte(line[start:at], '{'); at < start {
			break
		}
		if bytes.HasSuffix(line[start:at+1], []byte(fieldsPart)) {
			return at + 1 - len(fieldsPart)
		}
	}
	return -1
}

// endBefore returns where the body ends if only the name of the stream may be between it and
// a place; -1 if that cannot be said.
func endBefore(line []byte, start, to int) int {
	if to < start {
		return -1
	}
	end := len(bytes.TrimSuffix(line[start:to], []byte(stderrPart))) - 1 + start
	if end < start || line[end] != '"' || end > start && line[end-1] == '\\' {
		return -1
	}
	return end
}

// endsRaw tells whether a line that ends in a quote and a brace has the original body there.
func endsRaw(line []byte, start int) bool {
	i := len(line) - 3
	for i >= start && base64Char[line[i]] {
		i--
	}
	return i >= start && line[i] == '"' && bytes.HasSuffix(line[:i+1], []byte(rawPart))
}

// base64Char has the characters of base64.
var base64Char = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
		in[c] = true
	}
	return in
}()
