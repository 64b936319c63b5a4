package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/shape"
)

// WriteMarkdown writes the reference manual: a section for each struct, with a table of its
// keys. A title and an introduction are the caller's.
func (b *Book) WriteMarkdown(w io.Writer) error {
	var out bytes.Buffer
	sections := b.sections()
	for i, s := range sections {
		if i > 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "## %s\n\n", s.title())
		if about := b.typeComment(s.value.Type()); about != "" {
			out.WriteString(about + "\n\n")
		}
		fields := shape.Fields(s.value.Type())
		if len(fields) == 0 {
			out.WriteString("It has no keys.\n")
			continue
		}
		out.WriteString("| key | type | default | description |\n|---|---|---|---|\n")
		for _, f := range fields {
			field := s.value.FieldByIndex(f.Index)
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Key, cell(b.typeName(s, f, sections)), cell(defaultText(field)), cell(b.fieldComment(f)))
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// cell makes text fit a table.
func cell(text string) string {
	parts := strings.Split(strings.Join(strings.Fields(text), " "), "`")
	for i := 0; i < len(parts); i += 2 { // what is between backquotes is shown as it is
		parts[i] = strings.ReplaceAll(parts[i], "<", "&lt;")
	}
	return strings.ReplaceAll(strings.Join(parts, "`"), "|", `\|`)
}

func defaultText(v reflect.Value) string {
	d, ok := defaultOf(v)
	if !ok {
		return ""
	}
	switch d.(type) {
	case []any, config.Mapping:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if e.Encode(d) != nil {
			return ""
		}
		return "`" + strings.TrimSpace(b.String()) + "`"
	}
	return fmt.Sprintf("`%v`", d)
}

// typeName names the type of a field, with a link to its section where it has one.
func (b *Book) typeName(s section, f shape.Field, sections []section) string {
	path := f.Key
	if s.path != "" {
		path = s.path + "." + f.Key
	}
	name := typeWord(value(s.value.FieldByIndex(f.Index)))
	for _, other := range sections {
		rest, ok := strings.CutPrefix(other.path, path)
		if ok && (rest == "" || rest == "[]" || rest == ".<name>") {
			return "[" + name + "](#" + other.anchor() + ")"
		}
	}
	return name
}

func typeWord(v reflect.Value) string {
	switch v.Type() {
	case nodeType:
		return "component"
	case bytesType:
		return "size"
	case durationType:
		return "duration"
	case secretType:
		return "secret text"
	}
	if h, ok := v.Addr().Interface().(Schemer); ok {
		if title, ok := h.Schema()["title"].(string); ok {
			return title
		}
		return "see description"
	}
	if e, ok := v.Interface().(config.Enum); ok {
		return "`" + strings.Join(e.Values(), "`, `") + "`"
	}
	if isText(v) {
		return "text"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Struct:
		return "keys"
	case reflect.Slice:
		return "list of " + typeWord(fresh(v.Type().Elem()))
	case reflect.Map:
		return "map of " + typeWord(fresh(v.Type().Elem()))
	}
	if v.CanFloat() {
		return "number"
	}
	return "whole number"
}
