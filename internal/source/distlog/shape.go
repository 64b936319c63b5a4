package distlog

import (
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

// role is what becomes of an attribute.
type role uint8

// The attributes of a log record that are more than fields, and what else an attribute may be.
const (
	messageRole role = iota
	msgRole
	levelnameRole
	levelnoRole
	createdRole
	exceptionRole
	stackRole
	filenameRole
	moduleRole
	pathnameRole // a field as well
	knownRoles

	fieldRole   role = iota
	keyRole          // the key of a context, if its value is one
	leftOutRole      // says nothing that others do not say
	tooLongRole      // its name is
)

// slot is an attribute that the present record, or the one before, has at some place.
type slot struct {
	name    []byte // as it came, but for tooLongRole
	size    int    // how long that is
	context bool
	role    role
	// first is set if none of the slots before can be the same field.
	first bool

	field []byte      // the name as that of a field
	long  int         // how long that was before it was made valid
	span  record.Span // of field, in the batch of turn
	turn  int

	// number is the last whole number that the attribute had in a pickle, and digits the text
	// of it, in the batch of said.
	number uint64
	digits record.Span
	said   int
}

const (
	// maxSlots is of how many attributes of a record is remembered what becomes of them.
	maxSlots = 64
	// contextPrefix is what the names of fields begin with that were in the context.
	contextPrefix = "context_"
)

// shape is what the attributes of records become. The records of a sender have the same
// attributes in the same order most of the time, so what becomes of the one at some place is
// known when it has the same name again.
type shape struct {
	slots []slot
	at    int  // of how many attributes the present record has had
	odd   slot // of an attribute that is beyond maxSlots
	key   slot // of the field key
	ours  slot // of another field whose name is ours
	turn  int  // counts batches
}

// next returns what becomes of the next attribute of a record. It is valid until the one after
// that.
func (p *shape) next(name []byte, context bool) *slot {
	i := p.at
	p.at++
	if i < len(p.slots) {
		if s := &p.slots[i]; s.context == context && string(s.name) == string(name) && s.size == len(name) {
			return s
		}
	}
	return p.make(i, name, context)
}

// make makes the slot of an attribute that the record before had not at place i. All slots
// before are those of the present record.
func (p *shape) make(i int, name []byte, context bool) *slot {
	s := &p.odd
	switch {
	case i < len(p.slots):
		s = &p.slots[i]
	case i < maxSlots:
		p.slots = append(p.slots, slot{})
		s = &p.slots[i]
	}
	s.name, s.size, s.context, s.turn = append(s.name[:0], name[:min(len(name), maxName)]...), len(name), context, -1
	s.said = -1
	s.field = s.field[:0]
	s.role = leftOutRole
	switch {
	case context && string(name) == "key":
		s.role = keyRole
	case context:
		s.role = fieldRole
	case !isLeftOut(name):
		s.role = roleOf(name)
	}
	if s.role < pathnameRole || s.role == leftOutRole {
		return s
	}
	if context {
		s.field = append(s.field, contextPrefix...)
	}
	if s.long = len(s.field) + len(name); s.long > maxName {
		s.role = tooLongRole
		return s
	}
	if s.field = appendValid(s.field, name); isWire(s.field) {
		s.field = append(s.field, '_')
	}
	s.first = i < maxSlots
	for k := range p.slots {
		if o := &p.slots[k]; k < i {
			s.first = s.first && !o.same(s)
		} else if k > i {
			o.first = o.first && !o.same(s)
		}
	}
	return s
}

// same tells whether two attributes can be the same field.
func (s *slot) same(o *slot) bool {
	return string(s.field) == string(o.field) && len(s.field) > 0 ||
		s.role == keyRole && string(o.field) == "key" || o.role == keyRole && string(s.field) == "key"
}

// keySlot returns the slot of the field key, for an attribute that is one.
func (p *shape) keySlot(of *slot) *slot {
	if p.key.field == nil {
		p.key = slot{role: fieldRole, field: []byte("key"), long: len("key"), turn: -1, said: -1}
	}
	p.key.first = of.first
	return &p.key
}

// roleOf returns what becomes of an attribute that is not left out and not of a context.
func roleOf(name []byte) role {
	switch string(name) {
	case "message":
		return messageRole
	case "msg":
		return msgRole
	case "levelname":
		return levelnameRole
	case "levelno":
		return levelnoRole
	case "created":
		return createdRole
	case "exc_text":
		return exceptionRole
	case "stack_info":
		return stackRole
	case "filename":
		return filenameRole
	case "module":
		return moduleRole
	case "pathname":
		return pathnameRole
	}
	return fieldRole
}

// isLeftOut tells whether an attribute says nothing that others do not say.
func isLeftOut(name []byte) bool {
	switch string(name) {
	case "args", "asctime", "exc_info", "hostname", "msecs", "relativeCreated":
		return true
	}
	return false
}

// appendValid appends name to what a name begins with, so that it is one of letters, digits
// and _ alone, whose first is no digit.
func appendValid(dst, name []byte) []byte {
	if len(dst) == 0 && (len(name) == 0 || name[0]-'0' <= 9) {
		dst = append(dst, '_')
	}
	for len(name) > 0 {
		_, n := utf8.DecodeRune(name)
		if c := name[0]; c == '_' || c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'z' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '_')
		}
		name = name[n:]
	}
	return dst
}
