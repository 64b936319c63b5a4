package template

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql/unit"
)

// functions returns the table of functions, bound to the runner.
func (r *Runner) functions() template.FuncMap {
	m := template.FuncMap{
		"__line__":               func() string { return r.Line },
		"__timestamp__":          func() time.Time { return r.Time },
		"now":                    r.now,
		tick:                     r.turn,
		"count":                  r.count,
		"regexReplaceAll":        r.replaceAll,
		"regexReplaceAllLiteral": r.replaceAllLiteral,
	}
	for name, f := range r.stringFunctions() {
		m[name] = f
	}
	for name, f := range numberFunctions() {
		m[name] = f
	}
	for name, f := range r.timeFunctions() {
		m[name] = f
	}
	for name, f := range r.printFunctions() {
		m[name] = f
	}
	return m
}

func (r *Runner) now() time.Time {
	if r.Now.IsZero() {
		return time.Now()
	}
	return r.Now
}

func (r *Runner) turn() (string, error) {
	if r.turns++; r.turns > maxTurns {
		return "", errTurns
	}
	return "", nil
}

// compile keeps the expressions of a template, which are few unless they come from labels.
func (r *Runner) compile(expr string) (*regexp.Regexp, error) {
	if re := r.cache[expr]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(expr)
	if err == nil && len(r.cache) < 64 {
		r.cache[expr] = re
	}
	return re, err
}

func (r *Runner) count(expr, text string) (int, error) {
	re, err := r.compile(expr)
	if err == nil {
		err = r.spend(len(text))
	}
	if err != nil {
		return 0, err
	}
	return len(re.FindAllStringIndex(text, -1)), nil
}

func (r *Runner) replaceAll(expr, text, with string) (string, error) {
	return r.replaced(expr, text, with, (*regexp.Regexp).ReplaceAllString)
}

func (r *Runner) replaceAllLiteral(expr, text, with string) (string, error) {
	return r.replaced(expr, text, with, (*regexp.Regexp).ReplaceAllLiteralString)
}

func (r *Runner) replaced(expr, text, with string, f func(*regexp.Regexp, string, string) string) (string, error) {
	re, err := r.compile(expr)
	if err == nil {
		err = r.spend(len(text))
	}
	if err != nil {
		return "", err
	}
	// A match may be a byte or none, and $0 in what replaces it as long as the text.
	if len(with)*(len(text)+1) > maxWork {
		return "", errTooLong
	}
	return r.short(f(re, text, with))
}

// stringFunctions have the arguments in Loki's order: what is worked on comes last, so
// that it can come through a pipe. Those with capitals are Loki's older names.
func (r *Runner) stringFunctions() template.FuncMap {
	return template.FuncMap{
		"lower": strings.ToLower, "upper": strings.ToUpper, "title": title,
		"ToLower": strings.ToLower, "ToUpper": strings.ToUpper,
		"Replace": func(s, from, to string, n int) (string, error) { return r.replace(from, to, s, n) },
		"Trim":    strings.Trim, "TrimLeft": strings.TrimLeft, "TrimRight": strings.TrimRight,
		"TrimPrefix": strings.TrimPrefix, "TrimSuffix": strings.TrimSuffix, "TrimSpace": strings.TrimSpace,
		"trim":       strings.TrimSpace,
		"trimAll":    func(chars, s string) string { return strings.Trim(s, chars) },
		"trimPrefix": func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
		"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
		"contains":   func(part, s string) bool { return strings.Contains(s, part) },
		"hasPrefix":  func(prefix, s string) bool { return strings.HasPrefix(s, prefix) },
		"hasSuffix":  func(suffix, s string) bool { return strings.HasSuffix(s, suffix) },
		"replace":    func(from, to, s string) (string, error) { return r.replace(from, to, s, -1) },
		"repeat":     r.repeat, "substr": substr, "trunc": trunc,
		"indent":     r.indent,
		"nindent":    func(n int, s string) (string, error) { s, err := r.indent(n, s); return "\n" + s, err },
		"alignLeft":  func(n int, s string) (string, error) { return r.align(n, s, false) },
		"alignRight": func(n int, s string) (string, error) { return r.align(n, s, true) },
		"default": func(otherwise, s string) string {
			if s == "" {
				return otherwise
			}
			return s
		},
		"urlencode": func(s string) (string, error) { return r.short(url.QueryEscape(s)) },
		"urldecode": url.QueryUnescape,
		"b64enc":    func(s string) (string, error) { return r.short(base64.StdEncoding.EncodeToString([]byte(s))) },
		"b64dec": func(s string) (string, error) {
			b, err := base64.StdEncoding.DecodeString(s)
			return string(b), err
		},
		"fromJson": fromJSON,
		"bytes":    func(s string) (float64, error) { n, err := unit.ParseBytes(s); return float64(n), err },
	}
}

// printFunctions stand in for those of text/template, which have no bounds.
func (r *Runner) printFunctions() template.FuncMap {
	return template.FuncMap{
		"printf": func(format string, args ...any) (string, error) {
			// Each verb prints at most the longest argument or the widest width.
			if strings.Count(format, "%")*longest(format, args) > maxWork {
				return "", errTooLong
			}
			return r.short(fmt.Sprintf(format, args...))
		},
		"print": func(args ...any) (string, error) {
			if len(args)*longest("", args) > maxWork {
				return "", errTooLong
			}
			return r.short(fmt.Sprint(args...))
		},
		"println": func(args ...any) (string, error) {
			if len(args)*longest("", args) > maxWork {
				return "", errTooLong
			}
			return r.short(fmt.Sprintln(args...))
		},
		"html":     func(args ...any) (string, error) { return r.escaped(template.HTMLEscaper, args) },
		"js":       func(args ...any) (string, error) { return r.escaped(template.JSEscaper, args) },
		"urlquery": func(args ...any) (string, error) { return r.escaped(template.URLQueryEscaper, args) },
	}
}

func (r *Runner) escaped(escape func(...any) string, args []any) (string, error) {
	if len(args)*longest("", args) > maxWork {
		return "", errTooLong
	}
	return r.short(escape(args...))
}

// longest bounds what one verb of a format prints.
func longest(format string, args []any) int {
	most := 64 // of a number
	for _, arg := range args {
		switch arg := arg.(type) {
		case string:
			most = max(most, 6*len(arg)) // %q may escape each byte
		case int:
			most = max(most, min(arg, maxOutput)) // of %*d
		case float64, int64, bool, time.Time, nil:
			most = max(most, 512)
		default: // what fromJson made
			most = max(most, maxOutput/16)
		}
	}
	digits := 0
	for _, c := range []byte(format) { // %1000000d
		if digits = digits*10 + int(c-'0'); c < '0' || c > '9' {
			digits = 0
		}
		digits = min(digits, maxOutput)
		most = max(most, digits)
	}
	return most
}

func (r *Runner) timeFunctions() template.FuncMap {
	seconds := func(s string) (float64, error) { d, err := time.ParseDuration(s); return d.Seconds(), err }
	return template.FuncMap{
		"duration": seconds, "duration_seconds": seconds,
		"date": func(layout string, t any) (string, error) {
			s, err := date(layout, t)
			if err != nil {
				return "", err
			}
			return r.short(s)
		},
		"toDate":          func(layout, s string) (time.Time, error) { return time.ParseInLocation(layout, s, time.Local) },
		"toDateInZone":    toDateInZone,
		"unixEpoch":       func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
		"unixEpochMillis": func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) },
		"unixEpochNanos":  func(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) },
		"unixToTime":      unixToTime,
	}
}

// spend counts the bytes that functions work on for one record.
func (r *Runner) spend(n int) error {
	if r.work += n; r.work > maxWork {
		return errWork
	}
	return nil
}

// short refuses text that is longer than a result may be.
func (r *Runner) short(s string) (string, error) {
	if len(s) > maxOutput {
		return "", errTooLong
	}
	return s, r.spend(len(s))
}

func title(s string) string {
	previous := ' '
	return strings.Map(func(c rune) rune {
		begins := !unicode.IsLetter(previous) && !unicode.IsDigit(previous) && previous != '_' && previous != '\''
		previous = c
		if begins {
			return unicode.ToTitle(c)
		}
		return c
	}, s)
}

func (r *Runner) replace(from, to, s string, n int) (string, error) {
	if len(s)+strings.Count(s, from)*max(0, len(to)-len(from)) > maxOutput {
		return "", errTooLong
	}
	return r.short(strings.Replace(s, from, to, n))
}

func (r *Runner) repeat(n int, s string) (string, error) {
	if n < 0 || len(s) > 0 && n > maxOutput/len(s) {
		return "", errTooLong
	}
	return r.short(strings.Repeat(s, n))
}

// substr is the text from a byte to another; a bound that is outside is the nearest end.
func substr(start, end int, s string) string {
	if start < 0 {
		start = 0
	}
	if end < 0 || end > len(s) {
		end = len(s)
	}
	if start > end {
		return ""
	}
	return s[start:end]
}

// trunc is the first n bytes or, for a negative n, the last.
func trunc(n int, s string) string {
	switch {
	case n < 0 && len(s)+n > 0:
		return s[len(s)+n:]
	case n >= 0 && len(s) > n:
		return s[:n]
	}
	return s
}

func (r *Runner) indent(n int, s string) (string, error) {
	pad, err := r.repeat(n, " ")
	if err != nil {
		return "", err
	}
	text, err := r.replace("\n", "\n"+pad, s, -1)
	return pad + text, err
}

// align makes s n characters long, by spaces or by cutting.
func (r *Runner) align(n int, s string, right bool) (string, error) {
	have := utf8.RuneCountInString(s)
	switch {
	case n < 0:
		return s, nil
	case n < have && right:
		return string([]rune(s)[have-n:]), nil
	case n < have:
		return string([]rune(s)[:n]), nil
	}
	pad, err := r.repeat(n-have, " ")
	if right {
		return pad + s, err
	}
	return s + pad, err
}

// fromJSON returns "" for what is no JSON.
func fromJSON(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return ""
	}
	return v
}

func date(layout string, t any) (string, error) {
	switch t := t.(type) {
	case time.Time:
		return t.Format(layout), nil
	case *time.Time:
		return t.Format(layout), nil
	case int64:
		return time.Unix(t, 0).Format(layout), nil
	case int:
		return time.Unix(int64(t), 0).Format(layout), nil
	}
	return "", fmt.Errorf("date: %T is not a time", t)
}

func toDateInZone(layout, zone, s string) (time.Time, error) {
	l, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, err
	}
	return time.ParseInLocation(layout, s, l)
}

// unixToTime reads an epoch in days, seconds, milli-, micro- or nanoseconds: its number
// of digits says which.
func unixToTime(epoch string) (time.Time, error) {
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("unixToTime: %q is not a whole number", epoch)
	}
	switch len(epoch) {
	case 5:
		return time.Unix(n*24*60*60, 0), nil
	case 10:
		return time.Unix(n, 0), nil
	case 13:
		return time.UnixMilli(n), nil
	case 16:
		return time.UnixMicro(n), nil
	case 19:
		return time.Unix(0, n), nil
	}
	return time.Time{}, errors.New("unixToTime: an epoch has 5, 10, 13, 16 or 19 digits")
}
