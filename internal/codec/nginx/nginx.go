// Package nginx takes the fields from nginx's access lines, given the log_format they were
// written with.
//
//	f, err := nginx.Compile("combined")
//	row := make([]record.Span, len(f.Names())) // remote_addr, remote_user, …
//	if f.Match(row, b.Arena, rec.Body, rec.Flags&record.Escaped != 0) == scan.Matched { … }
//
// A field has the name of its variable. Of $request there are also its parts: method, path
// and protocol, absent if a client sent something else than a request. A line may go on
// after the format's end, so combined fits every format that begins like it.
//
// A Format does not change and may be used concurrently. What nginx escaped in a value, as
// \x22, stays so.
package nginx

import (
	"bytes"
	"slices"

	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/record"
)

// Combined is the format that nginx calls so.
const Combined = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`

// Format is a compiled log_format.
type Format struct {
	pattern *scan.Pattern
	names   []string
	// request is the place of $request in a row, -1 without it; parts are those of method,
	// path and protocol.
	request int
	parts   [3]int
}

// Compile returns the format of a log_format: combined, or the format's text, or the
// directive or its parameters as they are in nginx.conf.
func Compile(format string) (*Format, error) {
	before, fields, err := parse(format)
	if err != nil {
		return nil, err
	}
	f := &Format{request: -1}
	if f.pattern, err = scan.CompileFields(before, fields); err != nil {
		return nil, err
	}
	f.names = slices.Clone(f.pattern.Names())
	f.request = slices.Index(f.names, "request")
	for i, name := range []string{"method", "path", "protocol"} {
		// A variable of that name, made by the user, comes first.
		if f.parts[i] = -1; f.request >= 0 && !slices.Contains(f.names, name) {
			f.parts[i] = len(f.names)
			f.names = append(f.names, name)
		}
	}
	return f, nil
}

// Names returns the names of the fields, in the order of a row.
func (f *Format) Names() []string { return f.names }

// Match takes the fields from body, a part of arena, into row, which has len(Names())
// elements: see scan.Pattern.Match.
func (f *Format) Match(row []record.Span, arena []byte, body record.Span, escaped bool) scan.Result {
	n := len(f.pattern.Names())
	result := f.pattern.Match(row[:n], arena, body, escaped)
	if result != scan.Matched || f.request < 0 {
		return result
	}
	request := row[f.request]
	parts, ok := split(arena[request.Off:request.Off+request.Len], escaped)
	if !ok {
		return scan.NeedPlain
	}
	for i, at := range f.parts {
		if at < 0 {
			continue
		}
		if row[at] = parts[i]; parts[i].Len > 0 {
			row[at].Off += request.Off
		}
	}
	return scan.Matched
}

// Stopped returns how much of text, which is plain and does not match, the format fits.
func (f *Format) Stopped(text []byte) int { return f.pattern.Stopped(text) }

// split returns the method, the path and the protocol in a request line, relative to it.
// They are all absent in what is not a request, and the protocol in one of HTTP 0.9. A
// path may have spaces: nginx took them for a long time. It is not ok if escapes are in
// the way.
func split(request []byte, escaped bool) (parts [3]record.Span, ok bool) {
	n := 0
	for n < len(request) && isMethod(request[n]) {
		n++
	}
	if escaped && n < len(request) && request[n] == '\\' && hides(request[n:]) {
		return parts, false
	}
	if n == 0 || n+1 >= len(request) || request[n] != ' ' {
		return parts, true
	}
	rest := request[n+1:]
	parts[0] = record.Span{Len: uint32(n)}
	if at := len(rest) - len(" HTTP/1.1"); at > 0 && isProtocol(rest[at:]) {
		// No escape in what is before can change where the last space is.
		parts[1] = record.Span{Off: uint32(n + 1), Len: uint32(at)}
		parts[2] = record.Span{Off: uint32(n + 1 + at + 1), Len: uint32(len("HTTP/1.1"))}
		return parts, true
	}
	if escaped && hides(rest) {
		return parts, false
	}
	path := len(rest)
	if space := bytes.LastIndexByte(rest, ' '); space >= 0 && bytes.HasPrefix(rest[space+1:], []byte("HTTP/")) {
		path = space
		parts[2] = record.Span{Off: uint32(n + 1 + space + 1), Len: uint32(len(rest) - space - 1)}
	}
	parts[1] = record.Span{Off: uint32(n + 1), Len: uint32(path)}
	return parts, true
}

// isMethod tells whether c may be part of a request method. nginx takes these and no more.
func isMethod(c byte) bool {
	return 'A' <= c && c <= 'Z' || c == '_' || c == '-'
}

// isProtocol tells whether s, of nine bytes, is a space and a protocol in the usual form.
func isProtocol(s []byte) bool {
	return string(s[:6]) == " HTTP/" && s[6]-'0' < 10 && s[7] == '.' && s[8]-'0' < 10
}

// hides tells whether s has an escape of a character that split looks for. Those that
// Docker writes, \u0026 and the like, are none.
func hides(s []byte) bool {
	for {
		n := bytes.IndexByte(s, '\\')
		if n < 0 || n+1 == len(s) {
			return false
		}
		if s = s[n+1:]; s[0] == '/' || s[0] == 'u' && !isEntity(s) {
			return true
		}
		s = s[1:]
	}
}

// isEntity tells whether s begins with u0026, u003c or u003e.
func isEntity(s []byte) bool {
	if len(s) < 5 {
		return false
	}
	switch string(s[:5]) {
	case "u0026", "u003c", "u003e":
		return true
	}
	return false
}
