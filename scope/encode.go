package scope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// encoder appends JSON as Python's json module writes it: in ASCII, with a space after commas
// and colons. What slog.JSONHandler does with a kind of value, this does too, but that numbers
// which JSON does not have are texts.
type encoder struct{ buf []byte }

// plain tells which bytes stand for themselves in a text.
var plain = func() (table [256]bool) {
	for c := ' '; c <= '~'; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// text appends s without quotes.
func (e *encoder) text(s string) { e.buf = appendText(e.buf, s) }

// appendText appends s without quotes.
func appendText(dst []byte, s string) []byte {
	if isPlain(s) {
		return append(dst, s...)
	}
	e := encoder{buf: dst}
	e.escape(s)
	return e.buf
}

// isPlain says whether every byte of s stands for itself, up to eight of them at a time. It
// looks at s before that is copied: to read as a whole what was just written in parts makes
// the processor wait.
func isPlain(s string) bool {
	const half, word = 4, 8
	n := len(s)
	switch {
	case n >= word:
		for i := 0; i < n-word; i += word {
			if !allPlain(low(s[i:]) | low(s[i+half:])<<32) {
				return false
			}
		}
		return allPlain(low(s[n-word:]) | low(s[n-half:])<<32)
	case n >= half:
		return allPlain(low(s) | low(s[n-half:])<<32)
	}
	for i := range len(s) {
		if !plain[s[i]] {
			return false
		}
	}
	return true
}

// low returns four bytes as a number.
func low(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// allPlain is isPlain of eight bytes. It looks at them as eight numbers in one: what it is
// after sets the highest bit of a byte that has none.
func allPlain(v uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := v^ones*'"', v^ones*'\\'
	return (v|(v+ones)|(v-ones*' ')&^v|(quote-ones)&^quote|(backslash-ones)&^backslash)&high == 0
}

const hexDigits = "0123456789abcdef"

// escape is text for what is not plain.
func (e *encoder) escape(s string) {
	for at := 0; at < len(s); {
		c := s[at]
		if plain[c] {
			e.buf = append(e.buf, c)
			at++
			continue
		}
		if c < utf8.RuneSelf {
			e.control(c)
			at++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[at:])
		at += size
		if r >= 1<<16 {
			const high, low, bits = 0xd800, 0xdc00, 10
			r -= 1 << 16
			e.unit(uint16(high + r>>bits))
			e.unit(uint16(low + r&(1<<bits-1)))
			continue
		}
		e.unit(uint16(r)) // bytes that are not UTF-8 are U+FFFD
	}
}

// control appends a byte of ASCII that does not stand for itself.
func (e *encoder) control(c byte) {
	switch c {
	case '"', '\\':
		e.buf = append(e.buf, '\\', c)
	case '\n':
		e.buf = append(e.buf, '\\', 'n')
	case '\r':
		e.buf = append(e.buf, '\\', 'r')
	case '\t':
		e.buf = append(e.buf, '\\', 't')
	case '\b':
		e.buf = append(e.buf, '\\', 'b')
	case '\f':
		e.buf = append(e.buf, '\\', 'f')
	default:
		e.unit(uint16(c))
	}
}

func (e *encoder) unit(u uint16) {
	e.buf = append(e.buf, '\\', 'u', hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// oneLine appends s without quotes, its newlines as a backslash and an n, which is how the
// formatter of distlog shows them.
func (e *encoder) oneLine(s string) {
	for {
		at := 0
		for at < len(s) && s[at] != '\n' {
			at++
		}
		e.text(s[:at])
		if at == len(s) {
			return
		}
		e.buf = append(e.buf, `\\n`...)
		s = s[at+1:]
	}
}

// attr appends an attribute as a member of the object that is open, if it is none of those
// that slog leaves out.
func (e *encoder) attr(a *slog.Attr) {
	kind := a.Value.Kind()
	if kind == slog.KindLogValuer {
		a = &slog.Attr{Key: a.Key, Value: a.Value.Resolve()} // slog turns a panic into an error
		kind = a.Value.Kind()
	}
	switch {
	case kind == slog.KindGroup:
		e.group(a.Key, a.Value.Group())
	case kind == slog.KindAny && a.Key == "" && a.Value.Any() == nil:
	case kind == slog.KindString: // as most are
		b := append(appendName(e.buf, a.Key), '"')
		e.buf = append(appendText(b, a.Value.String()), '"')
	case kind == slog.KindInt64:
		e.buf = strconv.AppendInt(appendName(e.buf, a.Key), a.Value.Int64(), 10)
	default:
		e.buf = appendName(e.buf, a.Key)
		e.value(&a.Value, kind)
	}
}

// group appends the attributes of a group: as an object, or, without a name, as they are.
func (e *encoder) group(name string, attrs []slog.Attr) {
	if name == "" {
		for i := range attrs {
			e.attr(&attrs[i])
		}
		return
	}
	before := len(e.buf)
	e.open(name)
	empty := len(e.buf)
	for i := range attrs {
		e.attr(&attrs[i])
	}
	if len(e.buf) == empty {
		e.buf = e.buf[:before]
		return
	}
	e.buf = append(e.buf, '}')
}

// open begins an object.
func (e *encoder) open(name string) { e.buf = append(appendName(e.buf, name), '{') }

// appendName appends what stands before a value.
func appendName(b []byte, key string) []byte {
	if n := len(b); n == 0 || b[n-1] != '{' {
		b = append(b, ", \""...)
	} else {
		b = append(b, '"')
	}
	return append(appendText(b, key), `": `...)
}

func (e *encoder) quoted(s string) {
	e.buf = append(e.buf, '"')
	e.text(s)
	e.buf = append(e.buf, '"')
}

// value appends a value that is neither a group nor to be resolved.
func (e *encoder) value(v *slog.Value, kind slog.Kind) {
	switch kind {
	case slog.KindString:
		e.quoted(v.String())
	case slog.KindInt64:
		e.buf = strconv.AppendInt(e.buf, v.Int64(), 10)
	case slog.KindUint64:
		e.buf = strconv.AppendUint(e.buf, v.Uint64(), 10)
	case slog.KindFloat64:
		e.float(v.Float64())
	case slog.KindBool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case slog.KindDuration:
		e.buf = strconv.AppendInt(e.buf, int64(v.Duration()), 10)
	case slog.KindTime:
		e.buf = append(e.buf, '"')
		e.buf = v.Time().AppendFormat(e.buf, time.RFC3339Nano)
		e.buf = append(e.buf, '"')
	default:
		e.any(v.Any())
	}
}

func (e *encoder) float(f float64) {
	switch {
	case math.IsNaN(f):
		e.buf = append(e.buf, `"NaN"`...)
	case math.IsInf(f, 1):
		e.buf = append(e.buf, `"Infinity"`...)
	case math.IsInf(f, -1):
		e.buf = append(e.buf, `"-Infinity"`...)
	case e.short(f):
	case f != 0 && math.Abs(f) < 1e-4 || math.Abs(f) >= 1e16:
		e.buf = strconv.AppendFloat(e.buf, f, 'e', -1, 64)
	default:
		at := len(e.buf)
		e.buf = strconv.AppendFloat(e.buf, f, 'f', -1, 64)
		if bytes.IndexByte(e.buf[at:], '.') < 0 {
			e.buf = append(e.buf, '.', '0') // or Python would read an integer
		}
	}
}

// short appends a number with up to six places after the point and few before it, as most
// are. With at most 15 digits there is one text alone that is read as the same number.
func (e *encoder) short(f float64) bool {
	const scale, most = 1e6, 1e15
	m := math.Abs(f) * scale
	n := uint64(m)
	if !(m < most) || float64(n) != m || float64(n)/scale != math.Abs(f) {
		n++ // what was multiplied is rounded, too
		if !(m < most) || float64(n)/scale != math.Abs(f) {
			return false
		}
	}
	if n > 0 && n < 100 || n == 0 && math.Signbit(f) {
		return false // those below 0.0001 have an exponent, and zero a sign
	}
	b := e.buf
	if f < 0 {
		b = append(b, '-')
	}
	b = append(strconv.AppendUint(b, n/scale, 10), '.')
	e.buf = appendFraction(b, uint(n%scale/1000), uint(n%1000))
	return true
}

// any appends what slog knows no kind for. What such a value's own methods do wrong is told
// in its place.
func (e *encoder) any(v any) {
	before := len(e.buf)
	defer func() {
		if p := recover(); p != nil {
			e.buf = append(e.buf[:before], panicText(v, p)...)
		}
	}()
	_, marshals := v.(json.Marshaler)
	if err, ok := v.(error); ok && !marshals {
		e.quoted(err.Error())
		return
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		e.quoted("!ERROR:" + err.Error())
		return
	}
	for _, c := range string(bytes.TrimSuffix(out.Bytes(), []byte{'\n'})) {
		if c < utf8.RuneSelf { // beyond ASCII there are texts alone
			e.buf = append(e.buf, byte(c))
			continue
		}
		e.escape(string(c))
	}
}

// panicText is slog's way to show that a value's method panicked.
func panicText(v, p any) string {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && r.IsNil() {
		return `"<nil>"`
	}
	var e encoder
	e.quoted(fmt.Sprintf("!PANIC: %v", p))
	return string(e.buf)
}
