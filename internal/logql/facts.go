package logql

import (
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// facts is what the index knows of the labels of a block's records.
type facts struct {
	labels record.Labels // of the stream
	level  string        // the name of the label that holds the level
	stderr string        // that of the label which marks stderr
	gap    string        // that of the label which gap records have
	head   *archive.Head
	view   *archive.View
	block  int
	// known are the stored fields of the block, once any of them was asked for.
	known  archive.Fields
	loaded bool
	// names are the labels of stored fields, by the field.
	names map[string]string
}

func newFacts(labels record.Labels) *facts {
	f := &facts{labels: labels, names: map[string]string{}}
	f.level, f.stderr, f.gap = f.label(syntax.LevelLabel), f.label("stream"), f.label("gap")
	return f
}

// of makes f that of another block of the stream.
func (f *facts) of(t task) {
	f.head, f.view, f.block = t.head, t.src.view, t.block
	f.known, f.loaded = archive.Fields{}, false
}

// fields returns what is known of the block's stored fields. They may have to be read.
func (f *facts) fields() *archive.Fields {
	if !f.loaded {
		f.known, f.loaded = f.view.Fields(f.block), true
	}
	return &f.known
}

// label returns the name that something that came with a record gets.
func (f *facts) label(name string) string {
	if f.labels.Get(name) != "" {
		return name + syntax.ExtractedSuffix
	}
	return name
}

func (f *facts) fieldLabel(field string) string {
	name, ok := f.names[field]
	if !ok {
		name = f.label(syntax.SanitizeName(plain(field)))
		f.names[field] = name
	}
	return name
}

// share is how many records of a block have a value of a label.
type share struct {
	value   string
	records int
}

// shares appends how the records of the block, gap records left out, are divided by the
// values of a label; ok is false when only reading tells. A value is there once.
func (f *facts) shares(dst []share, name string) (list []share, ok bool) {
	h := f.head
	if v := f.labels.Get(name); v != "" {
		return append(dst, share{v, h.Records}), true
	}
	switch name {
	case syntax.ErrorLabel, syntax.ErrorDetailsLabel:
		return append(dst, share{"", h.Records}), true
	case f.level:
		for l, n := range h.Levels {
			if n > 0 {
				dst = append(dst, share{record.Level(l).String(), n})
			}
		}
		return dst, true
	case f.stderr:
		return dst, false
	}
	fields := f.fields()
	if fields.Many {
		return dst, false
	}
	for _, field := range fields.Open {
		if f.fieldLabel(field) == name {
			return dst, false
		}
	}
	rest, found := h.Records, false
	for i := range fields.Facets {
		if f.fieldLabel(fields.Facets[i].Name) != name {
			continue
		}
		if found {
			return dst, false // two fields have the same label
		}
		found = true
		for _, v := range fields.Facets[i].Values {
			dst = append(dst, share{plain(v.Value), v.Records})
			rest -= v.Records
		}
	}
	if rest > 0 {
		dst = append(dst, share{"", rest})
	}
	return dst, true
}

// plain returns the text of what is in canonical escaping.
func plain(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return string(kept.Unescape(nil, []byte(text)))
}

// stored tells whether a record of the block may have a stored field with that label.
func (f *facts) stored(name string) bool {
	is := func(field string) bool { return f.fieldLabel(field) == name }
	fields := f.fields()
	return fields.Many || slices.ContainsFunc(fields.Open, is) ||
		slices.ContainsFunc(fields.Facets, func(facet archive.Facet) bool { return is(facet.Name) })
}

// Values returns which values a label can have in the block, "" for records without it;
// known is false if they can be any.
func (f *facts) Values(name string) (values []string, known bool) {
	if f.head.Gaps > 0 && f.labels.Get(name) == "" && !syntax.IsErrorLabel(name) {
		if name == f.gap {
			return nil, false
		}
		// Gap records have no stored fields, and a level of their own.
		values = append(values, "")
		if name == f.level {
			values[0] = record.LevelWarn.String()
		}
	}
	if name == f.stderr && !f.stored(name) {
		return append(values, "", "stderr"), true
	}
	list, ok := f.shares(nil, name)
	if !ok {
		return nil, false
	}
	for _, s := range list {
		values = append(values, s.value)
	}
	return values, true
}
