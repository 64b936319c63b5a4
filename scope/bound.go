package scope

import "log/slog"

// bound are the attributes of a scope, also as they are written. It is not changed once
// others can see it.
type bound struct {
	attrs []slog.Attr
	json  []byte // with a comma before each
}

const (
	maxBound      = 128
	maxBoundBytes = 32 << 10
	// keyName is where the record's key is; an attribute of that name would hide it.
	keyName = "key"
)

// bind returns what is bound after attrs were added to b, which may be nil.
func bind(b *bound, attrs []slog.Attr) *bound {
	next := &bound{}
	if b != nil {
		next.attrs = append(next.attrs, b.attrs...)
	}
	for _, a := range attrs {
		next.add(a)
	}
	for i, a := range next.attrs {
		size := len(next.json)
		e := encoder{buf: next.json}
		e.attr(&a)
		next.json = e.buf
		if len(next.json) > maxBoundBytes {
			next.attrs, next.json = next.attrs[:i], next.json[:size]
			next.attrs = append(next.attrs, truncated)
			e := encoder{buf: next.json}
			e.attr(&next.attrs[i])
			next.json = e.buf
			break
		}
	}
	return next
}

var truncated = slog.Bool("context_truncated", true)

// add sets an attribute, or those of a group without a name, which are as they are.
func (b *bound) add(a slog.Attr) {
	if a.Key == "" {
		if inner, ok := inlined(a.Value); ok {
			for _, a := range inner {
				b.add(a)
			}
			return
		}
	}
	if a.Key == keyName {
		a.Key = keyName + "_"
	}
	b.set(a)
}

// inlined returns the attributes of a value without a name, if that is a group or becomes one.
func inlined(v slog.Value) (attrs []slog.Attr, ok bool) {
	if v = v.Resolve(); v.Kind() != slog.KindGroup {
		return nil, false
	}
	return v.Group(), true
}

// set replaces or adds an attribute.
func (b *bound) set(a slog.Attr) {
	for i := range b.attrs {
		if b.attrs[i].Key == a.Key {
			b.attrs[i] = a
			return
		}
	}
	switch {
	case len(b.attrs) < maxBound-1:
		b.attrs = append(b.attrs, a)
	case len(b.attrs) == maxBound-1:
		b.attrs = append(b.attrs, truncated)
	}
}
