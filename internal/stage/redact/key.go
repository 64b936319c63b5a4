package redact

import (
	"github.com/weirlog/weir/internal/codec/secret"
	"github.com/weirlog/weir/internal/record"
)

const (
	// keyLines is how many records behind the first line of a private key may be of it. One
	// of RSA with 16,384 bits has 200.
	keyLines = 200
	// keyWidth is how long a line of a key is at least that does not stand behind another.
	keyWidth = 40
)

// key is where a line is within a private key of several records.
type key struct {
	left int  // how many records may be of it still; 0: there is none
	next bool // the record before was of it
}

// begin notes a private key that begins in text and does not end there.
func (k *key) begin(text []byte) {
	if secret.OpensKey(text) {
		*k = key{left: keyLines, next: true}
	}
}

// takes tells whether the text of the next record is of the key. Records of others may stand
// in between; they are not taken for it.
func (k *key) takes(text []byte) bool {
	if k.left--; secret.EndsKey(text) {
		*k = key{}
		return false
	}
	k.next = secret.IsKeyLine(text) && (k.next || len(text) >= keyWidth)
	return k.next
}

// hidden replaces the text of record i, and fields with it, if it is of a private key.
func (s *stage) hidden(b *record.Batch, i int) bool {
	r := &b.Records[i]
	text := plainOf(b.Bytes(r.Body), r.Flags&record.Escaped != 0)
	if !s.key.takes(text) {
		return false
	}
	p := &s.patterns[s.secrets()]
	all := []edit{{end: len(text), with: p.replace}}
	fields := s.fieldsOf(b, i)
	for f := range fields {
		fields[f].follow(text, all)
	}
	s.store(b, i, replaced(text, all), fields)
	p.hits++
	return true
}
