package dataset

import "time"

// The sub-streams as Docker names them.
const (
	stdout = "stdout"
	stderr = "stderr"
)

// appendDocker wraps a line, its newline included, as the json-file driver stores it.
func appendDocker(dst, line []byte, stream string, now int64) []byte {
	dst = append(dst, `{"log":"`...)
	dst = appendEscaped(dst, line)
	dst = append(dst, `","stream":"`...)
	dst = append(dst, stream...)
	dst = append(dst, `","time":"`...)
	dst = appendTime(dst, now)
	return append(dst, '"', '}', '\n')
}

// appendEscaped writes ASCII text as Docker escapes it: what HTML could stumble over as
// well. nginx itself writes no other bytes.
func appendEscaped(dst, text []byte) []byte {
	done := 0
	for i, c := range text {
		if !special[c] {
			continue
		}
		dst = append(dst, text[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, text[done:]...)
}

const hex = "0123456789abcdef"

// special marks the bytes that are not written as they are.
var special = func() (table [256]bool) {
	for c := range 0x20 {
		table[c] = true
	}
	for _, c := range []byte("\"\\<>&") {
		table[c] = true
	}
	return table
}()

// appendTime writes the time as Docker does: nanoseconds without their trailing zeros.
func appendTime(dst []byte, now int64) []byte {
	return time.Unix(0, now).UTC().AppendFormat(dst, time.RFC3339Nano)
}
