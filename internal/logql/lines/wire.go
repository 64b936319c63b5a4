package lines

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// timeForm is RFC 3339 with all digits of the second.
const timeForm = "2006-01-02T15:04:05.000000000Z"

// Append appends a line as JSON, with its newline:
//
//	{"time":"2026-11-21T05:06:07.123456789Z","stream":"docker/shop","sequence":42,"level":"info","line":"text",
//	 "labels":{"container":"shop"},"metadata":{"status":"200"},"parsed":{"user":"u1"},"gap":true,"context":true,"apart":true}
//
// (in one line). Members without a value are left out but for time, stream and line. Labels
// are the stream's, metadata came with the record, parsed was made by the query. Characters
// that a terminal could take for something else are escaped. A note of lines that are
// missing is {"lost":12}, a warning {"warning":"text"}.
func Append(dst []byte, l *Line) []byte {
	if l.Lost > 0 {
		return append(strconv.AppendInt(append(dst, `{"lost":`...), int64(l.Lost), 10), "}\n"...)
	}
	if l.Warning != "" {
		return append(AppendString(append(dst, `{"warning":`...), l.Warning), "}\n"...)
	}
	dst = append(dst, `{"time":"`...)
	dst = time.Unix(0, l.Time).UTC().AppendFormat(dst, timeForm)
	dst = AppendString(append(dst, `","stream":`...), l.Stream)
	if l.Sequence > 0 {
		dst = strconv.AppendUint(append(dst, `,"sequence":`...), l.Sequence, 10)
	}
	if level := l.Level(); level != "" {
		dst = AppendString(append(dst, `,"level":`...), level)
	}
	dst = AppendString(append(dst, `,"line":`...), l.Line)
	dst = appendLabels(append(dst, `,"labels":`...), l.Labels, pipeline.OfStream)
	dst = appendLabels(append(dst, `,"metadata":`...), l.Labels, pipeline.OfMetadata)
	dst = appendLabels(append(dst, `,"parsed":`...), l.Labels, pipeline.OfParsed)
	for _, mark := range []struct {
		set  bool
		name string
	}{{l.Gap, `,"gap":true`}, {l.Context, `,"context":true`}, {l.Apart, `,"apart":true`}} {
		if mark.set {
			dst = append(dst, mark.name...)
		}
	}
	return append(dst, "}\n"...)
}

// Level returns the level that was found in the record; "" if the query took it away.
func (l *Line) Level() string {
	for i := range l.Labels {
		if isLevel(&l.Labels[i]) {
			return l.Labels[i].Value
		}
	}
	return ""
}

func isLevel(l *pipeline.Label) bool {
	return l.Category == pipeline.OfMetadata && l.Name == syntax.LevelLabel
}

// appendLabels appends the labels of a category as an object; if there are none it takes
// back the name before it.
func appendLabels(dst []byte, labels []pipeline.Label, of pipeline.Category) []byte {
	n := 0
	for i := range labels {
		l := &labels[i]
		if l.Category != of || isLevel(l) {
			continue
		}
		if n++; n == 1 {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, l.Name)
		dst = AppendString(append(dst, ':'), l.Value)
	}
	if n == 0 {
		return dst[:bytes.LastIndexByte(dst, ',')]
	}
	return append(dst, '}')
}

// AppendString appends a JSON string with everything escaped that is not plain text.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s { // what is no UTF-8 is U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r >= ' ' && r < 0x7f:
			dst = append(dst, byte(r))
		case Harmless(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			r -= 0x10000
			for _, half := range []rune{0xd800 + r>>10, 0xdc00 + r&0x3ff} {
				dst = append(dst, '\\', 'u', hex[half>>12], hex[half>>8&15], hex[half>>4&15], hex[half&15])
			}
		default:
			dst = append(dst, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
	}
	return append(dst, '"')
}

// AppendHarmlessJSON appends JSON with all characters of its texts escaped that are not
// harmless. It has to be valid, as package encoding/json makes it.
func AppendHarmlessJSON(dst, text []byte) []byte {
	at := 0
	for i := 0; i < len(text); {
		if text[i] < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if !Harmless(r) {
			quoted := AppendString(append(dst, text[at:i]...), string(r))
			before := len(dst) + i - at
			dst = append(quoted[:before], quoted[before+1:len(quoted)-1]...)
			at = i + n
		}
		i += n
	}
	return append(dst, text[at:]...)
}

// Harmless tells whether a character is only what it shows: no control character, no mark
// that turns the direction of writing or cannot be seen, no line separator. Those that join
// letters are harmless, since scripts and emoji need them.
func Harmless(r rune) bool {
	switch {
	case r < 0x20 || r == 0x7f:
		return false
	case r < 0x7f:
		return true
	case r == '\u200c' || r == '\u200d':
		return true
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// A RemoteError is what the sender of lines says went wrong.
type RemoteError struct{ Text string }

// Error returns what it says.
func (e *RemoteError) Error() string { return e.Text }

// AppendError appends a note of what went wrong, which ParseLine returns as a RemoteError.
func AppendError(dst []byte, text string) []byte {
	return append(AppendString(append(dst, `{"error":`...), text), "}\n"...)
}

// ParseLine reads what Append and AppendError make.
func ParseLine(text []byte) (Line, error) {
	var m struct {
		Time                     time.Time
		Stream, Level, Line      string
		Sequence                 uint64
		Labels, Metadata, Parsed map[string]string
		Gap, Context, Apart      bool
		Lost                     int
		Warning                  string
		Error                    *string
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return Line{}, fmt.Errorf("not a line: %w", err)
	}
	switch {
	case m.Error != nil:
		return Line{}, &RemoteError{*m.Error}
	case m.Lost > 0:
		return Line{Lost: m.Lost}, nil
	case m.Warning != "":
		return Line{Warning: m.Warning}, nil
	case m.Lost < 0 || m.Time.IsZero():
		return Line{}, errors.New("not a line: it has no time")
	}
	l := Line{
		Entry:   logql.Entry{Time: m.Time.UnixNano(), Line: m.Line, Stream: m.Stream, Sequence: m.Sequence, Gap: m.Gap},
		Context: m.Context, Apart: m.Apart,
	}
	if m.Level != "" {
		l.Labels = append(l.Labels, pipeline.Label{Name: syntax.LevelLabel, Value: m.Level, Category: pipeline.OfMetadata})
	}
	for of, labels := range []map[string]string{pipeline.OfStream: m.Labels, pipeline.OfMetadata: m.Metadata, pipeline.OfParsed: m.Parsed} {
		for name, value := range labels {
			l.Labels = append(l.Labels, pipeline.Label{Name: name, Value: value, Category: pipeline.Category(of)})
		}
	}
	slices.SortFunc(l.Labels, func(a, b pipeline.Label) int { return strings.Compare(a.Name, b.Name) })
	return l, nil
}
