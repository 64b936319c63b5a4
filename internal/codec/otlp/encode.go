package otlp

import (
	"bytes"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/record"
)

// Head is what a record has beside its attributes, to be written.
type Head struct {
	Time     int64 // Unix nanoseconds; zero and less: the sender does not say
	Level    record.Level
	Body     []byte
	TraceID  []byte // 16 bytes or none
	SpanID   []byte // 8 bytes or none
	Flags    uint32
	Observed int64
}

// OpenLog appends the beginning of a record, which AppendAttribute goes on and protobuf.Close
// ends. Records that follow each other are what AppendRequest wants.
func OpenLog(dst []byte, h *Head) (b []byte, at int) {
	dst, at = protobuf.Open(dst, partsItems)
	if h.Time > 0 {
		dst = protobuf.AppendFixed(dst, logTime, uint64(h.Time))
	}
	if h.Observed > 0 {
		dst = protobuf.AppendFixed(dst, logObserved, uint64(h.Observed))
	}
	if s := Severity(h.Level); s != 0 {
		dst = protobuf.AppendNumber(dst, logSeverity, uint64(s))
		dst = protobuf.AppendText(dst, logSeverityText, h.Level.String())
	}
	dst, body := protobuf.Open(dst, logBody)
	dst = protobuf.Close(appendValid(dst, valueText, h.Body), body)
	if h.Flags != 0 {
		dst = protobuf.AppendFixed32(dst, logFlags, h.Flags)
	}
	if len(h.TraceID) > 0 {
		dst = protobuf.AppendText(dst, logTraceID, h.TraceID)
	}
	if len(h.SpanID) > 0 {
		dst = protobuf.AppendText(dst, logSpanID, h.SpanID)
	}
	return dst, at
}

// appendValid appends a text of which protobuf wants that it is UTF-8.
func appendValid[T string | []byte](dst []byte, field uint32, text T) []byte {
	switch t := any(text).(type) {
	case []byte:
		if !utf8.Valid(t) {
			return protobuf.AppendText(dst, field, bytes.ToValidUTF8(t, []byte("\uFFFD")))
		}
	case string:
		if !utf8.ValidString(t) {
			return protobuf.AppendText(dst, field, strings.ToValidUTF8(t, "\uFFFD"))
		}
	}
	return protobuf.AppendText(dst, field, text)
}

// AppendAttribute appends an attribute, whose value is text, of a record.
func AppendAttribute(dst, key, text []byte) []byte { return pair(dst, logAttributes, key, text) }

// AppendResourceAttribute appends one of a resource.
func AppendResourceAttribute(dst []byte, key, text string) []byte {
	return pair(dst, resourceAttributes, key, text)
}

func pair[T string | []byte](dst []byte, field uint32, key, text T) []byte {
	dst, at := protobuf.Open(dst, field)
	dst = appendValid(dst, pairKey, key)
	dst, value := protobuf.Open(dst, pairValue)
	dst = protobuf.Close(appendValid(dst, valueText, text), value)
	return protobuf.Close(dst, at)
}

// Origin is where records come from: the attributes of a resource, and the name and version of
// a scope.
type Origin struct {
	Resource      []byte // as AppendResourceAttribute has made it
	Name, Version string
}

// AppendRequest appends a request with records of one origin.
func AppendRequest(dst []byte, o *Origin, records []byte) []byte {
	dst, all := protobuf.Open(dst, requestResources)
	dst = protobuf.AppendText(dst, partsOrigin, o.Resource)
	dst, scope := protobuf.Open(dst, partsItems)
	dst, at := protobuf.Open(dst, partsOrigin)
	dst = protobuf.AppendText(dst, scopeName, o.Name)
	if o.Version != "" {
		dst = protobuf.AppendText(dst, scopeVersion, o.Version)
	}
	dst = protobuf.Close(dst, at)
	dst = append(dst, records...)
	return protobuf.Close(protobuf.Close(dst, scope), all)
}

// Each level has four numbers.
const (
	severitySpan = 4
	mostSeverity = 24
)

// Severity returns the number of a level: the first of its range.
func Severity(l record.Level) int32 {
	if l == record.LevelUnknown || l > record.LevelFatal {
		return 0
	}
	return int32(l-record.LevelTrace)*severitySpan + 1
}

// LevelOf returns the level of a number.
func LevelOf(severity int32) record.Level {
	if severity < 1 || severity > mostSeverity {
		return record.LevelUnknown
	}
	return record.LevelTrace + record.Level((severity-1)/severitySpan)
}

// Nanoseconds returns a time of the wire as Unix nanoseconds, moved to what an int64 can hold.
func Nanoseconds(t uint64) int64 { return int64(min(t, math.MaxInt64)) }
