package loki

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/pipeline"
)

// categories is a set of them, by bits.
type categories uint8

const (
	ofStream      = categories(1 << pipeline.OfStream)
	ofMetadata    = categories(1 << pipeline.OfMetadata)
	ofParsed      = categories(1 << pipeline.OfParsed)
	ofAll         = ofStream | ofMetadata | ofParsed
	metadataField = "structuredMetadata"
	parsedField   = "parsed"
)

func (c categories) has(l *pipeline.Label) bool { return c&(1<<l.Category) != 0 }

// streams writes lines, those with the same labels together, in the order of the labels.
// With categories only the streams' own labels count for that; each line has the others.
func (o *out) streams(entries []logql.Entry, categorize bool) {
	by := ofAll
	if categorize {
		by = ofStream
	}
	for i, group := range grouped(entries, by) {
		o.comma(i)
		o.raw(`{"stream":`)
		o.labels(group[0].Labels, by)
		o.raw(`,"values":[`)
		for k, e := range group {
			o.comma(k)
			o.entry(e, categorize)
		}
		o.raw(`]}`)
	}
}

// entry writes a line.
func (o *out) entry(e *logql.Entry, categorize bool) {
	o.raw(`["`)
	o.int(e.Time)
	o.raw(`",`)
	o.string(e.Line)
	if categorize {
		o.raw(`,{`)
		metadata := hasAny(e.Labels, ofMetadata)
		if metadata {
			o.raw(`"` + metadataField + `":`)
			o.labels(e.Labels, ofMetadata)
		}
		if hasAny(e.Labels, ofParsed) {
			if metadata {
				o.raw(",")
			}
			o.raw(`"` + parsedField + `":`)
			o.labels(e.Labels, ofParsed)
		}
		o.raw(`}`)
	}
	o.raw(`]`)
}

func hasAny(labels []pipeline.Label, c categories) bool {
	return slices.ContainsFunc(labels, func(l pipeline.Label) bool { return c.has(&l) })
}

// labels writes those of some categories as an object.
func (o *out) labels(labels []pipeline.Label, c categories) {
	o.raw("{")
	n := 0
	for i := range labels {
		if l := &labels[i]; c.has(l) {
			o.comma(n)
			n++
			o.string(l.Name)
			o.raw(":")
			o.string(l.Value)
		}
	}
	o.raw("}")
}

// grouped returns entries by their labels of some categories, sorted by these; within a
// group they stay in order.
func grouped(entries []logql.Entry, c categories) [][]*logql.Entry {
	at := map[string]int{}
	var groups [][]*logql.Entry
	var key []byte
	for i := range entries {
		e := &entries[i]
		key = appendKey(key[:0], e.Labels, c)
		n, ok := at[string(key)]
		if !ok {
			n = len(groups)
			at[string(key)] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], e)
	}
	slices.SortFunc(groups, func(a, b []*logql.Entry) int { return compareLabels(a[0].Labels, b[0].Labels, c) })
	return groups
}

// appendKey appends what tells labels apart. No label has a byte 0xff, which is not UTF-8;
// where a value has one all the same, two groups may become one name later in the text.
func appendKey(dst []byte, labels []pipeline.Label, c categories) []byte {
	for i := range labels {
		if l := &labels[i]; c.has(l) {
			dst = append(append(dst, l.Name...), 0xff)
			dst = append(append(dst, l.Value...), 0xff)
		}
	}
	return dst
}

func compareLabels(a, b []pipeline.Label, c categories) int {
	for i, k := 0, 0; ; i, k = i+1, k+1 {
		for i < len(a) && !c.has(&a[i]) {
			i++
		}
		for k < len(b) && !c.has(&b[k]) {
			k++
		}
		if i == len(a) || k == len(b) {
			return cmp.Compare(len(a)-i, len(b)-k)
		}
		if d := cmp.Or(strings.Compare(a[i].Name, b[k].Name), strings.Compare(a[i].Value, b[k].Value)); d != 0 {
			return d
		}
	}
}
