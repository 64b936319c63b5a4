package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config/shape"
)

// Pair is a key with its value.
type Pair struct {
	Key   string
	Value any
}

// Mapping is a map that keeps the order of its keys, in YAML and JSON.
type Mapping []Pair

// MarshalJSON returns m as an object.
func (m Mapping) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, p := range m {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := marshalJSON(p.Key)
		if err != nil {
			return nil, err
		}
		value, err := marshalJSON(p.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// marshalJSON is json.Marshal without the escapes for HTML, which make patterns unreadable.
func marshalJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// Plain returns v, a configuration value, as nil, bool, int64, uint64, float64, string,
// []any and Mapping, ready for WriteYAML or JSON. Structs keep the order of their fields,
// maps are sorted, durations and sizes take their short form, and secrets are masked: those
// in a Secret, and all text that came into t from a ${file:…}; t may be nil. Everything is
// shown, that Load and Decode of it give v again; only nil pointers, and zero values of
// fields tagged omitempty, are left out.
//
// An interface in v is shown as what it holds, so that a struct with fields
// `yaml:"type"` and `yaml:",inline"` shows a component with its type.
func Plain(v any, t *Tree) any {
	p := printer{tree: t}
	r := reflect.ValueOf(v)
	if !r.IsValid() {
		return nil
	}
	return p.plain(addressable(r))
}

// addressable returns a copy of v that has an address, for methods of its pointer.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

type printer struct {
	tree *Tree
}

func (p printer) plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case Secret:
		return x.String()
	case Bytes:
		return p.size(x)
	case time.Duration:
		return FormatDuration(x)
	case Node:
		return p.node(&x)
	}
	switch h := v.Addr().Interface().(type) {
	case Marshaler:
		inner := reflect.ValueOf(h.MarshalNode())
		if !inner.IsValid() {
			return nil
		}
		return p.plain(addressable(inner))
	case encoding.TextMarshaler:
		if text, err := h.MarshalText(); err == nil {
			return p.tree.Mask(string(text))
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return p.plain(addressable(v.Elem()))
	case reflect.Struct:
		return p.structure(v)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = p.plain(v.Index(i))
		}
		return list
	case reflect.Map:
		return p.table(v)
	}
	return p.scalar(v)
}

// size returns a size without a unit as a number.
func (p printer) size(b Bytes) any {
	text := b.String()
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text
}

func (p printer) scalar(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.String:
		return p.tree.Mask(v.String())
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	}
	panic("config: " + v.Type().String() + " cannot be printed")
}

func (p printer) structure(v reflect.Value) Mapping {
	m := Mapping{}
	for _, f := range shape.Fields(v.Type()) {
		field := v.FieldByIndex(f.Index)
		if field.Kind() == reflect.Pointer && field.IsNil() || f.OmitEmpty && field.IsZero() {
			continue
		}
		value := p.plain(field)
		if f.Inline {
			inner, _ := value.(Mapping)
			m = append(m, inner...)
			continue
		}
		m = append(m, Pair{f.Key, value})
	}
	return m
}

func (p printer) table(v reflect.Value) Mapping {
	m := Mapping{}
	for _, key := range v.MapKeys() {
		m = append(m, Pair{key.String(), p.plain(addressable(v.MapIndex(key)))})
	}
	slices.SortFunc(m, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return m
}

// node shows what was not decoded as it was given.
func (p printer) node(n *Node) any {
	switch n.kind {
	case Scalar:
		return p.tree.Mask(n.text)
	case List:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = p.node(item)
		}
		return list
	case Map:
		m := Mapping{}
		for _, item := range n.items {
			m = append(m, Pair{item.key, p.node(item)})
		}
		return m
	}
	return nil
}

// WriteYAML writes what Plain returned as YAML that Load reads back to the same.
func WriteYAML(w io.Writer, plain any) error {
	var b bytes.Buffer
	writeBlock(&b, plain, 0)
	_, err := w.Write(b.Bytes())
	return err
}

func writeBlock(b *bytes.Buffer, v any, indent int) {
	switch v := v.(type) {
	case Mapping:
		for i, p := range v {
			if i > 0 {
				b.WriteString(strings.Repeat(" ", indent))
			}
			b.WriteString(quoteYAML(p.Key, false))
			b.WriteByte(':')
			writeValue(b, p.Value, indent+2)
		}
	case []any:
		for i, item := range v {
			if i > 0 {
				b.WriteString(strings.Repeat(" ", indent))
			}
			b.WriteByte('-')
			if m, ok := item.(Mapping); ok && len(m) > 0 {
				b.WriteByte(' ')
				writeBlock(b, m, indent+2)
				continue
			}
			writeValue(b, item, indent+2)
		}
	default:
		b.WriteString(scalarYAML(v) + "\n")
	}
}

// writeValue writes what stands behind a colon or dash, and the end of the line.
func writeValue(b *bytes.Buffer, v any, indent int) {
	switch v := v.(type) {
	case Mapping:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
	case []any:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
	default:
		b.WriteString(" " + scalarYAML(v) + "\n")
		return
	}
	b.WriteString("\n" + strings.Repeat(" ", indent))
	writeBlock(b, v, indent)
}

func scalarYAML(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		if math.Trunc(v) == v && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return quoteYAML(v, true)
	}
	return "null"
}

// quoteYAML returns text as it stands if it can only be read as itself, else in double
// quotes. A value is interpolated when read, so its "${" are escaped; a key is not.
func quoteYAML(text string, value bool) string {
	if value {
		text = escapeInterpolation(text)
	}
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0x2028 || r == 0x2029 || r == 0x85:
			b.WriteString(`\u` + strconv.FormatInt(int64(r)+0x10000, 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// escapeInterpolation doubles each run of $ before a {.
func escapeInterpolation(text string) string {
	var b strings.Builder
	for {
		brace := strings.Index(text, "${")
		if brace < 0 {
			b.WriteString(text)
			return b.String()
		}
		run := brace
		for run > 0 && text[run-1] == '$' {
			run--
		}
		b.WriteString(text[:run])
		b.WriteString(strings.Repeat("$", 2*(brace-run+1)))
		b.WriteByte('{')
		text = text[brace+2:]
	}
}

// isPlain tells whether text can stand without quotes and be read as text: it begins with a
// letter, "/" or a number with a unit, has no sign that means something, and is no word
// that YAML, in any version, reads as something else.
func isPlain(text string) bool {
	if text == "" || !isLetter(text[0]) && text[0] != '/' && !isQuantity(text) {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if !isLetter(c) && !isDigit(c) && !strings.ContainsRune("_-./+@%", rune(c)) {
			return false
		}
	}
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return true
}

// isQuantity tells whether text is a duration or size with its unit.
func isQuantity(text string) bool {
	if !isDigit(text[0]) || !isLetter(text[len(text)-1]) {
		return false
	}
	_, err := ParseDuration(text)
	_, sizeErr := ParseBytes(text)
	return err == nil || sizeErr == nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
