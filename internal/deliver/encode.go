package deliver

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// Encoder writes records as JSON, each an object without a newline in it:
//
//	{"time":"2026-11-21T05:06:07.123456789Z","level":"info","body":"text","stream":"docker/shop",
//	 "seq":17,"stderr":true,"cut":true,"weight":10,"lost":true,"labels":{"container":"shop"},
//	 "fields":{"status":"200"},"raw":"base64 of the body, if it is not UTF-8"}
//
// Time to labels are always there but for the flags and the weight, which are left out where
// they say nothing, as fields and raw are. A batch without numbers has no seq.
type Encoder struct {
	labels []byte // of the batch, with the comma before
	stream []byte // the same
	at     int    // the field to look at next
	second int64
	digits []byte // of the second
	plain  []byte
	raw    []byte
}

// Begin prepares for the records of b, which have to be appended in their order. Some may be
// left out.
func (e *Encoder) Begin(b *record.Batch) {
	e.at = 0
	e.stream = append(e.stream[:0], `","stream":"`...)
	e.stream = append(kept.Escape(e.stream, []byte(b.Stream.ID)), '"')
	e.labels = append(e.labels[:0], `,"labels":{`...)
	for i, l := range b.Stream.Labels {
		if i > 0 {
			e.labels = append(e.labels, ',')
		}
		e.labels = member(e.labels, []byte(l.Name), []byte(l.Value))
	}
	e.labels = append(e.labels, '}')
}

// member appends a name and a value, both plain text.
func member(dst, name, value []byte) []byte {
	dst = kept.Escape(append(dst, '"'), name)
	dst = kept.Escape(append(dst, `":"`...), value)
	return append(dst, '"')
}

// Append appends record i of b.
func (e *Encoder) Append(dst []byte, b *record.Batch, i int) []byte {
	r := &b.Records[i]
	dst = e.appendTime(append(dst, `{"time":"`...), r.Time)
	dst = append(dst, `","level":"`...)
	dst = append(dst, r.Level.String()...)
	dst = append(dst, `","body":"`...)
	body := e.plainText(b, r, r.Body)
	valid := utf8.Valid(body)
	dst = kept.Escape(dst, body)
	if !valid {
		e.raw = base64.StdEncoding.AppendEncode(e.raw[:0], body)
	}
	dst = append(dst, e.stream...)
	if b.First > 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), b.First+uint64(i), 10)
	}
	if r.Flags&record.Stderr != 0 {
		dst = append(dst, `,"stderr":true`...)
	}
	if r.Flags&record.Cut != 0 {
		dst = append(dst, `,"cut":true`...)
	}
	if r.Weight > 1 {
		dst = strconv.AppendUint(append(dst, `,"weight":`...), uint64(r.Weight), 10)
	}
	if r.Flags&record.Lost != 0 {
		dst = append(dst, `,"lost":true`...)
	}
	dst = append(dst, e.labels...)
	dst = e.appendFields(dst, b, i)
	if !valid {
		dst = append(append(append(dst, `,"raw":"`...), e.raw...), '"')
	}
	return append(dst, '}')
}

// plainText returns a part of a record without escapes, valid until the next call.
func (e *Encoder) plainText(b *record.Batch, r *record.Record, span record.Span) []byte {
	if r.Flags&record.Escaped == 0 {
		return b.Bytes(span)
	}
	e.plain = jsontext.Unescape(e.plain[:0], b.Bytes(span))
	return e.plain
}

// appendFields appends the fields that rules have extracted and those that came with the record.
func (e *Encoder) appendFields(dst []byte, b *record.Batch, i int) []byte {
	for e.at < len(b.Fields) && b.Fields[e.at].Record < i {
		e.at++
	}
	const opening = `,"fields":{`
	r, from := &b.Records[i], len(dst)
	dst = append(dst, opening...)
	for k, name := range b.Slots {
		if span := b.Values[i*len(b.Slots)+k]; span.Len > 0 {
			dst = append(member(dst, []byte(name), e.plainText(b, r, span)), ',')
		}
	}
	for ; e.at < len(b.Fields) && b.Fields[e.at].Record == i; e.at++ {
		f := &b.Fields[e.at]
		if name := b.Bytes(f.Name); !extracted(b, i, name) {
			dst = append(member(dst, name, e.plainText(b, r, f.Value)), ',')
		}
	}
	if len(dst) == from+len(opening) {
		return dst[:from]
	}
	dst[len(dst)-1] = '}' // for the last comma
	return dst
}

// extracted tells whether rules have extracted a field of that name.
func extracted(b *record.Batch, i int, name []byte) bool {
	for k := range b.Slots {
		if b.Slots[k] == string(name) && b.Values[i*len(b.Slots)+k].Len > 0 {
			return true
		}
	}
	return false
}

// appendTime appends a time in UTC with nine digits of the second.
func (e *Encoder) appendTime(dst []byte, ns int64) []byte {
	second, rest := ns/1e9, ns%1e9
	if rest < 0 {
		second, rest = second-1, rest+1e9
	}
	if len(e.digits) == 0 || second != e.second {
		e.second, e.digits = second, time.Unix(second, 0).UTC().AppendFormat(e.digits[:0], "2006-01-02T15:04:05.")
	}
	dst = append(dst, e.digits...)
	var digits [9]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + rest%10)
		rest /= 10
	}
	return append(append(dst, digits[:]...), 'Z')
}
