// Package syslog reads the lines of RFC 3164, as daemons and rsyslog's files have them, with
// or without <priority>, and of RFC 5424:
//
//	<34>Oct 11 22:14:15 web-1 su[230]: 'su root' failed
//	<165>1 2026-10-11T22:14:15.003Z web-1 shop 8710 ID47 [order@1 id="7"] stock is out
//
//	m := syslog.New([]string{"appname", "msgid", "sd.order@1.id"})
//	ok := m.Match(batch, body, row)
//
// The fields are priority, facility, severity (numbers), timestamp, hostname, appname,
// procid, msgid, message, and sd.<id>.<name> for structured data, in which \" \\ and \] are
// unescaped. A nil value ("-") is an absent field. A Matcher may be used concurrently.
package syslog

import (
	"bytes"
	"strconv"

	"github.com/weirlog/weir/internal/record"
)

// Matcher takes wanted fields from lines.
type Matcher struct {
	names []string
}

// New returns a matcher of the named fields.
func New(names []string) *Matcher { return &Matcher{names: names} }

// Names returns the fields, in the order of a row.
func (m *Matcher) Names() []string { return m.names }

// Match puts the fields of the plain text body into row, as spans of b's arena, and says
// whether the text is a syslog line. Fields that it lacks stay as they are.
func (m *Matcher) Match(b *record.Batch, body record.Span, row []record.Span) bool {
	text := b.Bytes(body)
	return Each(text, func(name string, value []byte) bool {
		for i, wanted := range m.names {
			if wanted != name || len(value) == 0 {
				continue
			}
			if at, ok := offset(text, value); ok {
				row[i] = record.Span{Off: body.Off + uint32(at), Len: uint32(len(value))}
			} else {
				row[i] = b.Append(value)
			}
		}
		return true
	})
}

// offset returns where in text the slice value begins, if it is a slice of it.
func offset(text, value []byte) (int, bool) {
	at := cap(text) - cap(value)
	if at < 0 || at+len(value) > len(text) || &text[at] != &value[0] {
		return 0, false
	}
	return at, true
}

// Each calls visit with each field of a line until it returns false, and says whether the
// text is a syslog line. Nothing is visited when it is not. Values are valid until visit
// returns.
func Each(text []byte, visit func(name string, value []byte) bool) bool {
	p := parser{rest: text}
	if !p.priority() {
		return false
	}
	ok := false
	if version, after := p.word(); string(version) == "1" && p.prio != nil {
		p.rest = after
		ok = p.modern()
	} else {
		ok = p.classic()
	}
	if !ok {
		return false
	}
	p.visit(visit)
	return true
}

type parser struct {
	rest []byte

	prio                                                 []byte
	number                                               int
	timestamp, hostname, appname, procid, msgid, message []byte
	data                                                 []byte // [id name="value"]…
}

// priority reads <n>; a line without one may be of RFC 3164 all the same.
func (p *parser) priority() bool {
	if len(p.rest) == 0 || p.rest[0] != '<' {
		return len(p.rest) > 0
	}
	end := bytes.IndexByte(p.rest[:min(len(p.rest), 5)], '>')
	if end < 2 {
		return false
	}
	n, err := strconv.Atoi(string(p.rest[1:end]))
	if err != nil || n < 0 || n > 191 {
		return false
	}
	p.prio, p.number, p.rest = p.rest[1:end], n, p.rest[end+1:]
	return true
}

// word returns the text up to the next space, and what follows that.
func (p *parser) word() (word, after []byte) {
	end := bytes.IndexByte(p.rest, ' ')
	if end < 0 {
		return p.rest, nil
	}
	return p.rest[:end], p.rest[end+1:]
}

// take is word for a field that may be nil, "-".
func (p *parser) take() ([]byte, bool) {
	word, after := p.word()
	p.rest = after
	if len(word) == 0 {
		return nil, false
	}
	if len(word) == 1 && word[0] == '-' {
		return nil, true
	}
	return word, true
}

// modern reads what follows the version of RFC 5424.
func (p *parser) modern() bool {
	for _, field := range []*[]byte{&p.timestamp, &p.hostname, &p.appname, &p.procid, &p.msgid} {
		var ok bool
		if *field, ok = p.take(); !ok {
			return false
		}
	}
	if len(p.rest) == 0 {
		return false
	}
	if p.rest[0] == '-' {
		p.rest = p.rest[1:]
	} else {
		n := dataLen(p.rest)
		if n == 0 {
			return false
		}
		p.data, p.rest = p.rest[:n], p.rest[n:]
	}
	if len(p.rest) > 0 && p.rest[0] != ' ' {
		return false
	}
	p.message = bytes.TrimPrefix(bytes.TrimPrefix(p.rest, []byte(" ")), []byte("\xef\xbb\xbf"))
	return true
}

// dataLen returns the length of the structured data at the start of b, 0 if there is none.
func dataLen(b []byte) int {
	at := 0
	for at < len(b) && b[at] == '[' {
		quoted := false
		for at++; ; at++ {
			if at >= len(b) {
				return 0
			}
			if c := b[at]; quoted && c == '\\' {
				at++
			} else if c == '"' {
				quoted = !quoted
			} else if c == ']' && !quoted {
				at++
				break
			}
		}
	}
	return at
}

// classic reads RFC 3164: Mmm dd hh:mm:ss host tag[pid]: message. Modern daemons write an
// ISO timestamp in its place, which is as good.
func (p *parser) classic() bool {
	n := classicTime(p.rest)
	if n == 0 {
		if word, _ := p.word(); isoTime(word) {
			n = len(word)
		}
	}
	if n == 0 || len(p.rest) <= n || p.rest[n] != ' ' {
		return false
	}
	p.timestamp, p.rest = p.rest[:n], p.rest[n+1:]
	var ok bool
	if p.hostname, ok = p.take(); !ok {
		return false
	}
	p.message = p.rest
	tag := 0
	for tag < len(p.rest) && p.rest[tag] != ':' && p.rest[tag] != '[' && p.rest[tag] != ' ' {
		tag++
	}
	if tag == 0 || tag == len(p.rest) || p.rest[tag] == ' ' {
		return true // a message without a tag
	}
	p.appname = p.rest[:tag]
	rest := p.rest[tag:]
	if rest[0] == '[' {
		end := bytes.IndexByte(rest, ']')
		if end < 0 {
			return true
		}
		p.procid, rest = rest[1:end], rest[end+1:]
	}
	p.message = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte(":")), []byte(" "))
	return true
}

// classicTime returns the length of "Oct 11 22:14:15" at the start of b, else 0.
func classicTime(b []byte) int {
	const n = len("Oct 11 22:14:15")
	if len(b) < n || b[3] != ' ' || b[6] != ' ' || b[9] != ':' || b[12] != ':' {
		return 0
	}
	switch string(b[:3]) {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
	default:
		return 0
	}
	for _, i := range [...]int{5, 7, 8, 10, 11, 13, 14} {
		if b[i] < '0' || b[i] > '9' {
			return 0
		}
	}
	return n
}

func isoTime(b []byte) bool {
	return len(b) >= len("2026-11-20T17:56:45") && b[4] == '-' && b[7] == '-' && b[10] == 'T' && b[13] == ':' && b[16] == ':'
}

func (p *parser) visit(visit func(name string, value []byte) bool) {
	if p.prio != nil {
		var number [4]byte
		if !visit("priority", p.prio) || !visit("facility", strconv.AppendInt(number[:0], int64(p.number>>3), 10)) ||
			!visit("severity", strconv.AppendInt(number[:0], int64(p.number&7), 10)) {
			return
		}
	}
	for _, f := range []struct {
		name  string
		value []byte
	}{
		{"timestamp", p.timestamp}, {"hostname", p.hostname}, {"appname", p.appname},
		{"procid", p.procid}, {"msgid", p.msgid}, {"message", p.message},
	} {
		if f.value != nil && !visit(f.name, f.value) {
			return
		}
	}
	p.visitData(visit)
}

// visitData visits the parameters of the structured data, whose brackets and quotes are
// known to be balanced.
func (p *parser) visitData(visit func(name string, value []byte) bool) {
	b := p.data
	for len(b) > 1 && b[0] == '[' {
		idEnd := bytes.IndexAny(b, " ]")
		if idEnd < 0 {
			return
		}
		id := string(b[1:idEnd])
		b = b[idEnd:]
		for len(b) > 0 && b[0] == ' ' {
			eq := bytes.Index(b, []byte(`="`))
			if eq < 1 {
				return
			}
			name := string(b[1:eq])
			b = b[eq+2:]
			end := 0
			for end < len(b) && b[end] != '"' {
				if b[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(b) {
				return
			}
			if !visit("sd."+id+"."+name, unescape(b[:end])) {
				return
			}
			b = b[end+1:]
		}
		if len(b) == 0 || b[0] != ']' {
			return
		}
		b = b[1:]
	}
}

// unescape takes the backslashes before ", \ and ] away.
func unescape(v []byte) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	plain := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && bytes.IndexByte([]byte(`"\]`), v[i+1]) >= 0 {
			i++
		}
		plain = append(plain, v[i])
	}
	return plain
}
