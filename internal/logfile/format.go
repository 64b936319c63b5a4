package logfile

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/cri"
	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/record"
)

// Format is what a line of a log file is. It is stored in positions.
type Format uint8

// The formats.
const (
	// Auto decides by the first lines of each file.
	Auto Format = iota
	// Raw lines are records as they are.
	Raw
	// Docker lines are of Docker's json-file driver.
	Docker
	// CRI lines are of container runtimes for Kubernetes.
	CRI
	formats // how many there are
)

var formatNames = [...]string{"auto", "raw", "docker", "cri"}

// String returns the format's name in configurations.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return "unknown"
}

// ParseFormat returns the format of that name; the empty name is Auto.
func ParseFormat(name string) (Format, bool) {
	if name == "" {
		return Auto, true
	}
	for i, n := range formatNames {
		if n == name {
			return Format(i), true
		}
	}
	return Auto, false
}

// detectLines is how many lines decide a file's format. More than one, because the first
// may be the rest of a line that was cut by a truncation.
const detectLines = 4

// detect returns the format of the lines that data begins with, Auto if it has none whole.
func detect(data []byte) Format {
	found := Auto
	for range detectLines {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		line := data[:i]
		data = data[i+1:]
		if e, err := dockerjson.Parse(line); err == nil && e.Time != 0 {
			return Docker
		}
		if _, err := cri.Parse(line); err == nil {
			return CRI
		}
		found = Raw
	}
	return found
}

// The reasons for which lines are dropped.
const (
	badDocker = "not docker json"
	badCRI    = "not cri"
)

// parse makes r of a line of the arena at off, or returns why it cannot.
func parse(f Format, line []byte, off int, r *record.Record) (bad string) {
	switch f {
	case Docker:
		e, err := dockerjson.Parse(line)
		if err != nil {
			return badDocker
		}
		r.Body = within(line, off, e.Log)
		r.Time = e.Time
		r.Flags |= flags(e.Partial, e.Stderr)
		if e.Escaped {
			r.Flags |= record.Escaped
		}
	case CRI:
		e, err := cri.Parse(line)
		if err != nil {
			return badCRI
		}
		r.Body = within(line, off, e.Log)
		r.Time = e.Time
		r.Flags |= flags(e.Partial, e.Stderr)
	default:
		r.Body = record.Span{Off: uint32(off), Len: uint32(len(line))}
	}
	return ""
}

func flags(partial, stderr bool) record.Flags {
	var f record.Flags
	if partial {
		f |= record.Partial
	}
	if stderr {
		f |= record.Stderr
	}
	return f
}

// within returns the span of part, which is a slice of the line that lies at off. Slices of
// one array end at the same capacity, which tells where they begin.
func within(line []byte, off int, part []byte) record.Span {
	if len(part) == 0 {
		return record.Span{Off: uint32(off)}
	}
	return record.Span{Off: uint32(off + cap(line) - cap(part)), Len: uint32(len(part))}
}
