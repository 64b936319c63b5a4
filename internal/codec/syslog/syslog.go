// Package syslog takes fields from syslog lines: of RFC 5424, and of RFC 3164 as daemons
// and the files of rsyslog have them, with or without <priority>:
//
//	<34>Oct 11 22:14:15 web-1 su[230]: 'su root' failed
//	2026-11-20T18:07:46.117+01:00 web-1 sshd[7]: bye
//	<165>1 2026-10-11T22:14:15.003Z web-1 shop 8710 ID47 [order@1 id="7"] stock is out
//
//	m := syslog.New([]string{"appname", "msgid", "sd.order@1.id"})
//	if m.Match(&batch, body, row) {
//		app := batch.Bytes(row[0])
//	}
//
// The fields are priority, facility and severity (as numbers), timestamp, hostname, appname,
// procid, msgid, message, and sd.<id>.<name> for structured data. A nil value ("-") is an
// absent field. A Matcher has no state, so both it and Each may be used concurrently. Times
// stay text: what they mean is not the package's business.
package syslog

import (
	"bytes"
	"strings"

	"github.com/weirlog/weir/internal/record"
)

// field is one of the fields with fixed names.
type field int

const (
	priority field = iota
	facility
	severity
	timestamp
	hostname
	appname
	procid
	msgid
	message
	fields
)

var fieldNames = [fields]string{"priority", "facility", "severity", "timestamp", "hostname", "appname", "procid", "msgid", "message"}

// dataPrefix begins the names of structured data.
const dataPrefix = "sd."

// Matcher extracts a list of fields.
type Matcher struct {
	names  []string
	fields []field // of each name; fields for structured data, -1 for a name that is none
}

// New returns a Matcher for the fields, which differ from each other.
func New(names []string) *Matcher {
	m := &Matcher{names: names}
	for _, name := range names {
		m.fields = append(m.fields, fieldOf(name))
	}
	return m
}

func fieldOf(name string) field {
	for f, known := range fieldNames {
		if name == known {
			return field(f)
		}
	}
	if strings.HasPrefix(name, dataPrefix) {
		return fields
	}
	return -1
}

// Names returns the fields, in the order of a row.
func (m *Matcher) Names() []string { return m.names }

// Match fills row, which is zero, with the fields of a plain body and says whether it is a
// syslog line. What does not stand in the line as it is, such as the severity, is appended
// to b's arena. When it returns false row is as it was.
func (m *Matcher) Match(b *record.Batch, body record.Span, row []record.Span) bool {
	text := b.Bytes(body)
	var l line
	if !l.parse(text) {
		return false
	}
	for slot, f := range m.fields {
		switch {
		case f == facility || f == severity:
			if l.values[priority] != nil {
				row[slot] = b.Append(l.number(f, new([2]byte)))
			}
		case f >= 0 && f < fields && l.values[f] != nil:
			v := l.values[f]
			row[slot] = record.Span{Off: body.Off + place(text, v), Len: uint32(len(v))}
		case f == fields && l.data != nil:
			m.param(b, l.data, slot, row)
		}
	}
	return true
}

// place returns where in text its slice part begins. Slices of one array end at the same
// capacity, which tells.
func place(text, part []byte) uint32 { return uint32(cap(text) - cap(part)) }

// param finds the structured data of a slot. Of a name that comes twice the last counts.
func (m *Matcher) param(b *record.Batch, data []byte, slot int, row []record.Span) {
	name := m.names[slot][len(dataPrefix):]
	for p := (params{rest: data}); p.next(); {
		if len(name) != len(p.id)+1+len(p.name) || name[:len(p.id)] != string(p.id) || name[len(p.id)] != '.' || name[len(p.id)+1:] != string(p.name) {
			continue
		}
		off := len(b.Arena)
		b.Arena = appendUnescaped(b.Arena, p.value)
		row[slot] = record.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
	}
}

// Each calls visit for every field of a plain body until it returns false: the fixed ones in
// the order of the package comment, then the structured data. A body that does not match
// has no fields. value is valid until visit returns.
func Each(body []byte, visit func(name string, value []byte) bool) {
	var l line
	if !l.parse(body) {
		return
	}
	for f, name := range fieldNames {
		v := l.values[f]
		if (field(f) == facility || field(f) == severity) && l.values[priority] != nil {
			v = l.number(field(f), new([2]byte))
		}
		if v != nil && !visit(name, v) {
			return
		}
	}
	for p := (params{rest: l.data}); p.next(); {
		if !visit(dataPrefix+string(p.id)+"."+string(p.name), appendUnescaped(nil, p.value)) {
			return
		}
	}
}

// line is what a line is made of; values that it lacks are nil.
type line struct {
	values [fields][]byte // facility and severity are in the priority
	prio   int
	data   []byte // [id name="value"]…, which is well formed
}

// number returns the facility or the severity in digits.
func (l *line) number(f field, buf *[2]byte) []byte {
	n := l.prio >> 3
	if f == severity {
		n = l.prio & 7
	}
	if n < 10 {
		buf[0] = byte('0' + n)
		return buf[:1]
	}
	buf[0], buf[1] = byte('0'+n/10), byte('0'+n%10)
	return buf[:]
}

func (l *line) parse(text []byte) bool {
	rest, ok := l.priority(text)
	if !ok {
		return false
	}
	if l.values[priority] != nil && len(rest) > 2 && rest[0] == '1' && rest[1] == ' ' {
		return l.modern(rest[2:])
	}
	return l.classic(rest)
}

// priority reads <n>, which a line of RFC 3164 may lack.
func (l *line) priority(text []byte) (rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '<' {
		return text, true
	}
	i := 1
	for ; i < len(text) && i < 4 && text[i]-'0' <= 9; i++ {
		l.prio = l.prio*10 + int(text[i]-'0')
	}
	if i == 1 || i == len(text) || text[i] != '>' || l.prio > 191 || text[1] == '0' && i > 2 {
		return nil, false
	}
	l.values[priority] = text[1:i]
	return text[i+1:], true
}

// take takes a word for f off rest; "-" stands for none.
func (l *line) take(f field, rest []byte) (after []byte, ok bool) {
	i := bytes.IndexByte(rest, ' ')
	if i <= 0 {
		return nil, false
	}
	if i > 1 || rest[0] != '-' {
		l.values[f] = rest[:i]
	}
	return rest[i+1:], true
}

// modern reads what follows the version of RFC 5424.
func (l *line) modern(rest []byte) bool {
	ok := true
	for f := timestamp; f <= msgid && ok; f++ {
		rest, ok = l.take(f, rest)
	}
	if !ok || len(rest) == 0 {
		return false
	}
	if rest[0] == '-' {
		rest = rest[1:]
	} else {
		p := params{rest: rest}
		for p.next() {
		}
		if p.bad || len(p.rest) == len(rest) {
			return false
		}
		l.data, rest = rest[:len(rest)-len(p.rest)], p.rest
	}
	if len(rest) == 0 {
		return true
	}
	l.values[message] = bytes.TrimPrefix(rest[1:], []byte("\xef\xbb\xbf"))
	return rest[0] == ' '
}

// classic reads RFC 3164: Mmm dd hh:mm:ss host tag[pid]: message. rsyslog writes an ISO
// time, programs that log to the local daemon leave the host out, and where there is a
// priority the rest may be but a message.
func (l *line) classic(rest []byte) bool {
	n := classicTime(rest)
	if n == 0 {
		n = isoTime(rest)
	}
	if n == 0 || n == len(rest) || rest[n] != ' ' {
		l.tagged(rest)
		return l.values[priority] != nil
	}
	l.values[timestamp], rest = rest[:n], rest[n+1:]
	if l.tagged(rest) {
		return true
	}
	rest, ok := l.take(hostname, rest)
	if ok {
		l.tagged(rest)
	}
	return ok
}

// tagged reads tag[pid]: message, or but a message when there is no such tag.
func (l *line) tagged(rest []byte) bool {
	l.values[message] = rest
	end := bytes.IndexAny(rest, " :[")
	if end <= 0 || rest[end] == ' ' {
		return false
	}
	tag, after := rest[:end], rest[end:]
	var pid []byte
	if after[0] == '[' {
		end := bytes.IndexAny(after, " ]")
		if end < 0 || after[end] == ' ' {
			return false
		}
		pid, after = after[1:end], after[end+1:]
	}
	text, ok := bytes.CutPrefix(after, []byte(":"))
	if !ok || len(text) > 0 && text[0] != ' ' {
		return false // as in an address of IPv6
	}
	l.values[appname], l.values[procid] = tag, pid
	l.values[message] = bytes.TrimPrefix(text, []byte(" "))
	return true
}

// classicTime returns the length of "Oct 11 22:14:15" at the start of b, else 0.
func classicTime(b []byte) int {
	const form = "Mmm dd 00:00:00"
	if len(b) < len(form) {
		return 0
	}
	switch string(b[:3]) {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
	default:
		return 0
	}
	return fits(b, form)
}

// isoTime returns the length of an RFC 3339 time at the start of b, else 0.
func isoTime(b []byte) int {
	n := fits(b, "0000-00-00T00:00:00")
	if n == 0 {
		return 0
	}
	for n < len(b) && (b[n]-'0' <= 9 || b[n] == '.' || b[n] == ':' || b[n] == '+' || b[n] == '-' || b[n] == 'Z') {
		n++
	}
	return n
}

// fits returns the length of form if b begins in that form, else 0. In a form 0 stands for
// a digit, the first d for a digit or a space, and letters of a month for themselves, which
// the caller has looked at.
func fits(b []byte, form string) int {
	if len(b) < len(form) {
		return 0
	}
	for i := range len(form) {
		ok := b[i] == form[i]
		switch form[i] {
		case 'M', 'm':
			ok = true
		case 'd':
			ok = b[i]-'0' <= 9 || b[i] == ' ' && form[i+1] == 'd'
		case '0':
			ok = b[i]-'0' <= 9
		}
		if !ok {
			return 0
		}
	}
	return len(form)
}
