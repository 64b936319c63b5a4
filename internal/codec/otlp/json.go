package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/protobuf"
)

// Request is what a body of JSON holds.
type Request int

// The requests.
const (
	// Logs is an ExportLogsServiceRequest.
	Logs = Request(logsRequest)
	// Metrics is an ExportMetricsServiceRequest.
	Metrics = Request(metricsRequest)
)

// maxJSONDepth is how deep objects and lists may nest.
const maxJSONDepth = 200

// AppendProtobuf appends a request that is JSON as protobuf, as OTLP's JSON is defined: keys
// in lowerCamelCase, ids in hexadecimal, bytes in base64, enums as numbers, whole numbers of
// 64 bits as text or numbers, and keys that nobody knows passed over. What is appended has no
// more than five times the bytes of text. The error is a *protobuf.SyntaxError.
func AppendProtobuf(dst []byte, what Request, text []byte) ([]byte, error) {
	return AppendWithin(dst, what, text, func(dst []byte, _ int) ([]byte, error) { return dst, nil })
}

// AppendWithin is AppendProtobuf where memory is bounded: room returns dst with room for so many
// more bytes. If it fails, its error is returned.
func AppendWithin(dst []byte, what Request, text []byte, room func(dst []byte, more int) ([]byte, error)) ([]byte, error) {
	p := transcoder{Scanner: jsontext.Scanner{Text: text}, dst: dst, room: room}
	p.Space()
	if p.object(message(what), maxJSONDepth) {
		p.Space()
		if p.At < len(p.Text) {
			p.fail("text after the request")
		}
	}
	if p.err != nil {
		return dst, p.err
	}
	return p.dst, nil
}

// transcoder writes JSON as protobuf. Its methods return false once err is set.
type transcoder struct {
	jsontext.Scanner
	dst   []byte
	room  func(dst []byte, more int) ([]byte, error)
	plain []byte // text without escapes, of a value that is no text
	err   error
}

// most is how much a field has beside its text: its number, and its length or its number of eight bytes.
const most = 16

// need makes room for a field with a text of so many bytes.
func (p *transcoder) need(text int) bool {
	dst, err := p.room(p.dst, text+most)
	if err != nil {
		p.err = err
		return false
	}
	p.dst = dst
	return true
}

func (p *transcoder) fail(format string, args ...any) bool {
	if p.err == nil {
		p.err = &protobuf.SyntaxError{Offset: p.At, Message: fmt.Sprintf(format, args...)}
	}
	return false
}

// object writes the fields of a message.
func (p *transcoder) object(m message, depth int) bool {
	if depth == 0 {
		return p.fail("objects within objects more than %d deep", maxJSONDepth)
	}
	if !p.Take('{') {
		return p.fail("expected an object")
	}
	p.Space()
	if p.Take('}') {
		return true
	}
	for {
		if !p.Take('"') {
			return p.fail("expected a key")
		}
		key, _, ok := p.Inside()
		if !ok {
			return p.fail("a string that is not valid")
		}
		p.Space()
		if !p.Take(':') {
			return p.fail("expected : after the key")
		}
		p.Space()
		if !p.member(m.field(key), depth) {
			return false
		}
		p.Space()
		if !p.Take(',') {
			return p.Take('}') || p.fail("expected a comma or }")
		}
		p.Space()
	}
}

// member writes the value of a key; f is nil where nobody knows that.
func (p *transcoder) member(f *jsonField, depth int) bool {
	if f == nil {
		return p.Skip(depth) || p.fail("no valid JSON")
	}
	if p.word("null") {
		return true
	}
	if !f.list {
		return p.value(f, depth)
	}
	if !p.Take('[') {
		return p.fail("expected a list")
	}
	p.Space()
	if p.Take(']') {
		return true
	}
	for {
		if !p.value(f, depth) {
			return false
		}
		p.Space()
		if !p.Take(',') {
			return p.Take(']') || p.fail("expected a comma or ]")
		}
		p.Space()
	}
}

// value writes one value.
func (p *transcoder) value(f *jsonField, depth int) bool {
	if f.form == formMessage {
		if !p.need(0) {
			return false
		}
		var at int
		p.dst, at = protobuf.Open(p.dst, f.number)
		if !p.object(f.message, depth-1) || !p.need(0) {
			return false
		}
		p.dst = protobuf.Close(p.dst, at)
		return true
	}
	from := p.At
	if f.form == formText && p.Take('"') {
		return p.text(f)
	}
	text, quoted, ok := p.scalar()
	if !ok || !p.need(len(text)) {
		return false
	}
	if !p.put(f, text, quoted) {
		p.At = from
		return p.fail("this is no value of %s", f.name)
	}
	return true
}

// text writes the string whose quotation mark was read, of a field that is text.
func (p *transcoder) text(f *jsonField) bool {
	inside, _, ok := p.Inside()
	if !ok {
		return p.fail("a string that is not valid")
	}
	if !p.need(len(inside)) {
		return false
	}
	var at int
	p.dst, at = protobuf.Open(p.dst, f.number)
	p.dst = protobuf.Close(jsontext.Unescape(p.dst, inside), at)
	return true
}

// scalar reads a string, as what it stands for, or a number or a word as it stands.
func (p *transcoder) scalar() (text []byte, quoted, ok bool) {
	if p.Take('"') {
		inside, escaped, ok := p.Inside()
		if !ok {
			return nil, false, p.fail("a string that is not valid")
		}
		if escaped {
			p.plain = jsontext.Unescape(p.plain[:0], inside)
			inside = p.plain
		}
		return inside, true, true
	}
	from := p.At
	if !p.Literal() {
		p.At = from
		return nil, false, p.fail("expected a value")
	}
	return p.Text[from:p.At], false, true
}

// put writes a value that is no message, and tells whether it is one of the field.
func (p *transcoder) put(f *jsonField, text []byte, quoted bool) bool {
	switch f.form {
	case formText:
		p.dst = protobuf.AppendText(p.dst, f.number, text)
		return quoted
	case formBytes, formHex:
		raw, ok := decodeBytes(f.form, text)
		p.dst = protobuf.AppendText(p.dst, f.number, raw)
		return ok && quoted
	case formBool:
		is := string(text) == "true"
		if is || string(text) == "false" {
			p.dst = protobuf.AppendNumber(p.dst, f.number, boolBit(is))
			return !quoted
		}
		return false
	case formDouble:
		v, ok := parseDouble(text, quoted)
		p.dst = protobuf.AppendFloat(p.dst, f.number, v)
		return ok
	}
	n, ok := parseWhole(text)
	switch f.form {
	case formFixed:
		p.dst = protobuf.AppendFixed(p.dst, f.number, n)
	case formFixed32:
		p.dst = protobuf.AppendFixed32(p.dst, f.number, uint32(n))
		ok = ok && n <= math.MaxUint32
	case formSigned:
		p.dst = protobuf.AppendSigned(p.dst, f.number, int64(n))
	default:
		p.dst = protobuf.AppendNumber(p.dst, f.number, n)
	}
	return ok
}

func boolBit(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

func decodeBytes(form form, text []byte) ([]byte, bool) {
	if form == formHex {
		raw, err := hex.AppendDecode(nil, text)
		return raw, err == nil
	}
	encoding := base64.StdEncoding
	if len(text)%4 != 0 {
		encoding = base64.RawStdEncoding
	}
	raw, err := encoding.AppendDecode(nil, text)
	return raw, err == nil
}

func parseDouble(text []byte, quoted bool) (float64, bool) {
	if quoted {
		switch string(text) {
		case "NaN":
			return math.NaN(), true
		case "Infinity":
			return math.Inf(1), true
		case "-Infinity":
			return math.Inf(-1), true
		}
	}
	if !isNumber(text) {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// isNumber tells whether text is a number of JSON, of which Go reads more.
func isNumber(text []byte) bool {
	s := jsontext.Scanner{Text: text}
	return len(text) > 0 && (text[0] == '-' || text[0]-'0' <= 9) && s.Literal() && s.At == len(text)
}

// parseWhole reads a whole number from that of an int64 to that of a uint64, also one that is
// written as 1e3 or 1.0.
func parseWhole(text []byte) (uint64, bool) {
	if !isNumber(text) {
		return 0, false
	}
	if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
		return n, true
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return uint64(n), true
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
		return 0, false
	}
	return uint64(int64(v)), true
}

func (p *transcoder) word(w string) bool {
	if len(p.Text)-p.At < len(w) || string(p.Text[p.At:p.At+len(w)]) != w {
		return false
	}
	p.At += len(w)
	return true
}
