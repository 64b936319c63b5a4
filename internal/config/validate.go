package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/config/shape"
)

// place is where a value is, or would be, in the file: below node, at the path rest.
type place struct {
	node *Node
	rest string
}

func (p place) key(key string) place {
	if p.rest == "" {
		if child := p.node.Get(key); child != nil {
			return place{node: child}
		}
	}
	return place{p.node, joinPath(p.rest, key)}
}

func (p place) item(i int) place {
	if items := p.node.Items(); p.rest == "" && i < len(items) {
		return place{node: items[i]}
	}
	return place{p.node, p.rest + "[" + strconv.Itoa(i) + "]"}
}

// resolve follows a Problem's key. A key of the file that has dots in it is found first.
func (p place) resolve(key string) place {
	for key != "" {
		if number, rest, ok := cutIndex(key); ok {
			p, key = p.item(number), rest
			continue
		}
		name := p.longestKey(key)
		if name == "" {
			name = key[:1+strings.IndexAny(key[1:]+".", ".[")]
		}
		p, key = p.key(name), strings.TrimPrefix(key[len(name):], ".")
	}
	return p
}

// longestKey returns the longest key of p's map that key begins with.
func (p place) longestKey(key string) string {
	longest := ""
	for _, name := range p.node.Keys() {
		rest, ok := strings.CutPrefix(key, name)
		if p.rest == "" && ok && len(name) > len(longest) && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			longest = name
		}
	}
	return longest
}

// cutIndex cuts "[3]" off the front of key.
func cutIndex(key string) (number int, rest string, ok bool) {
	digits, ok := strings.CutPrefix(key, "[")
	if !ok {
		return 0, key, false
	}
	digits, rest, ok = strings.Cut(digits, "]")
	number, err := strconv.Atoi(digits)
	return number, strings.TrimPrefix(rest, "."), ok && err == nil && number >= 0
}

// mistake returns a mistake about p, at its key.
func (p place) mistake(message string) Mistake {
	path := p.node.Path()
	if p.rest != "" && path != "" && p.rest[0] != '[' {
		path += "."
	}
	return Mistake{Position: p.node.keyAt, Path: path + p.rest, Message: p.node.vault.mask(message)}
}

// validate calls every Validate in v, those of nested values first.
func (d *decoder) validate(p place, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.validate(p, v.Elem())
		}
		return
	case reflect.Struct:
		if v.Type() == nodeType {
			return
		}
		for _, f := range shape.Fields(v.Type()) {
			d.validate(p.key(f.Key), v.FieldByIndex(f.Index))
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.validate(p.item(i), v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			value := reflect.New(v.Type().Elem()).Elem() // so that it has an address
			value.Set(v.MapIndex(key))
			d.validate(p.key(key.String()), value)
		}
	}
	if h, ok := v.Addr().Interface().(Validator); ok {
		if err := h.Validate(); err != nil {
			eachProblem(err, func(key, message string) {
				if at := p.resolve(key); !d.hides(at) {
					d.mistakes = append(d.mistakes, at.mistake(message))
				}
			})
		}
	}
}

// hides tells whether a problem at p would only follow from a mistake already reported: at
// p or below it, or, if p is not there, at what it would be in.
func (d *decoder) hides(p place) bool {
	path := p.node.Path()
	return path != "" && slices.ContainsFunc(d.failed, func(failed string) bool {
		below, ok := strings.CutPrefix(failed, path)
		return ok && (below == "" || p.rest == "" && (below[0] == '.' || below[0] == '['))
	})
}

// eachProblem calls f with the key and message of every problem in err.
func eachProblem(err error, f func(key, message string)) {
	var problem *Problem
	switch e := err.(type) {
	case *Problem:
		f(e.Key, e.Message)
		return
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			eachProblem(inner, f)
		}
		return
	}
	if errors.As(err, &problem) {
		f(problem.Key, strings.Replace(err.Error(), problem.Error(), problem.Message, 1))
		return
	}
	f("", err.Error())
}
