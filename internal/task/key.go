package task

import (
	"bytes"
	"strings"
)

const (
	// maxScope is how long the text of a scope may be, and maxDepth how deep it may nest. Who
	// has more has lost his way, and a few records of his would be thousands of nodes.
	maxScope = 4096
	maxDepth = 512
	// maxDigits keeps numbers within 64 bits.
	maxDigits = 18

	uuidLen  = 36
	traceLen = 32
	spanLen  = 16
)

// The scopes that distlog gives different processes alike, since its import_task and
// get_foreign_task do not what they say. Such a scope is told apart by host and process.
const (
	sharedImport  = "<built-in function id>"
	sharedForeign = "None"
)

// ID names a task or a part of it.
type ID struct {
	// Root is the task: a UUID, or one of the scopes that processes share, with @host:process.
	Root string
	// Scope is the whole name of the part, Root included; "" or Root is the whole task.
	Scope string
}

// String returns what the ID names.
func (id ID) String() string {
	if id.Scope != "" {
		return id.Scope
	}
	return id.Root
}

// ParseID reads what people have at hand: the key of a record, a scope, a UUID, the id of a
// trace.
func ParseID(text string) (ID, bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxScope+maxDigits+1 {
		return ID{}, false
	}
	if root, ok := traceRoot([]byte(text)); ok {
		return ID{Root: root, Scope: root}, true
	}
	if seq, scope, ok := strings.Cut(text, "@"); ok && number([]byte(seq)) >= 0 {
		text = scope
	}
	var s scopeReader
	if !s.read([]byte(text), origin{}) {
		return ID{}, false
	}
	return ID{Root: s.root(), Scope: string(s.text)}, true
}

// Shared tells whether the name is one that several processes gave to tasks of their own: with
// @host:process behind its first part it would mean one.
func (id ID) Shared() bool { return id.Root == sharedImport || id.Root == sharedForeign }

// needles are what a task's records have in their text.
func (id ID) needles() []needle {
	if isUUID([]byte(id.Root)) {
		return []needle{inCases(id.Root), inCases(strings.ReplaceAll(id.Root, "-", ""))}
	}
	name, _, _ := strings.Cut(id.Root, "@")
	if name == sharedForeign {
		name = "@" + sharedForeign + "/"
	}
	return []needle{exactly(name)}
}

// origin is where a record comes from. The thread tells what may go on at the same time as
// something else; programs in Go say none.
type origin struct{ host, process, thread []byte }

// appendKey appends all of it, or nothing if nothing is known.
func (o origin) appendKey(dst []byte) []byte {
	if len(o.host)+len(o.process) == 0 {
		return dst
	}
	return append(append(append(append(append(dst, o.host...), 0), o.process...), 0), o.thread...)
}

// appendTo appends what a shared scope is told apart by. A slash would look like a part.
func (o origin) appendTo(dst []byte) []byte {
	if len(o.host)+len(o.process) == 0 {
		return dst
	}
	at := len(dst)
	dst = append(append(append(append(dst, '@'), o.host...), ':'), o.process...)
	for i := range dst[at:] {
		if c := &dst[at+i]; *c == '/' || *c < ' ' {
			*c = '_'
		}
	}
	return dst
}

// scopeReader reads the names of scopes. Its text is valid until the next read.
type scopeReader struct {
	text []byte // in the one form that all records of the scope have
	ends []int  // of its parts in the text, the first of which is the root
}

// read reads a scope, of a record from somewhere, and tells whether it is one.
func (s *scopeReader) read(scope []byte, from origin) bool {
	s.text, s.ends = s.text[:0], s.ends[:0]
	if len(scope) == 0 || len(scope) > maxScope {
		return false
	}
	for more := true; more; {
		var part []byte
		part, scope, more = bytes.Cut(scope, slash)
		if len(s.ends) == maxDepth {
			return false
		}
		if len(s.ends) > 0 {
			s.text = append(s.text, '/')
		}
		if !s.part(part, from) {
			return false
		}
		s.ends = append(s.ends, len(s.text))
		if len(s.text) > maxScope { // with what shared parts are told apart by
			return false
		}
	}
	return string(s.text) != sharedForeign // without a number it is Python's word for nothing
}

var slash = []byte{'/'}

// part appends one part.
func (s *scopeReader) part(part []byte, from origin) bool {
	root := len(s.ends) == 0
	name, told, _ := bytes.Cut(part, []byte{'@'})
	shared := string(name) == sharedImport || root && string(name) == sharedForeign
	switch {
	case isUUID(part):
		s.text = appendLower(s.text, part)
	case shared && len(told) > 0 && len(from.host)+len(from.process) == 0: // as it was shown
		s.text = append(s.text, part...)
	case shared && len(told) == 0:
		s.text = from.appendTo(append(s.text, part...))
	case !root && number(part) >= 0:
		s.text = append(s.text, part...)
	default:
		return false
	}
	return true
}

func (s *scopeReader) root() string { return string(s.text[:s.ends[0]]) }

// splitKey reads seq@scope as far as its number.
func splitKey(key []byte) (seq int64, scope []byte, ok bool) {
	at := bytes.IndexByte(key, '@')
	if at < 1 {
		return 0, nil, false
	}
	seq = number(key[:at])
	return seq, key[at+1:], seq >= 0
}

// number reads a decimal number, -1 if it is none.
func number(b []byte) int64 {
	if len(b) == 0 || len(b) > maxDigits {
		return -1
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

func isHex(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 && c|0x20-'a' > 5 {
			return false
		}
	}
	return true
}

func isUUID(b []byte) bool {
	return len(b) == uuidLen && b[8] == '-' && b[13] == '-' && b[18] == '-' && b[23] == '-' &&
		isHex(b[:8]) && isHex(b[9:13]) && isHex(b[14:18]) && isHex(b[19:23]) && isHex(b[24:])
}

func appendLower(dst, b []byte) []byte {
	at := len(dst)
	dst = append(dst, b...)
	for i := range dst[at:] {
		if c := dst[at+i]; 'A' <= c && c <= 'Z' {
			dst[at+i] = c | 0x20
		}
	}
	return dst
}

// traceRoot returns the task that a trace is: the UUID that its id is, written as one. So a
// scope and the spans of other programs in its trace are of one tree.
func traceRoot(id []byte) (string, bool) {
	text, ok := appendTrace(nil, id)
	return string(text), ok
}

// appendTrace is traceRoot that appends.
func appendTrace(dst, id []byte) ([]byte, bool) {
	if len(id) != traceLen || !isHex(id) || len(bytes.Trim(id, "0")) == 0 {
		return dst, false
	}
	at := 0
	for _, end := range [...]int{8, 12, 16, 20, traceLen} {
		if at > 0 {
			dst = append(dst, '-')
		}
		dst = appendLower(dst, id[at:end])
		at = end
	}
	return dst, true
}

// readLevel appends Eliot's task_level, as [2,1] or /2/1, to the name of a task, but for its
// last number, which is that of the record.
func (s *scopeReader) readLevel(task, level []byte) (seq int64, ok bool) {
	if !isUUID(task) || len(level) > maxScope {
		return 0, false
	}
	s.text = appendLower(s.text[:0], task)
	s.ends = append(s.ends[:0], len(s.text))
	level = bytes.Trim(level, "[]/ ")
	separators := ",/"
	for {
		at := bytes.IndexAny(level, separators)
		if at < 0 {
			seq = number(bytes.TrimSpace(level))
			return seq, seq >= 0
		}
		n := bytes.TrimSpace(level[:at])
		if number(n) < 0 || len(s.ends) == maxDepth {
			return 0, false
		}
		s.text = append(append(s.text, '/'), n...)
		s.ends = append(s.ends, len(s.text))
		level = level[at+1:]
	}
}
