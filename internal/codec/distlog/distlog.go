// Package distlog reads what distlog's handlers send: topics, keys of scopes, and records in
// JSON as Python writes it.
//
//	topic := distlog.ParseTopic(parts[0])
//	attrs, err := distlog.Parse(attrs[:0], parts[1])
//	key, ok := distlog.ParseKey(value)
//
// Python's JSON is that of RFC 8259 and some more: NaN, Infinity and -Infinity, numbers of
// any size, halves of surrogate pairs (as escapes), and keys that come twice, of which the
// later counts. Records in pickles are package pickle's business; what becomes of the
// attributes is the source's.
package distlog

import (
	"bytes"
	"strconv"
)

// Topic is what the first part of a message says of the second.
type Topic struct {
	// System and Kind are words, "other" where the topic has something else.
	System, Kind string
	// Pickle is set if the record is a pickle. All others are JSON, as they are to distlogd.
	Pickle bool
}

// Other is the system or kind of a topic that has none of those that are known.
const Other = "other"

// ParseTopic reads a topic: the system, the kind and the encoding, a letter each. Any bytes
// are one.
func ParseTopic(b []byte) Topic {
	t := Topic{System: Other, Kind: Other}
	n := len(b)
	if n > 0 {
		t.Pickle = b[n-1] == 'P'
	}
	if n > 1 {
		switch b[n-2] {
		case 'L':
			t.Kind = "log"
		case 'P':
			t.Kind = "performance"
		}
	}
	if n == 3 {
		switch b[0] {
		case 'P':
			t.System = "production"
		case 'S':
			t.System = "staging"
		case 'T':
			t.System = "test"
		}
	}
	return t
}

// Key is the place of a record in its scope.
type Key struct {
	// Seq counts the records that were created in the scope, from 0 on, those too that were
	// not sent.
	Seq uint64
	// Scope is a task's id, or that of the scope around it, a slash, and the number that it
	// is of its children, from 1 on.
	Scope []byte
}

const (
	// maxScope is how long a scope may be, in bytes. A level takes two of them.
	maxScope = 4096
	// maxDigits is how many a number may have.
	maxDigits = 19
)

// ParseKey reads a key, as 3@f738d4aa-6a48-4fac-be7e-f34721792d8c/1/2. A keyword of a task
// that is called key takes the key's place in the context, so any text may stand there: ok
// is false for what is none.
func ParseKey(text []byte) (k Key, ok bool) {
	at := bytes.IndexByte(text[:min(len(text), maxDigits+1)], '@')
	if at < 1 || at+1 == len(text) || len(text)-at-1 > maxScope {
		return k, false
	}
	for _, c := range text[:at] {
		if c < '0' || c > '9' {
			return k, false
		}
		k.Seq = k.Seq*10 + uint64(c-'0')
	}
	for _, c := range text[at+1:] {
		if c < ' ' {
			return k, false
		}
	}
	k.Scope = text[at+1:]
	return k, true
}

// Append appends the text of k.
func (k Key) Append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, k.Seq, 10), '@')
	return append(dst, k.Scope...)
}

// Shared tells whether the scope is one that different processes have, because distlog's
// import_task and get_foreign_task do not what they say: such keys mean something only
// together with the host and the process of the record.
func (k Key) Shared() bool {
	return bytes.Contains(k.Scope, []byte("<built-in function id>")) || bytes.HasPrefix(k.Scope, []byte("None/"))
}
