// Package kept is the form in which the journal keeps records: lines of JSON with their
// keys in one order, so that jq and grep read them and so that weir need not parse them.
//
//	{"time":"2026-11-21T05:06:07.123456789Z","level":"info","body":"text","stream":"stderr",
//	 "cut":true,"weight":10,"gap":"rotated away","gap_bytes":4312,"fields":{"status":"200"},
//	 "raw":"base64 of the body as it was, if it had bytes that are not UTF-8"}
//
// (in one line, without white space). Time, level and body are always there, time with nine
// digits of the second, so that the first two stand at fixed places; the others are left out
// where they say nothing. Text is in canonical escaping: \" \\ \b \f \n \r \t, the other
// bytes below 0x20 and 0x7f as \u00 and two lower-case digits, all else as it is. So a text
// has one escaped form, and a needle that is escaped once is searched as bytes:
//
//	var a kept.Appender
//	block = a.Append(block, &kept.Record{Time: ns, Level: record.LevelInfo, Body: text})
//	needle := kept.NewNeedle([]byte(`say "no"`))
//	for line := range kept.Lines(block) {
//		if needle.In(kept.BodyOf(line)) {
//			l, err := kept.Parse(line)
//		}
//	}
//
// Append does not allocate but for dst, and takes bodies that are still escaped as Docker
// has them, which are copied where they are canonical. What Parse returns are parts of the
// line. An Appender serves one goroutine at a time; functions, Lines and Needles are free
// to be used by many. Files, blocks and their compression are not the package's business.
package kept

import (
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// Record is what is kept of a record, or of a gap.
type Record struct {
	// Time is in Unix nanoseconds. Outside of the years 1678 to 2261 it is moved to their
	// beginning or end.
	Time  int64
	Level record.Level
	// Flags may have Escaped, for the body and the values of fields, Stderr and Cut. The
	// others are ignored.
	Flags record.Flags
	// Body is text, or the inside of a JSON string if Flags have Escaped. Escapes that are
	// none stand for themselves.
	Body []byte
	// Weight is of how many records a sample kept this one. 0 and 1 are left out.
	Weight uint32
	// Gap says why text was lost before this record; empty for all records but gaps.
	Gap string
	// GapBytes is how much was lost, -1 when that is not known. Without Gap it is ignored.
	GapBytes int64
	// Fields are the stored fields. One with an empty value is left out.
	Fields []Field
}

// Field is the name and value of a stored field.
type Field struct {
	// Name is in canonical escaping (Escape), since it comes from the configuration.
	Name []byte
	// Value is as the record's Flags say; in a parsed line, in canonical escaping.
	Value []byte
}

// The parts of a line.
const (
	beforeTime = `{"time":"`
	timeLen    = len("2026-11-21T05:06:07.123456789Z")
	secondLen  = len("2026-11-21T05:06:07.")

	beforeLevel  = `","level":"`
	beforeBody   = `","body":"`
	stderrPart   = `,"stream":"stderr"`
	cutPart      = `,"cut":true`
	weightPart   = `,"weight":`
	gapPart      = `,"gap":"`
	gapBytesPart = `,"gap_bytes":`
	fieldsPart   = `,"fields":{`
	rawPart      = `,"raw":"`

	timeAt  = len(beforeTime)
	levelAt = timeAt + timeLen + len(beforeLevel)
)

// afterTime is what stands between the time's digits and the body, for each level.
var afterTime = [...]string{
	record.LevelUnknown: `Z","level":"unknown","body":"`,
	record.LevelTrace:   `Z","level":"trace","body":"`,
	record.LevelDebug:   `Z","level":"debug","body":"`,
	record.LevelInfo:    `Z","level":"info","body":"`,
	record.LevelWarn:    `Z","level":"warn","body":"`,
	record.LevelError:   `Z","level":"error","body":"`,
	record.LevelFatal:   `Z","level":"fatal","body":"`,
}

// Appender writes lines. The zero value is ready. It remembers how it wrote the last
// second, and keeps memory for bodies that are not UTF-8.
type Appender struct {
	second int64
	text   [timeAt + secondLen]byte // beforeTime and the time up to the point; text[0] is 0 before the first
	plain  []byte
}

// Append appends r as one line, with its newline.
func (a *Appender) Append(dst []byte, r *Record) []byte {
	dst, _ = a.append(dst, r)
	return dst
}

// append is Append and tells where in dst the body of the line ends.
func (a *Appender) append(dst []byte, r *Record) (out []byte, rest int) {
	const fixed = 160 // more than all that does not depend on the record
	dst = slices.Grow(dst, fixed+len(r.Body)+len(r.Body)/8)
	dst = a.appendTime(dst, r.Time)
	dst = append(dst, afterTime[known(r.Level)]...)
	escaped := r.Flags&record.Escaped != 0
	dst, valid := appendText(dst, r.Body, escaped)
	rest = len(dst)
	dst = append(dst, '"')
	if r.Flags&(record.Stderr|record.Cut) != 0 || r.Weight > 1 || r.Gap != "" || len(r.Fields) > 0 || !valid {
		dst = a.appendRest(dst, r, valid)
	}
	return append(dst, '}', '\n'), rest
}

// known returns the level as which a line has l.
func known(l record.Level) record.Level {
	if int(l) >= len(afterTime) {
		return record.LevelUnknown
	}
	return l
}

// appendRest appends what most records do not have.
func (a *Appender) appendRest(dst []byte, r *Record, valid bool) []byte {
	if r.Flags&record.Stderr != 0 {
		dst = append(dst, stderrPart...)
	}
	if r.Flags&record.Cut != 0 {
		dst = append(dst, cutPart...)
	}
	if r.Weight > 1 {
		dst = append(dst, weightPart...)
		dst = strconv.AppendUint(dst, uint64(r.Weight), 10)
	}
	if r.Gap != "" {
		dst = append(dst, gapPart...)
		a.plain = append(a.plain[:0], r.Gap...)
		dst, _ = appendText(dst, a.plain, false)
		dst = append(dst, '"')
		dst = append(dst, gapBytesPart...)
		dst = strconv.AppendInt(dst, max(r.GapBytes, -1), 10)
	}
	dst = appendFields(dst, r.Fields, r.Flags&record.Escaped != 0)
	if !valid {
		raw := r.Body
		if r.Flags&record.Escaped != 0 {
			a.plain = jsontext.Unescape(a.plain[:0], r.Body)
			raw = a.plain
		}
		dst = append(dst, rawPart...)
		dst = base64.StdEncoding.AppendEncode(dst, raw)
		dst = append(dst, '"')
	}
	if cap(a.plain) > maxPlain {
		a.plain = nil
	}
	return dst
}

// maxPlain is how much memory an Appender keeps for the next body that is not UTF-8.
const maxPlain = 64 << 10

func appendFields(dst []byte, fields []Field, escaped bool) []byte {
	opened := false
	for i := range fields {
		f := &fields[i]
		if len(f.Value) == 0 {
			continue
		}
		if opened {
			dst = append(dst, ',', '"')
		} else {
			dst = append(dst, fieldsPart...)
			dst = append(dst, '"')
			opened = true
		}
		dst = append(dst, f.Name...)
		dst = append(dst, `":"`...)
		dst, _ = appendText(dst, f.Value, escaped)
		dst = append(dst, '"')
	}
	if opened {
		dst = append(dst, '}')
	}
	return dst
}
