package scope

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// An ID names a scope in all processes: uuid/1/2 is the second part of the first part of the
// task uuid. A part that is a task of its own has a UUID in place of the number.
//
// Each ID is a span of W3C's Trace Context as well. The task's UUID without its dashes is the
// trace id, so a trace that began elsewhere can be gone on with; the span id is the first 8
// bytes of the SHA-256 of the ID's text, so that every process derives the same.
type ID string

const (
	uuidLen = 36
	// maxID is the longest ID that is made or read. Who nests deeper has lost his way.
	maxID = 1024
	// maxDigits keeps the numbers within 64 bits.
	maxDigits = 18
)

var (
	errID          = errors.New("scope: not the id of a scope, as uuid/1/2")
	errTraceparent = errors.New("scope: not a traceparent, as 00-<trace id>-<span id>-01")
)

// ParseID reads an ID, and also the ID in a record's key, seq@uuid/1/2. Letters of the UUID
// become small ones. The error says no more than that text is no ID.
func ParseID(text string) (ID, error) {
	if seq, rest, ok := strings.Cut(text, "@"); ok {
		if !isNumber(seq) {
			return "", errID
		}
		text = rest
	}
	if len(text) > maxID {
		return "", errID
	}
	text = strings.ToLower(text)
	task, rest, more := strings.Cut(text, "/")
	if !isUUID(task) {
		return "", errID
	}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if !isUUID(part) && (!isNumber(part) || part == "0") {
			return "", errID
		}
	}
	return ID(text), nil
}

// isNumber takes numbers in the one way they are written.
func isNumber(s string) bool {
	if s == "" || len(s) > maxDigits || s[0] == '0' && len(s) > 1 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

func isUUID(s string) bool {
	if len(s) != uuidLen {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c < '0' || c > 'f' || c > '9' && c < 'a':
			return false
		}
	}
	return true
}

// newTask returns an ID that nobody else has.
func newTask() ID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return uuidOf(b)
}

func uuidOf(b [16]byte) ID {
	var text [uuidLen]byte
	hex.Encode(text[:], b[:4])
	hex.Encode(text[9:], b[4:6])
	hex.Encode(text[14:], b[6:8])
	hex.Encode(text[19:], b[8:10])
	hex.Encode(text[24:], b[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return ID(text[:])
}

// child returns the ID of a part.
func (id ID) child(n int64) ID { return ID(strconv.AppendInt([]byte(id+"/"), n, 10)) }

// TraceID is the trace that the scope belongs to, as 32 hexadecimal digits.
func (id ID) TraceID() string {
	if len(id) < uuidLen {
		return ""
	}
	return strings.ReplaceAll(string(id[:uuidLen]), "-", "")
}

// SpanID is the scope's span, as 16 hexadecimal digits.
func (id ID) SpanID() string {
	if len(id) < uuidLen {
		return ""
	}
	sum := sha256.Sum256([]byte(id))
	if binary.BigEndian.Uint64(sum[:8]) == 0 {
		sum[7] = 1 // zero is no span
	}
	return hex.EncodeToString(sum[:8])
}

// Traceparent is the header of W3C's Trace Context for what the scope calls. The trace is
// said to be sampled. Of an ID that is none it is empty.
func (id ID) Traceparent() string {
	if len(id) < uuidLen {
		return ""
	}
	return "00-" + id.TraceID() + "-" + id.SpanID() + "-01"
}

// FromTraceparent returns an ID in the trace of a traceparent header, for Import. Each call
// gives another one, uuid/n with a large random number, because the callers of a span are not
// numbered. The version may be any but ff, as the standard has it.
func FromTraceparent(header string) (ID, error) {
	const traceAt, spanAt, flagsAt, end = 3, 36, 53, 55
	if len(header) < end || len(header) > maxID || header[2] != '-' || header[spanAt-1] != '-' || header[flagsAt-1] != '-' {
		return "", errTraceparent
	}
	version, trace, span, flags := header[:2], header[traceAt:spanAt-1], header[spanAt:flagsAt-1], header[flagsAt:end]
	switch {
	case !isHex(version) || !isHex(trace) || !isHex(span) || !isHex(flags):
		return "", errTraceparent
	case version == "ff", strings.Trim(trace, "0") == "", strings.Trim(span, "0") == "":
		return "", errTraceparent
	case len(header) > end && (version == "00" || header[end] != '-'):
		return "", errTraceparent
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], []byte(trace)); err != nil {
		return "", errTraceparent
	}
	return uuidOf(b).child(farChild()), nil
}

// isHex takes small letters alone, as the standard does.
func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// farChild returns a number that no count of children reaches, and that fits 31 bits.
func farChild() int64 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return int64(binary.BigEndian.Uint32(b[:])>>2 | 1<<30)
}
