package config

import (
	"encoding"
	"errors"
	"reflect"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/config/shape"
)

// The types that have a form of their own.
var (
	nodeType     = reflect.TypeFor[Node]()
	bytesType    = reflect.TypeFor[Bytes]()
	secretType   = reflect.TypeFor[Secret]()
	durationType = reflect.TypeFor[time.Duration]()
)

// Decode fills into, a pointer to a value that holds its defaults, with what n gives, and
// returns every mistake, in order of position. What n does not name keeps its default; a
// list or map that it names replaces the default as a whole.
//
// Keys are those of the yaml tags, `yaml:"name"`; an embedded struct with `yaml:",inline"`
// lends its keys. Fields may be text, booleans, numbers, time.Duration, Bytes, Secret,
// Node, structs, slices, maps with text keys, pointers to these, and types that implement
// Unmarshaler or encoding.TextUnmarshaler; any other type is a fault of the program and
// panics. A single value where a list is wanted is a list of one. A key without a value
// stands for an empty map or list; where text or a number is wanted it is a mistake.
//
// At last Validate of every Validator in into is called, and its problems are placed at
// the key that they name, or at the nearest one that is there. Those about a value that
// could not be decoded are left out.
func Decode(n *Node, into any) Mistakes {
	if n == nil {
		n = &Node{}
	}
	d := &decoder{}
	v := reflect.ValueOf(into).Elem()
	d.value(n, v)
	d.validate(place{node: n}, v)
	return d.mistakes.Sort()
}

type decoder struct {
	mistakes Mistakes
	// failed are the paths of values that are not what the file says.
	failed []string
}

// fail reports that n cannot be decoded.
func (d *decoder) fail(n *Node, message string) {
	d.add(n.Mistake(message))
}

func (d *decoder) add(m Mistake) {
	d.mistakes = append(d.mistakes, m)
	d.failed = append(d.failed, m.Path)
}

// value decodes n into v, which can be set.
func (d *decoder) value(n *Node, v reflect.Value) {
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(*n))
		return
	}
	if n.broken {
		d.failed = append(d.failed, n.Path())
		return
	}
	switch v.Type() {
	case bytesType, secretType, durationType:
		d.scalar(n, v)
		return
	}
	if d.hook(n, v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		d.pointer(n, v)
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Slice:
		d.list(n, v)
	case reflect.Map:
		d.table(n, v)
	default:
		d.scalar(n, v)
	}
}

// hook lets v decode itself, if it can.
func (d *decoder) hook(n *Node, v reflect.Value) bool {
	switch h := v.Addr().Interface().(type) {
	case Unmarshaler:
		if err := h.UnmarshalNode(n); err != nil {
			d.failing(n, err)
		}
		return true
	case encoding.TextUnmarshaler:
		if d.isScalar(n, "a single value") {
			if err := h.UnmarshalText([]byte(n.text)); err != nil {
				d.fail(n, err.Error())
			}
		}
		return true
	}
	return false
}

// failing places the error of an UnmarshalNode.
func (d *decoder) failing(n *Node, err error) {
	var inner Mistakes
	if errors.As(err, &inner) {
		for _, m := range inner {
			d.add(m)
		}
		return
	}
	eachProblem(err, func(key, message string) {
		at := place{node: n}.resolve(key)
		m := at.mistake(message)
		if at.node == n {
			m.Position = n.at
		}
		d.add(m)
	})
}

func (d *decoder) pointer(n *Node, v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
		setDefaults(v.Elem())
	}
	d.value(n, v.Elem())
}

func setDefaults(v reflect.Value) {
	if h, ok := v.Addr().Interface().(Defaulter); ok {
		h.SetDefaults()
	}
}

func (d *decoder) structure(n *Node, v reflect.Value) {
	if n.kind == Null {
		return
	}
	fields := shape.Fields(v.Type())
	known := make([]string, len(fields), len(fields)+len(n.taken))
	byKey := make(map[string]shape.Field, len(fields))
	for i, f := range fields {
		known[i], byKey[f.Key] = f.Key, f
	}
	if n.kind != Map {
		d.fail(n, "want keys with values, as in "+example(known)+", not "+n.kind.name())
		return
	}
	for _, item := range n.items {
		if f, ok := byKey[item.key]; ok {
			d.value(item, v.FieldByIndex(f.Index))
			continue
		}
		m := item.Mistake("unknown key" + Suggest(item.key, append(known, n.taken...)))
		m.Position = item.keyAt
		d.mistakes = append(d.mistakes, m)
	}
}

func example(known []string) string {
	if len(known) == 0 {
		return "{}"
	}
	return `"` + known[0] + `: …"`
}

func (d *decoder) list(n *Node, v reflect.Value) {
	if n.kind == Map {
		d.fail(n, `want a list, not a map of keys: begin each of its entries with "- "`)
		return
	}
	items := n.Items()
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		setDefaults(list.Index(i))
		d.value(item, list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) table(n *Node, v reflect.Value) {
	if n.kind != Map && n.kind != Null {
		d.fail(n, `want keys with values, as in "name: …", not `+n.kind.name())
		return
	}
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		panic("config: " + t.String() + " cannot be decoded: keys are text")
	}
	table := reflect.MakeMapWithSize(t, len(n.items))
	for _, item := range n.items {
		value := reflect.New(t.Elem()).Elem()
		setDefaults(value)
		d.value(item, value)
		table.SetMapIndex(reflect.ValueOf(item.key).Convert(t.Key()), value)
	}
	v.Set(table)
}

// isScalar reports n unless it is a scalar. want is what is wanted instead.
func (d *decoder) isScalar(n *Node, want string) bool {
	switch n.kind {
	case Scalar:
		return true
	case Null:
		d.fail(n, "no value: give "+want+", or remove the key")
	default:
		d.fail(n, "want "+want+", not "+n.kind.name())
	}
	return false
}

// quoteList joins the values that may be given, for messages.
func quoteList(values []string) string {
	text := ""
	for i, v := range values {
		switch {
		case i > 0 && i == len(values)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += strconv.Quote(v)
	}
	return text
}
