package datadog

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

// The bounds of the intake, and of what a log may have beside its message.
const (
	maxEntries    = 1000
	maxBody       = 5_000_000
	maxEntry      = 1_000_000 - 1
	maxAttributes = 500_000
)

// truncated is the mark that Datadog's own agent puts behind what it cuts.
const truncated = "...TRUNCATED..."

// encoder writes records as the intake takes them, each a JSON object without a newline:
//
//	{"timestamp":1795298373598,"hostname":"web-1","service":"shop","ddsource":"nginx",
//	 "ddtags":"env:production,container:shop","status":"error","user":"ann","message":"text","weir":{"lost":true}}
//
// It belongs to one goroutine.
type encoder struct {
	config Config
	node   string
	// Of the stream:
	common [status + 1][]byte
	tags   []string // those of labels
	labels []field  // those that are no tags
	// Of the record:
	now   int64 // of records that do not say when they were
	at    int   // the field to look at next
	own   [status + 1]int
	plain []byte
	cut   bool // something of it was left out
}

// field is a name and a value.
type field struct{ name, value []byte }

// What the intake knows by name, beside the message and its time. A record may have a field of that
// name, which is used then.
const (
	hostname = iota
	service
	ddsource
	ddtags
	status
)

// begin prepares for the records of b, which have to be appended in their order. Some may be left
// out.
func (e *encoder) begin(b *record.Batch, now time.Time) {
	c, labels := &e.config, b.Stream.Labels
	e.at, e.now = 0, now.UnixNano()
	e.common[hostname] = []byte(expand(c.Hostname, e.node, labels))
	e.common[service] = []byte(cmp.Or(
		expand(c.Service, e.node, labels), labels.Get("service"), labels.Get("service_name"), labels.Get("container"), b.Stream.Source))
	e.common[ddsource] = []byte(cmp.Or(expand(c.Source, e.node, labels), b.Stream.Source))
	e.tags = labelTags(labels, c.LabelTags)
	e.common[ddtags] = []byte(joinTags(c.Tags, e.tags))
	e.labels = e.labels[:0]
	for _, l := range labels {
		if !isTagged(l.Name, c.LabelTags) {
			e.labels = append(e.labels, field{[]byte(l.Name), []byte(l.Value)})
		}
	}
}

// append appends record i of b, and tells whether something of it had to be left out.
func (e *encoder) append(dst []byte, b *record.Batch, i int) (out []byte, cut bool) {
	for e.at < len(b.Fields) && b.Fields[e.at].Record < i {
		e.at++
	}
	from := e.at
	for e.at < len(b.Fields) && b.Fields[e.at].Record == i {
		e.at++
	}
	fields, r, start := b.Fields[from:e.at], &b.Records[i], len(dst)
	e.cut = false
	e.find(b, fields)
	dst = e.appendHead(append(dst, '{'), b, fields, r)
	limit := start + maxAttributes
	for k := range fields {
		if !slices.Contains(e.own[:], k) {
			dst = e.appendField(dst, b.Bytes(fields[k].Name), b.Bytes(fields[k].Value), limit)
		}
	}
	for _, l := range e.labels {
		if !hasField(b, fields, l.name) {
			dst = e.appendField(dst, l.name, l.value, limit)
		}
	}
	return e.appendMessage(dst, b, r, start), e.cut
}

// find looks for what a record says itself; -1 is what it does not.
func (e *encoder) find(b *record.Batch, fields []record.Field) {
	e.own = [...]int{-1, -1, -1, -1, -1}
	for k := range fields {
		value := b.Bytes(fields[k].Value)
		if len(value) == 0 || len(value) > maxReserved {
			continue
		}
		switch string(b.Bytes(fields[k].Name)) {
		case "hostname":
			e.own[hostname] = k
		case "service":
			e.own[service] = k
		case "ddsource":
			e.own[ddsource] = k
		case "ddtags":
			e.own[ddtags] = k
		case "status": // of HTTP it is a number, which is no severity
			if (value[0] < '0' || value[0] > '9') && severity.FromValue(value) != record.LevelUnknown {
				e.own[status] = k
			}
		}
	}
}

// maxReserved is how long a field may be that says what the intake knows by that name.
const maxReserved = 10_000

// appendHead appends what the intake knows by name, but for the message.
func (e *encoder) appendHead(dst []byte, b *record.Batch, fields []record.Field, r *record.Record) []byte {
	e.common[status] = e.common[status][:0]
	if r.Level != record.LevelUnknown {
		e.common[status] = append(e.common[status], r.Level.String()...)
	}
	dst = append(dst, `"timestamp":`...)
	dst = strconv.AppendInt(dst, floorDiv(cmp.Or(r.Time, e.now), 1e6), 10)
	for k, name := range [...]string{`,"hostname":"`, `,"service":"`, `,"ddsource":"`, `,"ddtags":"`, `,"status":"`} {
		value := e.common[k]
		if from := e.own[k]; from >= 0 {
			value = b.Bytes(fields[from].Value)
			if k == ddtags {
				value = []byte(joinTags(e.config.Tags, append(slices.Clone(e.tags), listed(string(value))...)))
			}
		}
		if len(value) > 0 {
			dst = append(e.appendText(append(dst, name...), value, maxAttributes/8), '"')
		}
	}
	return dst
}

// appendField appends a field as long as less than limit is written. A name that the intake gives
// another meaning gets fields. in front.
func (e *encoder) appendField(dst, name, value []byte, limit int) []byte {
	from := len(dst)
	dst = append(dst, `,"`...)
	switch string(name) {
	case "message", "status", "timestamp", "hostname", "service", "ddsource", "ddtags", "weir":
		dst = append(dst, "fields."...)
	}
	dst = append(kept.Escape(dst, name), `":"`...)
	if len(dst) >= limit {
		e.cut = true
		return dst[:from]
	}
	return append(e.appendText(dst, value, limit-len(dst)), '"')
}

// appendMessage appends what else is to say, the message, as much of it as there is room for, and
// the end.
func (e *encoder) appendMessage(dst []byte, b *record.Batch, r *record.Record, start int) []byte {
	body := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		e.plain = jsontext.Unescape(e.plain[:0], body)
		body = e.plain
	}
	const end = `,"weir":{"stderr":true,"cut":true,"lost":true,"truncated":true,"weight":4294967295}}`
	dst = append(dst, `,"message":"`...)
	dst = append(e.appendText(dst, body, maxEntry-(len(dst)-start)-len(end)-1), '"')
	from := len(dst)
	dst = append(dst, `,"weir":{`...)
	opened := len(dst)
	for _, mark := range [...]struct {
		is   bool
		text string
	}{
		{r.Flags&record.Stderr != 0, `"stderr":true,`}, {r.Flags&record.Cut != 0, `"cut":true,`}, {r.Flags&record.Lost != 0, `"lost":true,`},
		{e.cut, `"truncated":true,`},
	} {
		if mark.is {
			dst = append(dst, mark.text...)
		}
	}
	if r.Weight > 1 {
		dst = append(strconv.AppendUint(append(dst, `"weight":`...), uint64(r.Weight), 10), ',')
	}
	if len(dst) == opened {
		return append(dst[:from], '}')
	}
	dst[len(dst)-1] = '}' // for the last comma
	return append(dst, '}')
}

// appendText appends text as the inside of a JSON string that has at most so many bytes. What has
// no room is cut off between two letters, and marked.
func (e *encoder) appendText(dst, text []byte, most int) []byte {
	from := len(dst)
	if dst = kept.Escape(dst, text); len(dst)-from <= most {
		return dst
	}
	e.cut = true
	most -= len(truncated)
	dst = dst[:from]
	for step := 64 << 10; len(text) > 0 && step >= 1; {
		n := border(text, step)
		before := len(dst)
		if dst = kept.Escape(dst, text[:n]); len(dst)-from <= most {
			text = text[n:]
			continue
		}
		dst, step = dst[:before], step/2
	}
	return append(dst, truncated...)
}

// border returns the length of the longest start of text that has at most n bytes and no part of
// a letter at its end, but at least one letter or byte.
func border(text []byte, n int) int {
	if n >= len(text) {
		return len(text)
	}
	for k := n; k > 0 && k > n-utf8.UTFMax; k-- {
		if utf8.RuneStart(text[k]) {
			return k
		}
	}
	if _, size := utf8.DecodeRune(text); size > n {
		return size
	}
	return n
}

// hasField tells whether there is a field of that name.
func hasField(b *record.Batch, fields []record.Field, name []byte) bool {
	for k := range fields {
		if bytes.Equal(b.Bytes(fields[k].Name), name) {
			return true
		}
	}
	return false
}

// floorDiv returns how often b is in a, down to the next whole number.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Preview returns record i of b as a sink of that configuration on a node would send it now.
func Preview(c Config, node string, b *record.Batch, i int) []byte {
	e := encoder{config: c, node: node}
	e.begin(b, time.Now())
	text, _ := e.append(nil, b, i)
	return text
}
