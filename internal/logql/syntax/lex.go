package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql/unit"
)

type kind uint8

const (
	tokEOF kind = iota
	tokIdent
	tokString   // value holds what the quotes hold
	tokNumber   // a float
	tokDuration // 5m
	tokBytes    // 5KiB
	tokOp       // text says which
	tokFlag     // --strict
)

type token struct {
	kind  kind
	text  string // as written
	value string // of a string
	at    int    // byte offset
}

// is tells whether the token is this operator or word.
func (t token) is(text string) bool {
	return t.text == text && (t.kind == tokOp || t.kind == tokIdent)
}

// String says what the token is, for an error message.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of query"
	case tokIdent:
		return "identifier " + t.text
	case tokString:
		return "string " + t.text
	case tokNumber:
		return "number " + t.text
	case tokDuration:
		return "duration " + t.text
	case tokBytes:
		return "size " + t.text
	}
	return t.text
}

type lexer struct {
	text string
	at   int
	toks []token
}

// operators are ordered so that the longer of two that begin alike comes first.
var operators = []string{
	"|=", "|~", "|>", "!=", "!~", "!>", "==", "=~", ">=", "<=",
	"|", "=", ">", "<", "{", "}", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "^",
}

// lex splits a query into tokens; the last is tokEOF.
func lex(text string) ([]token, *failure) {
	l := lexer{text: text}
	for {
		l.space()
		if l.at == len(text) {
			return append(l.toks, token{kind: tokEOF, at: l.at}), nil
		}
		if err := l.next(); err != nil {
			return nil, err
		}
	}
}

// space skips blanks and comments.
func (l *lexer) space() {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == '#':
			if end := strings.IndexByte(l.text[l.at:], '\n'); end >= 0 {
				l.at += end
			} else {
				l.at = len(l.text)
			}
		case strings.IndexByte(" \t\r\n", c) < 0:
			return
		default:
			l.at++
		}
	}
}

func (l *lexer) add(k kind, end int, value string) {
	l.toks = append(l.toks, token{kind: k, text: l.text[l.at:end], value: value, at: l.at})
	l.at = end
}

func (l *lexer) next() *failure {
	rest := l.text[l.at:]
	c := rest[0]
	switch {
	case isIdent(c, false):
		end := l.at + 1
		for end < len(l.text) && isIdent(l.text[end], true) {
			end++
		}
		l.add(tokIdent, end, "")
		return nil
	case c >= '0' && c <= '9', c == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		return l.number()
	case c == '"' || c == '`':
		return l.quoted()
	case strings.HasPrefix(rest, "--") && len(rest) > 2 && isIdent(rest[2], false):
		end := l.at + 2
		for end < len(l.text) && (isIdent(l.text[end], true) || l.text[end] == '-') {
			end++
		}
		l.add(tokFlag, end, "")
		return nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			l.add(tokOp, l.at+len(op), "")
			return nil
		}
	}
	return l.strange(rest)
}

// strange names a character that begins nothing, with the remedy where it is known.
func (l *lexer) strange(rest string) *failure {
	switch rest[0] {
	case '\'':
		return fail(l.at, "strings are written in double quotes or backquotes, not in single quotes")
	case '$':
		return fail(l.at, "variables such as $__interval are filled in by Grafana; write a duration, as in 5m")
	case '@':
		return fail(l.at, "the @ modifier is not supported")
	case ':':
		return fail(l.at, "subqueries, as in [5m:1m], are not supported")
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return fail(l.at, "syntax error: unexpected character %q", r)
}

func (l *lexer) quoted() *failure {
	rest := l.text[l.at:]
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
			return fail(l.at, "invalid string: check its backslashes, or write it in backquotes")
		}
		return fail(l.at, "literal not terminated: the string has no closing %c", rest[0])
	}
	value, err := strconv.Unquote(quoted)
	if err != nil {
		return fail(l.at, "invalid string %s", quoted)
	}
	l.add(tokString, l.at+len(quoted), value)
	return nil
}

// number reads a number, a duration or a size: what begins with a digit, up to what
// belongs to none of them.
func (l *lexer) number() *failure {
	end := l.at
	for end < len(l.text) {
		c := l.text[end]
		exponent := (c == '+' || c == '-') && end+1 < len(l.text) && digit(l.text[end+1]) &&
			(l.text[end-1] == 'e' || l.text[end-1] == 'E') && decimal(l.text[l.at:end-1])
		// µ and μ are two bytes each, all of them at least 0x80.
		if !exponent && c != '.' && !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c < 0x80 {
			break
		}
		end++
	}
	text := l.text[l.at:end]
	if c := text[len(text)-1]; c == '.' {
		return fail(l.at, "bad number %s", text)
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil && !strings.ContainsAny(text, "xXpP_") {
		l.add(tokNumber, end, "")
		return nil
	}
	if _, err := unit.ParseDuration(text); err == nil {
		l.add(tokDuration, end, "")
		return nil
	}
	if _, err := unit.ParseBytes(text); err == nil {
		l.add(tokBytes, end, "")
		return nil
	}
	return fail(l.at, "%s is neither a number, nor a duration (5m, 1h30m), nor a size (5KB, 5KiB)", strconv.Quote(shortened(text)))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// decimal tells whether s consists of digits and points.
func decimal(s string) bool {
	for i := range len(s) {
		if s[i] != '.' && !digit(s[i]) {
			return false
		}
	}
	return s != ""
}

// isIdent tells whether c may stand in an identifier, inside or at its start.
func isIdent(c byte, inside bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || inside && digit(c)
}

// A ParseError says what is wrong with a query, and where.
type ParseError struct {
	Offset  int // in bytes, from 0
	Line    int // from 1
	Column  int // in characters, from 1
	Message string
}

// Error returns the message with the place, worded as Loki does.
func (e *ParseError) Error() string {
	return fmt.Sprintf("parse error at line %d, col %d: %s", e.Line, e.Column, e.Message)
}

// failure is a ParseError that does not know its line yet.
type failure struct {
	at      int
	message string
}

func fail(at int, format string, args ...any) *failure {
	return &failure{at, fmt.Sprintf(format, args...)}
}

func (f *failure) in(text string) *ParseError {
	at := min(f.at, len(text))
	line := strings.LastIndexByte(text[:at], '\n') + 1
	return &ParseError{
		Offset:  at,
		Line:    1 + strings.Count(text[:at], "\n"),
		Column:  1 + utf8.RuneCountInString(text[line:at]),
		Message: f.message,
	}
}

// shortened cuts what is quoted from a query in a message.
func shortened(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
