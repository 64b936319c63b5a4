package otlp

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/protobuf"
)

// Value is an AnyValue as it is on the wire; without bytes it is no value. Those that a
// Decoder gives are known to be whole.
type Value []byte

// The fields of AnyValue, which are its kinds.
const (
	valueText   = 1
	valueBool   = 2
	valueInt    = 3
	valueDouble = 4
	valueList   = 5
	valueMap    = 6
	valueBytes  = 7

	listItems = 1 // of an ArrayValue and of a KeyValueList
)

// check goes through a value, to see that all of it is there and that it is not too deep.
func check(r protobuf.Reader, depth int) error {
	for r.Next() {
		if r.Number != valueList && r.Number != valueMap {
			continue
		}
		if depth == 0 {
			return r.Wrong("values within values more than 32 deep")
		}
		items := r.Message()
		for items.Next() {
			if items.Number != listItems {
				continue
			}
			item := items.Message()
			if r.Number == valueList {
				if err := check(item, depth-1); err != nil {
					return err
				}
				continue
			}
			for item.Next() {
				if item.Number != pairValue {
					continue
				}
				if err := check(item.Message(), depth-1); err != nil {
					return err
				}
			}
			if err := item.Err(); err != nil {
				return err
			}
		}
		if err := items.Err(); err != nil {
			return err
		}
	}
	return r.Err()
}

// last returns a reader at the kind that v has: of several the last.
func (v Value) last() (r protobuf.Reader, ok bool) {
	for all := protobuf.NewReader(v); all.Next(); {
		if all.Number >= valueText && all.Number <= valueBytes {
			r, ok = all, true
		}
	}
	return r, ok
}

// isText tells whether v is a short text and nothing else, as nearly all are.
func (v Value) isText() bool {
	return len(v) > 1 && v[0] == valueText<<3|byte(protobuf.Sized) && int(v[1]) == len(v)-2 && v[1] < 0x80
}

// Text returns the text of v, a part of it, if it is one.
func (v Value) Text() ([]byte, bool) {
	if v.isText() {
		return v[2:], true
	}
	r, ok := v.last()
	if !ok || r.Number != valueText {
		return nil, false
	}
	return r.Bytes, true
}

// Plain returns v as text, which is a part of v or of buf, and buf. Lists and maps become
// JSON, bytes base64.
func (v Value) Plain(buf []byte) (text, rest []byte) {
	if text, ok := v.Text(); ok {
		return text, buf
	}
	r, ok := v.last()
	if !ok {
		return nil, buf
	}
	from := len(buf)
	switch r.Number {
	case valueDouble:
		buf = strconv.AppendFloat(buf, r.Float(), 'g', -1, 64)
	case valueBytes:
		buf = base64.StdEncoding.AppendEncode(buf, r.Bytes)
	default:
		buf = appendKind(buf, &r, maxDepth)
	}
	return buf[from:len(buf):len(buf)], buf
}

// AppendJSON appends v as JSON: bytes as base64, numbers that JSON does not have as text.
func (v Value) AppendJSON(dst []byte) []byte { return v.appendJSON(dst, maxDepth+1) }

func (v Value) appendJSON(dst []byte, depth int) []byte {
	r, ok := v.last()
	if !ok || depth == 0 {
		return append(dst, "null"...)
	}
	return appendKind(dst, &r, depth)
}

func appendKind(dst []byte, r *protobuf.Reader, depth int) []byte {
	switch r.Number {
	case valueText:
		return appendText(dst, r.Bytes)
	case valueBool:
		return strconv.AppendBool(dst, r.Value != 0)
	case valueInt:
		return strconv.AppendInt(dst, int64(r.Value), 10)
	case valueDouble:
		return appendDouble(dst, r.Float())
	case valueBytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), r.Bytes)
		return append(dst, '"')
	case valueList:
		return appendList(dst, r.Message(), depth)
	}
	return appendMap(dst, r.Message(), depth)
}

func appendList(dst []byte, items protobuf.Reader, depth int) []byte {
	dst = append(dst, '[')
	for n := 0; items.Next(); {
		if items.Number != listItems {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = Value(items.Bytes).appendJSON(dst, depth-1)
	}
	return append(dst, ']')
}

func appendMap(dst []byte, items protobuf.Reader, depth int) []byte {
	dst = append(dst, '{')
	for n := 0; items.Next(); {
		if items.Number != listItems {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		var key, value []byte
		for pair := items.Message(); pair.Next(); {
			switch pair.Number {
			case pairKey:
				key = pair.Bytes
			case pairValue:
				value = pair.Bytes
			}
		}
		dst = append(appendText(dst, key), ':')
		dst = Value(value).appendJSON(dst, depth-1)
	}
	return append(dst, '}')
}

func appendDouble(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendText appends a string of JSON.
func appendText(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(text[i:])
			dst = utf8.AppendRune(dst, r) // what is none becomes U+FFFD
			i += n - 1
		}
	}
	return append(dst, '"')
}
