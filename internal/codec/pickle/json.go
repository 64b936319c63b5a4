package pickle

import (
	"math"
	"strconv"
)

// maxDepth is how deep the collections of a pickle may be nested to be written out.
const maxDepth = 100

// AppendJSON appends the value as JSON without white space, as Python's json.dumps has it:
// NaN, Infinity and -Infinity are bare, keys that are no texts are written as texts. Beyond
// what json.dumps takes, a Set is a list, bytes are a text, and an Object is
//
//	{"class":"shop.Order","args":[1],"state":{"total":2.5},"list":[],"dict":{}}
//
// without the parts that it has not. A collection within itself is "...". It fails with an
// Error if more than limit bytes were to be appended, if it is nested too deep, or if what was
// written of the pickle takes too much work; then dst is as it was.
func (v Value) AppendJSON(dst []byte, limit int) ([]byte, error) {
	if v.d == nil {
		return append(dst, "null"...), nil
	}
	w := writer{d: v.d, dst: dst, most: len(dst) + limit}
	w.value(v.n, maxDepth)
	w.within()
	if w.reason != "" {
		return dst, &Error{Offset: len(v.d.src), Reason: w.reason}
	}
	return w.dst, nil
}

// writer is one AppendJSON. Once there is a reason to fail it writes nothing but what closes
// what is open.
type writer struct {
	d      *Decoder
	dst    []byte
	most   int
	reason string
}

// within tells whether there is no reason to fail.
func (w *writer) within() bool {
	if w.reason == "" && len(w.dst) > w.most {
		w.reason = TooLong
	}
	return w.reason == ""
}

// may tells whether a text of n bytes can be written, and counts what that takes. Each of its
// bytes becomes one at least, and six at most.
func (w *writer) may(n int) bool {
	switch {
	case !w.within():
		return false
	case n > w.most-len(w.dst):
		w.reason = TooLong
	case !w.d.afford(n):
		w.reason = TooMuch
	}
	return w.reason == ""
}

func (w *writer) value(n uint32, depth int) {
	x := &w.d.nodes[n]
	switch {
	case !w.may(len(w.d.bytes(n))):
		return
	case !x.kind.hasItems():
		w.dst = w.d.appendScalar(w.dst, n)
		return
	case x.open:
		w.dst = append(w.dst, `"..."`...)
		return
	case depth == 0:
		w.reason = TooDeep
		return
	}
	x.open = true
	switch x.kind {
	case Dict:
		w.dict(n, depth-1)
	case Object:
		w.object(n, depth-1)
	default:
		w.list(n, depth-1)
	}
	w.d.nodes[n].open = false
}

// appendScalar appends a value without items.
func (d *Decoder) appendScalar(dst []byte, n uint32) []byte {
	switch x := &d.nodes[n]; x.kind {
	case None:
		return append(dst, "null"...)
	case Bool:
		return strconv.AppendBool(dst, x.value != 0)
	case Int:
		return strconv.AppendInt(dst, int64(x.value), 10)
	case Long:
		return append(dst, d.bytes(n)...)
	case Float:
		return AppendFloat(dst, math.Float64frombits(x.value))
	case Class:
		return appendString(dst, simpleName(d.bytes(n)))
	}
	return appendString(dst, d.bytes(n))
}

func (w *writer) list(n uint32, depth int) {
	w.dst = append(w.dst, '[')
	first := true
	w.d.each(n, func(item uint32) bool {
		if !first {
			w.dst = append(w.dst, ',')
		}
		first = false
		w.value(item, depth)
		return w.reason == ""
	})
	w.dst = append(w.dst, ']')
}

func (w *writer) dict(n uint32, depth int) {
	w.dst = append(w.dst, '{')
	first := true
	w.d.eachPair(n, func(key, value uint32) bool {
		if !first {
			w.dst = append(w.dst, ',')
		}
		first = false
		w.key(key, depth)
		w.dst = append(w.dst, ':')
		w.value(value, depth)
		return w.reason == ""
	})
	w.dst = append(w.dst, '}')
}

// key writes a key as a text: of what is no text, its JSON. Of keys in keys, each level
// doubles the escapes of those within.
func (w *writer) key(n uint32, depth int) {
	if k := w.d.nodes[n].kind; k == Text || k == Bytes || k == Class {
		w.value(n, depth)
		return
	}
	from := len(w.dst)
	w.value(n, depth)
	end := len(w.dst)
	if !w.within() {
		return
	}
	if !w.d.afford(end - from) {
		w.reason = TooMuch
		return
	}
	w.dst = appendString(w.dst, w.dst[from:end])
	w.dst = append(w.dst[:from], w.dst[end:]...)
}

var partNames = [parts]string{classPart: "class", argsPart: "args", statePart: "state", listPart: "list", dictPart: "dict"}

func (w *writer) object(n uint32, depth int) {
	w.dst = append(w.dst, '{')
	part := 0
	w.d.each(n, func(item uint32) bool {
		if part == classPart || w.d.nodes[item].kind != None && (part != argsPart || w.d.count(item) > 0) {
			if part > 0 {
				w.dst = append(w.dst, ',')
			}
			w.dst = append(append(append(w.dst, '"'), partNames[part]...), `":`...)
			w.value(item, depth)
		}
		part++
		return w.reason == ""
	})
	w.dst = append(w.dst, '}')
}
