// Package shape tells which keys a configuration struct has. It is shared by the decoder
// and printer of package config and by the generator of its reference, so that the three
// cannot disagree.
package shape

import (
	"reflect"
	"slices"
	"strings"
)

// Field is one key of a struct.
type Field struct {
	Key       string
	Index     []int // for reflect's FieldByIndex
	Type      reflect.Type
	OmitEmpty bool
	// Inline is set for an inlined interface, whose keys depend on its value.
	Inline bool
	// Owner is the struct that declares the field and Name its Go name: where its
	// comment is found.
	Owner reflect.Type
	Name  string
}

// Fields returns the keys of struct type t in order of declaration, those of inlined
// structs in their place. A key that the struct itself declares replaces an inlined one.
// Fields without a yaml tag, or with "-", are no configuration.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok || tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		if options == "inline" && f.Type.Kind() == reflect.Struct {
			for _, inner := range Fields(f.Type) {
				if inner.Index = append([]int{i}, inner.Index...); find(fields, inner.Key) < 0 {
					fields = append(fields, inner)
				}
			}
			continue
		}
		if key == "" && options != "inline" {
			panic("config: " + t.String() + "." + f.Name + " has a yaml tag without a key")
		}
		field := Field{
			Key: key, Index: []int{i}, Type: f.Type, OmitEmpty: options == "omitempty",
			Inline: options == "inline", Owner: t, Name: f.Name,
		}
		if at := find(fields, key); at >= 0 && !field.Inline {
			fields[at] = field
			continue
		}
		fields = append(fields, field)
	}
	return fields
}

func find(fields []Field, key string) int {
	return slices.IndexFunc(fields, func(f Field) bool { return f.Key == key })
}
