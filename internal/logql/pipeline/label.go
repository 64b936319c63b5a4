package pipeline

import (
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// few is up to how many labels are looked through one by one.
const few = 32

// find returns the place of a label, -1 if there is none.
func (r *Runner) find(name string) int {
	if len(r.labels) > few {
		return r.findAmongMany(name)
	}
	for i := range r.labels {
		if r.labels[i].name == name {
			return i
		}
	}
	return -1
}

// findAmongMany is find with an index: lines may have tens of thousands of fields.
func (r *Runner) findAmongMany(name string) int {
	if r.indexed == 0 {
		r.index = map[string]int{}
	}
	for ; r.indexed < len(r.labels); r.indexed++ {
		r.index[r.labels[r.indexed].name] = r.indexed
	}
	if i, ok := r.index[name]; ok {
		return i
	}
	return -1
}

// get returns the value of a label or of an error, nil if there is none.
func (r *Runner) get(name string) []byte {
	if i := r.find(name); i >= 0 {
		return r.labels[i].value
	}
	switch name {
	case syntax.ErrorLabel:
		return []byte(r.err)
	case syntax.ErrorDetailsLabel:
		return []byte(r.details)
	}
	return nil
}

// set gives a label a value. What a stage has set is no longer what the record came with.
func (r *Runner) set(name string, value []byte, cat Category) {
	r.forget(name)
	if i := r.find(name); i >= 0 {
		r.labels[i] = label{name, value, cat}
		return
	}
	r.labels = append(r.labels, label{name, value, cat})
}

// remove takes a label away.
func (r *Runner) remove(name string) {
	r.forget(name)
	if i := r.find(name); i >= 0 {
		r.labels, r.indexed = slices.Delete(r.labels, i, i+1), 0
	}
}

// forget is for a label that the record came with and has no longer. Those of its stream
// are not forgotten.
func (r *Runner) forget(name string) {
	if i := slices.Index(r.came, name); i >= 0 {
		r.came = slices.Delete(r.came, i, i+1)
	}
}

// fail leaves an error in the record.
func (r *Runner) fail(name string, details string) {
	r.err, r.details = name, details
}

// cameWith tells whether the record came with a label of that name and still has it, or its
// stream has one.
func (r *Runner) cameWith(name string) bool {
	return slices.Contains(r.baseNames, name) || slices.Contains(r.came, name)
}

// extract sets a label that a parser found, unless a parser found one of that name before.
func (r *Runner) extract(n *name, value []byte) {
	if label := r.labelOf(n); label != "" && !r.hasExtracted(label) {
		r.extracted = append(r.extracted, label)
		r.set(label, value, OfParsed)
	}
}

// extractLast is extract that takes the last of several values: only what was extracted
// before the first of them stays.
func (r *Runner) extractLast(n *name, value []byte, before int) {
	label := r.labelOf(n)
	if label == "" || slices.Contains(r.extracted[:before], label) {
		return
	}
	if !r.hasExtracted(label) {
		r.extracted = append(r.extracted, label)
	}
	r.set(label, value, OfParsed)
}

// labelOf returns the label that a key becomes in this record, "" if nobody needs it.
func (r *Runner) labelOf(n *name) string {
	switch {
	case n.skip:
	case r.cameWith(n.plain):
		if n.needSuffixed {
			return n.suffixed
		}
	case n.needPlain:
		return n.plain
	}
	return ""
}

// hasExtracted tells whether a parser has set a label.
func (r *Runner) hasExtracted(label string) bool {
	if len(r.extracted) <= few {
		return slices.Contains(r.extracted, label)
	}
	if r.listed == 0 {
		r.isExtracted = map[string]bool{}
	}
	for ; r.listed < len(r.extracted); r.listed++ {
		r.isExtracted[r.extracted[r.listed]] = true
	}
	return r.isExtracted[label]
}

// keep copies a value to memory that lasts as long as the record.
func (r *Runner) keep(value []byte) []byte {
	from := len(r.scratch)
	r.scratch = append(r.scratch, value...)
	return r.scratch[from:len(r.scratch):len(r.scratch)]
}

// name is what a key becomes: the label, and the label if the record came with that one.
type name struct {
	key                     string
	plain, suffixed         string
	needPlain, needSuffixed bool
	skip                    bool // it is no label, or neither is needed
}

func newName(key string, need *Need) *name {
	n := &name{key: key, plain: syntax.SanitizeName(key)}
	n.suffixed = n.plain + syntax.ExtractedSuffix
	n.needPlain, n.needSuffixed = need.has(n.plain), need.has(n.suffixed)
	n.skip = n.plain == "" || syntax.IsErrorLabel(n.plain) || !n.needPlain && !n.needSuffixed
	return n
}

// names remembers what keys become.
type names struct {
	need *Need
	of   map[string]*name
	// order is how the keys of earlier lines came, the next of them at place at: most lines
	// have the same keys in the same order.
	order []*name
	at    int
}

// maxNames bounds how many keys are remembered, and maxText how long they are.
const (
	maxNames = 4096
	maxText  = 256
)

// maxOrder bounds the keys whose order is remembered.
const maxOrder = 64

// begin is called for each line.
func (c *names) begin() { c.at = 0 }

func (c *names) get(key []byte) *name {
	for at := c.at; at < min(c.at+2, len(c.order)); at++ {
		if n := c.order[at]; n.key == string(key) {
			c.at = at + 1
			return n
		}
	}
	n := c.of[string(key)]
	if n == nil {
		if c.of == nil || len(c.of) >= maxNames {
			c.of = map[string]*name{}
		}
		n = newName(string(key), c.need)
		if len(key) > maxText {
			return n
		}
		c.of[n.key] = n
	}
	switch {
	case c.at < len(c.order):
		c.order[c.at] = n
	case c.at < maxOrder:
		c.order = append(c.order, n)
	}
	c.at++
	return n
}

// lasting returns a value as a string that stays as it is. There is one for equal values as
// long as there are not too many.
func (r *Runner) lasting(value []byte) string {
	if len(value) > maxText {
		return string(value)
	}
	s, ok := r.texts[string(value)]
	if !ok {
		if r.texts == nil || len(r.texts) >= maxNames {
			r.texts = map[string]string{}
		}
		s = string(value)
		r.texts[s] = s
	}
	return s
}

// Label is one label of a record with where it comes from.
type Label struct {
	Name, Value string
	Category    Category
}

// AppendLabels appends the record's labels, sorted by name, errors included. Values may be
// empty.
func (r *Runner) AppendLabels(dst []Label) []Label {
	from := len(dst)
	for i := range r.labels {
		l := &r.labels[i]
		dst = append(dst, Label{l.name, string(l.value), l.cat})
	}
	if r.err != "" {
		dst = append(dst, Label{syntax.ErrorLabel, r.err, OfParsed})
	}
	if r.details != "" {
		dst = append(dst, Label{syntax.ErrorDetailsLabel, r.details, OfParsed})
	}
	slices.SortFunc(dst[from:], func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return dst
}

// Labels returns the labels of the record that are not empty, sorted by name, errors
// included.
func (r *Runner) Labels() record.Labels {
	var out record.Labels
	for _, l := range r.AppendLabels(nil) {
		if l.Value != "" {
			out = append(out, record.Label{Name: l.Name, Value: l.Value})
		}
	}
	return out
}

// Grouping chooses the labels that make a key: those listed, or all others.
type Grouping struct {
	Without bool
	// Labels are sorted.
	Labels []string
	// Drop is a label that is left out whatever the grouping is, "" for none.
	Drop string
	// Errors says that labels of errors are part of the key whatever the grouping is.
	Errors bool
}

// picks tells whether a label is part of the key.
func (g *Grouping) picks(name string) bool {
	if g.Errors && syntax.IsErrorLabel(name) {
		return true
	}
	return slices.Contains(g.Labels, name) != g.Without && name != g.Drop
}

// AppendKey appends the names and values of the labels that make the group of the record,
// so that equal groups have equal keys. DecodeKey reads it.
func (r *Runner) AppendKey(dst []byte, g *Grouping) []byte {
	if r.err == "" && r.details == "" && !g.Without {
		for _, name := range g.Labels {
			if i := r.find(name); i >= 0 && name != g.Drop {
				dst = appendPair(dst, name, r.labels[i].value)
			}
		}
		return dst
	}
	r.sortLabels()
	errors := r.err == "" && r.details == ""
	for i := range r.labels {
		l := &r.labels[i]
		if !errors && l.name > syntax.ErrorDetailsLabel {
			errors = true
			dst = r.appendErrors(dst, g)
		}
		if g.picks(l.name) {
			dst = appendPair(dst, l.name, l.value)
		}
	}
	if !errors {
		dst = r.appendErrors(dst, g)
	}
	return dst
}

func (r *Runner) appendErrors(dst []byte, g *Grouping) []byte {
	if g.picks(syntax.ErrorLabel) {
		dst = appendPair(dst, syntax.ErrorLabel, []byte(r.err))
	}
	if g.picks(syntax.ErrorDetailsLabel) {
		dst = appendPair(dst, syntax.ErrorDetailsLabel, []byte(r.details))
	}
	return dst
}

// sortLabels sorts the labels of a record in place.
func (r *Runner) sortLabels() {
	if len(r.labels) > few {
		r.indexed = 0
		slices.SortFunc(r.labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
		return
	}
	for i := 1; i < len(r.labels); i++ {
		for k := i; k > 0 && r.labels[k].name < r.labels[k-1].name; k-- {
			r.labels[k], r.labels[k-1] = r.labels[k-1], r.labels[k]
		}
	}
}

// appendPair leaves empty values out: an empty label is an absent one.
func appendPair(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(appendLen(dst, len(name)), name...)
	return append(appendLen(dst, len(value)), value...)
}

func appendLen(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func takeLen(key string) (n int, rest string) {
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		n |= int(key[i]&0x7f) << shift
		if key[i] < 0x80 {
			return n, key[i+1:]
		}
	}
}

// DecodeKey returns the labels of a key that AppendKey made, sorted by name.
func DecodeKey(key string) (labels record.Labels) {
	var n int
	for key != "" {
		var l record.Label
		n, key = takeLen(key)
		l.Name, key = key[:n], key[n:]
		n, key = takeLen(key)
		l.Value, key = key[:n], key[n:]
		labels = append(labels, l)
	}
	return labels
}
