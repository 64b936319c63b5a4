package reference

import (
	"encoding"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/shape"
)

// The patterns of what config.ParseDuration and config.ParseBytes accept.
const (
	durationPattern     = `^(0|([0-9.]+(ns|us|µs|ms|s|m|h|d|w))+)$`
	sizePattern         = `^[0-9.]+( ?([kKmMgGtT][iI]?)?[bB])?$`
	interpolatedPattern = `\$\{`
)

func ref(name string) config.Mapping {
	return config.Mapping{{Key: "$ref", Value: "#/$defs/" + name}}
}

// anyOf allows a value of one of several forms.
func anyOf(schemas ...any) config.Mapping {
	return config.Mapping{{Key: "anyOf", Value: schemas}}
}

// WriteSchema writes the configuration's JSON Schema, draft 2020-12. It accepts all that
// Decode accepts, ${…} in place of a number included; what only Validate knows it does not
// refuse.
func (b *Book) WriteSchema(w io.Writer) error {
	s := schemer{book: b, defs: config.Mapping{
		{Key: "interpolated", Value: config.Mapping{{Key: "type", Value: "string"}, {Key: "pattern", Value: interpolatedPattern}}},
		{Key: "text", Value: config.Mapping{{Key: "type", Value: []any{"string", "number", "boolean"}}}},
		{Key: "duration", Value: anyOf(config.Mapping{{Key: "type", Value: "string"}, {Key: "pattern", Value: durationPattern}}, config.Mapping{{Key: "const", Value: 0}}, ref("interpolated"))},
		{Key: "size", Value: anyOf(config.Mapping{{Key: "type", Value: "string"}, {Key: "pattern", Value: sizePattern}}, config.Mapping{{Key: "type", Value: "integer"}, {Key: "minimum", Value: 0}}, ref("interpolated"))},
	}}
	root := s.structure("", value(reflect.ValueOf(b.Root)))
	schema := append(config.Mapping{{Key: "$schema", Value: "https://json-schema.org/draft/2020-12/schema"}}, root...)
	schema = append(schema, config.Pair{Key: "$defs", Value: s.defs})
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(schema)
}

type schemer struct {
	book *Book
	defs config.Mapping
	open []reflect.Type
}

// structure returns the schema of a struct. extra are further properties.
func (s *schemer) structure(path string, v reflect.Value, extra ...config.Pair) config.Mapping {
	if slices.Contains(s.open, v.Type()) {
		return config.Mapping{{Key: "type", Value: "object"}}
	}
	s.open = append(s.open, v.Type())
	properties := config.Mapping(extra)
	if properties == nil {
		properties = config.Mapping{}
	}
	for _, f := range shape.Fields(v.Type()) {
		if f.Inline {
			continue
		}
		below := f.Key
		if path != "" {
			below = path + "." + f.Key
		}
		field := v.FieldByIndex(f.Index)
		schema := slices.Clone(s.value(below, value(field)))
		if comment := s.book.fieldComment(f); comment != "" {
			schema = append(schema, config.Pair{Key: "description", Value: comment})
		}
		if d, ok := defaultOf(field); ok {
			schema = append(schema, config.Pair{Key: "default", Value: d})
		}
		properties = append(properties, config.Pair{Key: f.Key, Value: schema})
	}
	s.open = s.open[:len(s.open)-1]
	return config.Mapping{
		{Key: "type", Value: []any{"object", "null"}},
		{Key: "properties", Value: properties},
		{Key: "additionalProperties", Value: false},
	}
}

// defaultOf returns what to show as a field's default. Structs show that of their fields,
// and an empty text or list is no default worth to show.
func defaultOf(v reflect.Value) (any, bool) {
	if v.Kind() == reflect.Pointer && v.IsNil() || v.Type() == nodeType || v.Type() == secretType {
		return nil, false
	}
	switch d := config.Plain(v.Interface(), nil).(type) {
	case nil:
		return nil, false
	case string:
		return d, d != ""
	case []any:
		return d, len(d) > 0
	case config.Mapping:
		return d, len(d) > 0 && v.Kind() == reflect.Map
	default:
		return d, true
	}
}

func (s *schemer) value(path string, v reflect.Value) config.Mapping {
	switch v.Type() {
	case nodeType:
		return s.variants(path)
	case bytesType:
		return ref("size")
	case durationType:
		return ref("duration")
	}
	if h, ok := v.Addr().Interface().(Schemer); ok {
		return s.custom(path, h.Schema()).(config.Mapping)
	}
	if e, ok := v.Interface().(config.Enum); ok {
		return anyOf(config.Mapping{{Key: "enum", Value: e.Values()}}, ref("interpolated"))
	}
	if isText(v) {
		return ref("text")
	}
	switch v.Kind() {
	case reflect.Struct:
		return s.structure(path, v)
	case reflect.Slice:
		item := s.value(path, fresh(v.Type().Elem()))
		list := config.Mapping{{Key: "type", Value: []any{"array", "null"}}, {Key: "items", Value: item}}
		if !maySingle(fresh(v.Type().Elem())) {
			return list
		}
		return anyOf(list, item) // one value is a list of one
	case reflect.Map:
		if _, ok := s.book.Variants[path]; ok && v.Type().Elem() == nodeType {
			return s.components(path)
		}
		return config.Mapping{
			{Key: "type", Value: []any{"object", "null"}},
			{Key: "additionalProperties", Value: s.value(path, fresh(v.Type().Elem()))},
		}
	case reflect.Bool:
		return anyOf(config.Mapping{{Key: "type", Value: "boolean"}}, ref("interpolated"))
	}
	return number(v)
}

// maySingle tells whether an element can be a single value.
func maySingle(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(Schemer); ok || isText(v) {
		return true
	}
	return v.Kind() != reflect.Map && v.Kind() != reflect.Struct
}

// isText tells whether v is written as text: a string, or what reads itself from one.
func isText(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	return v.Kind() == reflect.String
}

// number returns the schema of a number, with the range of whole ones that JSON can tell.
func number(v reflect.Value) config.Mapping {
	if v.CanFloat() {
		return anyOf(config.Mapping{{Key: "type", Value: "number"}}, ref("interpolated"))
	}
	whole := config.Mapping{{Key: "type", Value: "integer"}}
	bits := v.Type().Bits()
	switch {
	case v.CanUint():
		whole = append(whole, config.Pair{Key: "minimum", Value: 0})
		if bits < 64 {
			whole = append(whole, config.Pair{Key: "maximum", Value: uint64(math.MaxUint64) >> (64 - bits)})
		}
	case bits < 64:
		whole = append(whole,
			config.Pair{Key: "minimum", Value: int64(math.MinInt64) >> (64 - bits)},
			config.Pair{Key: "maximum", Value: int64(math.MaxInt64) >> (64 - bits)})
	}
	return anyOf(whole, ref("interpolated"))
}

// custom replaces the structs in the schema of a Schemer by their schemas, and orders keys.
func (s *schemer) custom(path string, schema any) any {
	switch c := schema.(type) {
	case map[string]any:
		m := config.Mapping{}
		for key, inner := range c {
			m = append(m, config.Pair{Key: key, Value: s.custom(path, inner)})
		}
		slices.SortFunc(m, func(a, b config.Pair) int { return strings.Compare(a.Key, b.Key) })
		return m
	case []any:
		list := make([]any, len(c))
		for i, inner := range c {
			list[i] = s.custom(path, inner)
		}
		return list
	}
	if v := reflect.ValueOf(schema); v.Kind() == reflect.Struct {
		return s.structure(path, value(v))
	}
	return schema
}

// components returns the schema of a map of components: each is of the type it gives, else
// of the type that its name is.
func (s *schemer) components(path string) config.Mapping {
	byType := s.variants(path)
	named := config.Mapping{}
	for _, variant := range s.book.Variants[path] {
		named = append(named, config.Pair{Key: variant.Type, Value: config.Mapping{
			{Key: "if", Value: config.Mapping{{Key: "type", Value: "object"}, {Key: "required", Value: []any{"type"}}}},
			{Key: "then", Value: byType},
			{Key: "else", Value: ref(path + "." + variant.Type)},
		}})
	}
	return config.Mapping{
		{Key: "type", Value: []any{"object", "null"}},
		{Key: "properties", Value: named},
		{Key: "additionalProperties", Value: byType},
	}
}

// variants returns the schema of one component that gives its type, and defines those of
// its types.
func (s *schemer) variants(path string) config.Mapping {
	variants := s.book.Variants[path]
	if len(variants) == 0 {
		return config.Mapping{}
	}
	var names, rules []any
	for _, variant := range variants {
		name := path + "." + variant.Type
		names = append(names, variant.Type)
		rules = append(rules, config.Mapping{
			{Key: "if", Value: config.Mapping{{Key: "required", Value: []any{"type"}}, {Key: "properties", Value: config.Mapping{{Key: "type", Value: config.Mapping{{Key: "const", Value: variant.Type}}}}}}},
			{Key: "then", Value: ref(name)},
		})
		s.define(name, variant)
	}
	choice := config.Mapping{
		{Key: "type", Value: "object"},
		{Key: "required", Value: []any{"type"}},
		{Key: "properties", Value: config.Mapping{{Key: "type", Value: config.Mapping{{Key: "enum", Value: names}}}}},
		{Key: "allOf", Value: rules},
	}
	if !slices.ContainsFunc(s.defs, func(p config.Pair) bool { return p.Key == path }) {
		s.defs = append(s.defs, config.Pair{Key: path, Value: choice})
	}
	return ref(path)
}

// define adds the settings of a component to the definitions.
func (s *schemer) define(name string, variant Variant) {
	if slices.ContainsFunc(s.defs, func(p config.Pair) bool { return p.Key == name }) {
		return
	}
	v := value(reflect.ValueOf(variant.Default))
	kind := config.Pair{Key: "type", Value: config.Mapping{{Key: "const", Value: variant.Type}, {Key: "description", Value: "The type of component."}}}
	schema := s.structure(name, v, kind)
	if comment := s.book.typeComment(v.Type()); comment != "" {
		schema = append(schema, config.Pair{Key: "description", Value: comment})
	}
	s.defs = append(s.defs, config.Pair{Key: name, Value: schema})
}
