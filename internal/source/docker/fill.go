package docker

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

// fill is how full the file of a log is of which the engine keeps no other, by what was read
// of it. The engine begins a new file when it is to write and the old one has its size. So
// if what was read of a file falls short of that, something was not read.
type fill struct {
	capacity int64 // 0 if it is not such a log, or its file has what cannot be seen here
	bytes    int64 // at least so many are in the file up to the cursor; below 0: not known
}

// newFill returns the fill of a log of which nothing was read.
func newFill(d *dockerapi.Details) fill {
	for _, o := range [...]string{"labels", "labels-regex", "env", "env-regex", "tag"} {
		if d.LogOptions[o] != "" {
			return fill{} // each line has more than its message
		}
	}
	if files, size := rotation(d); files == 1 && size > 0 {
		return fill{capacity: size}
	}
	return fill{}
}

// begin notes that the next message is the first of a file.
func (f *fill) begin() { f.bytes = 0 }

// unknown notes that the beginning of the file was not read.
func (f *fill) unknown() { f.bytes = math.MinInt64 / 2 }

// add adds a message.
func (f *fill) add(m dockerapi.Message) {
	if f.capacity > 0 {
		f.bytes += jsonSize(m)
	}
}

// nsPerByte is less than any engine takes to write a byte of a log: between 7 and 16 ns were
// measured.
const nsPerByte = 4

// timeForFile tells whether, by the times of two messages, there was time between them to
// write a file of size bytes, or a step of the clock.
func timeForFile(passed, size int64) bool { return max(passed, -passed) >= nsPerByte*size }

// missing returns the gap, if any, in what came after the cursor. All but the last of s.words
// are in files of which more was written, and with the last a new one begins.
func (f fill) missing(c *cursor, s stretch) []record.Gap {
	if f.capacity == 0 || f.bytes < 0 {
		return []record.Gap{gapPerhaps}
	}
	var gaps []record.Gap
	last, told := c.time, s.told
	for i, h := range s.words {
		begins := f.bytes >= f.capacity
		if i == len(s.words)-1 && !begins {
			return []record.Gap{gapRotated}
		}
		if begins {
			waited := f.capacity >= largeFile && !s.clock.before(h.Time, told)
			if timeForFile(h.Time-last, f.capacity) && !waited {
				gaps = []record.Gap{gapPerhaps}
			}
			f.begin()
		}
		f.add(h.Message)
		last, told = h.Time, h.at
	}
	return gaps
}

// jsonSize is how many bytes a message has in a json-file, or fewer where that cannot be told
// any more: for bytes that were not UTF-8, and messages that were cut.
func jsonSize(m dockerapi.Message) int64 {
	n := len(`{"log":"","stream":"stdout","time":"2006-01-02T15:04:05Z"}`+"\n") + len(m.Text)
	if !m.Partial {
		n += len(`\n`)
	}
	if m.Return {
		n += len(`\r`)
	}
	if ns := m.Time % 1e9; ns != 0 { // without the zeros it ends in
		n += len(".000000000")
		for ; ns%10 == 0; ns /= 10 {
			n--
		}
	}
	for i, c := range m.Text {
		switch {
		case c == '"' || c == '\\' || c == '\r':
			n++
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += len(`\u0000`) - 1
		case c == 0xe2 && isSeparator(m.Text[i:]):
			n += len(`\u2028`) - 3
		}
	}
	return int64(n)
}

// isSeparator tells whether text begins with U+2028 or U+2029, which JSON escapes.
func isSeparator(text []byte) bool {
	r, _ := utf8.DecodeRune(text)
	return r == '\u2028' || r == '\u2029'
}

// Sizes of the logs of drivers that keep them in a form of their own, or a copy of them.
const (
	localFiles = 5
	localSize  = 20_000_000
)

// rotation returns how many files the engine keeps of a log, and of what size: zero or less
// for a log that is not rotated.
func rotation(d *dockerapi.Details) (files int, size int64) {
	fileOption, sizeOption := "max-file", "max-size"
	files = 1
	switch d.LogDriver {
	case "journald":
		return 1, 0
	case fileDriver:
	case "local":
		files, size = localFiles, localSize
	default:
		files, size = localFiles, localSize
		fileOption, sizeOption = "cache-max-file", "cache-max-size"
	}
	if n, err := strconv.Atoi(d.LogOptions[fileOption]); err == nil && n > 0 {
		files = n
	}
	if text := d.LogOptions[sizeOption]; text != "" {
		size = parseSize(text)
	}
	return files, size
}

// parseSize reads a size as the engine does: 10m are ten million bytes. A size that it does
// not understand is 0.
func parseSize(text string) int64 {
	text = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), "b")
	unit := 1.0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("kmgtp", text[n-1]); i >= 0 {
			text, unit = strings.TrimSpace(text[:n-1]), math.Pow(1000, float64(i+1))
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v*unit > math.MaxInt64/2 {
		return 0
	}
	return int64(v * unit)
}
