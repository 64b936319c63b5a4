// Package reference makes the reference manual and the JSON Schema of a configuration from
// the structs that it is decoded into: their yaml tags, defaults and field comments.
//
//	book := &reference.Book{Root: agent.Default(), Comments: comments,
//		Variants: map[string][]reference.Variant{"sources": {{Type: "file", Default: file.Default()}}}}
//	err := book.WriteMarkdown(w)
//
// Comments come from Comments, or from a file that holds what it returned, since a binary
// has no sources. The output depends on its input alone, so that a test can compare it with
// a committed file.
package reference

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/shape"
)

// Book describes a configuration.
type Book struct {
	// Root is the struct of the whole configuration, with its defaults.
	Root any
	// Variants are the types of component that a field of type config.Node, or a map or
	// list of these, may hold, by the path of the field: "sources".
	Variants map[string][]Variant
	// Comments are those of the structs, as Comments returns them.
	Comments map[string]string
}

// Variant is a type of component.
type Variant struct {
	Type    string
	Default any // its settings, a struct with its defaults
}

// Schemer is a type with a form of its own. Schema returns its JSON Schema; a struct value
// in it stands for the schema of that struct. Its "title" is what the manual shows as type.
type Schemer interface{ Schema() map[string]any }

var (
	nodeType     = reflect.TypeFor[config.Node]()
	bytesType    = reflect.TypeFor[config.Bytes]()
	secretType   = reflect.TypeFor[config.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
)

// value returns v with an address, so that the methods of its pointer are found, and
// without pointers around it; nil pointers become fresh values.
func value(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return fresh(v.Type().Elem())
		}
		v = v.Elem()
	}
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

// fresh returns a value as Decode makes it for an element.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	if d, ok := v.Addr().Interface().(config.Defaulter); ok {
		d.SetDefaults()
	}
	return value(v)
}

func (b *Book) fieldComment(f shape.Field) string {
	return b.Comments[f.Owner.PkgPath()+"."+f.Owner.Name()+"."+f.Name]
}

func (b *Book) typeComment(t reflect.Type) string {
	if t.PkgPath() == "" {
		return ""
	}
	return b.Comments[t.PkgPath()+"."+t.Name()]
}

// Missing returns the fields without a comment, as "import/path.Type.Field", sorted.
func (b *Book) Missing() []string {
	var missing []string
	for _, s := range b.sections() {
		for _, f := range shape.Fields(s.value.Type()) {
			if b.fieldComment(f) == "" {
				missing = append(missing, f.Owner.PkgPath()+"."+f.Owner.Name()+"."+f.Name)
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// Used returns those of b's Comments that the manual and the schema show. The others are of
// names that no configuration has.
func (b *Book) Used() map[string]string {
	used := map[string]string{}
	keep := func(key string) {
		if text, ok := b.Comments[key]; ok {
			used[key] = text
		}
	}
	for _, s := range b.sections() {
		t := s.value.Type()
		keep(t.PkgPath() + "." + t.Name())
		for _, f := range shape.Fields(t) {
			keep(f.Owner.PkgPath() + "." + f.Owner.Name() + "." + f.Name)
		}
	}
	return used
}

// section is a struct of the configuration.
type section struct {
	path    string // "" for the root
	variant string // type of component, where path can hold several
	value   reflect.Value
}

func (s section) title() string {
	switch {
	case s.path == "":
		return "Top level"
	case s.variant != "":
		return "`" + s.path + "` of type `" + s.variant + "`"
	}
	return "`" + s.path + "`"
}

// anchor is the name by which a Markdown link finds the section's title.
func (s section) anchor() string {
	var b strings.Builder
	for _, r := range strings.ToLower(s.title()) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// sections returns all structs in the order in which they are reached.
func (b *Book) sections() []section {
	w := walker{book: b}
	w.structure(section{value: value(reflect.ValueOf(b.Root))})
	return w.found
}

type walker struct {
	book  *Book
	found []section
	open  []reflect.Type // structs that contain the one at hand
}

func (w *walker) structure(s section) {
	t := s.value.Type()
	if slices.Contains(w.open, t) {
		return
	}
	w.found = append(w.found, s)
	w.open = append(w.open, t)
	for _, f := range shape.Fields(t) {
		if f.Inline {
			continue
		}
		path := f.Key
		if s.path != "" {
			path = s.path + "." + f.Key
		}
		w.value(path, path, value(s.value.FieldByIndex(f.Index)))
	}
	w.open = w.open[:len(w.open)-1]
}

// value goes on into v. path is where it is, shown how the manual names it.
func (w *walker) value(path, shown string, v reflect.Value) {
	if v.Type() == nodeType {
		for _, variant := range w.book.Variants[path] {
			w.structure(section{shown, variant.Type, value(reflect.ValueOf(variant.Default))})
		}
		return
	}
	if h, ok := v.Addr().Interface().(Schemer); ok {
		for _, s := range structsIn(h.Schema()) {
			w.structure(section{path: shown, value: s})
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if isText(v) {
			return
		}
		w.structure(section{path: shown, value: v})
	case reflect.Slice:
		w.value(path, shown+"[]", fresh(v.Type().Elem()))
	case reflect.Map:
		w.value(path, shown+".<name>", fresh(v.Type().Elem()))
	}
}

// structsIn returns the structs in a schema of a Schemer, in order of its keys.
func structsIn(schema any) []reflect.Value {
	switch s := schema.(type) {
	case map[string]any:
		keys := make([]string, 0, len(s))
		for key := range s {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		var all []reflect.Value
		for _, key := range keys {
			all = append(all, structsIn(s[key])...)
		}
		return all
	case []any:
		var all []reflect.Value
		for _, item := range s {
			all = append(all, structsIn(item)...)
		}
		return all
	}
	if v := reflect.ValueOf(schema); v.Kind() == reflect.Struct {
		return []reflect.Value{value(v)}
	}
	return nil
}
