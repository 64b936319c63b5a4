package nginx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/scan"
)

// parse takes a format apart: the text before the first variable, then the variables, each
// with the text after it.
func parse(format string) (before string, fields []scan.Field, err error) {
	text, escape, err := unwrap(strings.TrimSpace(format))
	if err != nil {
		return "", nil, err
	}
	if text == "combined" {
		text = Combined
	}
	before, rest, found := strings.Cut(text, "$")
	var names []string
	for found {
		var name, after string
		if name, rest, err = variable(rest); err != nil {
			return "", nil, err
		}
		if after, rest, found = strings.Cut(rest, "$"); found && after == "" {
			return "", nil, fmt.Errorf("the variable $%s ends nowhere: there is nothing between it and the next", name)
		}
		field := scan.Field{Name: name, After: after, Take: take(name)}
		last := before
		if n := len(fields); n > 0 {
			last = fields[n-1].After
		}
		switch {
		case escape != "default":
			// Quotes may be in values then. A number is still one.
			if field.Take != scan.Digits {
				field.Take = scan.Until
			}
		case strings.HasSuffix(last, `"`) && strings.HasPrefix(after, `"`):
			field.Take = scan.Quoted
		}
		if slices.Contains(names, name) {
			field.Name = "" // the first one is enough
		}
		names = append(names, name)
		fields = append(fields, field)
	}
	if len(fields) == 0 {
		return "", nil, errors.New("the format has no variables: write combined, or the text of a log_format, such as $remote_addr [$time_local] …")
	}
	return before, fields, nil
}

// variable returns the name at the start of s, which follows a $, and what is after it.
func variable(s string) (name, rest string, err error) {
	word := func(s string) int {
		n := 0
		for n < len(s) && (s[n] == '_' || '0' <= s[n] && s[n] <= '9' || 'a' <= s[n]|0x20 && s[n]|0x20 <= 'z') {
			n++
		}
		return n
	}
	if braced, ok := strings.CutPrefix(s, "{"); ok {
		if n := word(braced); n > 0 && strings.HasPrefix(braced[n:], "}") {
			return braced[:n], braced[n+1:], nil
		}
	} else if n := word(s); n > 0 {
		return s[:n], s[n:], nil
	}
	return "", "", fmt.Errorf("no variable follows the $ in %q", "$"+s)
}

// unwrap returns the text of a format that may still be as in nginx.conf: with
// `log_format name`, with escape=…, as several quoted strings, with a semicolon.
func unwrap(s string) (text, escape string, err error) {
	escape = "default"
	conf := false
	if rest, ok := strings.CutPrefix(s, "log_format"); ok && strings.TrimLeft(rest, " \t\n") != rest {
		_, s = cutWord(strings.TrimSpace(rest)) // the format's name
		conf = true
	}
	if strings.HasPrefix(s, "escape=") {
		var word string
		word, s = cutWord(s)
		switch escape = strings.TrimPrefix(word, "escape="); escape {
		case "default", "json", "none":
		default:
			return "", "", fmt.Errorf("escape=%s: nginx knows default, json and none", escape)
		}
	}
	// A format that begins with a double quote has it, unless this is from nginx.conf.
	if !strings.HasPrefix(s, "'") && !(conf && strings.HasPrefix(s, `"`)) {
		if conf {
			s = strings.TrimSuffix(s, ";")
		}
		return s, escape, nil
	}
	var b strings.Builder
	for s != "" && s != ";" {
		piece, rest, err := unquote(s)
		if err != nil {
			return "", "", err
		}
		b.WriteString(piece)
		s = strings.TrimSpace(rest)
	}
	return b.String(), escape, nil
}

// cutWord returns the first word of s and the rest after the space.
func cutWord(s string) (word, rest string) {
	if n := strings.IndexAny(s, " \t\n\r"); n >= 0 {
		return s[:n], strings.TrimSpace(s[n:])
	}
	return s, ""
}

// unquote returns what the quoted string at the start of s stands for in nginx.conf.
func unquote(s string) (text, rest string, err error) {
	quote := s[0]
	if quote != '\'' && quote != '"' {
		return "", "", fmt.Errorf("a quoted string is expected at %q", s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote:
			return b.String(), s[i+1:], nil
		case c == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			case 'n':
				c = '\n'
			case '"', '\'', '\\':
				c = s[i]
			default:
				b.WriteByte('\\')
				c = s[i]
			}
		}
		b.WriteByte(c)
	}
	return "", "", fmt.Errorf("the quoted string does not end: %s", s)
}

// take returns what the values of a variable are made of where no quotes enclose them.
// Those of variables that are not known may be anything.
func take(name string) scan.Take {
	switch name {
	case "status":
		return scan.Digits
	case "remote_addr", "remote_port", "realip_remote_addr", "realip_remote_port", "proxy_protocol_addr", "proxy_protocol_port",
		"bytes_sent", "body_bytes_sent", "bytes_received", "request_length", "request_time", "request_id", "request_method", "session_time",
		"connection", "connection_requests", "connection_time", "msec", "time_iso8601", "pid", "pipe", "host", "hostname", "protocol",
		"server_name", "server_addr", "server_port", "server_protocol", "scheme", "http_host", "nginx_version", "gzip_ratio",
		"ssl_protocol", "ssl_cipher", "upstream_cache_status", "content_length", "limit_req_status", "limit_conn_status":
		return scan.Word
	case "upstream_addr", "upstream_status", "upstream_connect_time", "upstream_header_time", "upstream_response_time",
		"upstream_response_length", "upstream_bytes_received", "upstream_bytes_sent", "upstream_queue_time",
		"upstream_first_byte_time", "upstream_session_time", "http_x_forwarded_for", "proxy_add_x_forwarded_for":
		return scan.List
	}
	return scan.Until
}
