package crawl

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// moment is a time in a template. The zero one is written as nothing, so that a parameter
// that has it is left out.
type moment struct{ time.Time }

// String returns m as RFC 3339 in UTC, with as much of a second as it has.
func (m moment) String() string {
	if m.IsZero() {
		return ""
	}
	return m.UTC().Format(time.RFC3339Nano)
}

func momentOf(ns int64) moment {
	if ns == 0 {
		return moment{}
	}
	return moment{time.Unix(0, ns)}
}

// variables are what templates can say.
type variables struct {
	// Cursor is the id or token that the cursor is; "" at first.
	Cursor string
	// Since and Until are what the run asks for, Now is the server's time.
	Since, Until, Now moment
	// Token is the next page's, "" on the first page.
	Token string
	// Page is the number of the page, Offset how many records came before it.
	Page, Offset int
}

func number(m moment, unit time.Duration) string {
	if m.IsZero() {
		return ""
	}
	return strconv.FormatInt(m.UnixNano()/int64(unit), 10)
}

// functions are what templates can do.
func functions() template.FuncMap {
	unix := func(unit time.Duration) func(moment) string {
		return func(m moment) string { return number(m, unit) }
	}
	date := func(layout string, m moment) string {
		if m.IsZero() {
			return ""
		}
		return m.UTC().Format(layout)
	}
	return template.FuncMap{
		"unix": unix(time.Second), "unix_ms": unix(time.Millisecond), "unix_us": unix(time.Microsecond), "unix_ns": unix(1),
		"rfc3339": func(m moment) string { return date("2006-01-02T15:04:05Z", m) },
		"date":    date,
		"ago": func(text string, m moment) (moment, error) {
			d, err := config.ParseDuration(text)
			if err != nil {
				return m, fmt.Errorf("%q is no duration, as 5m", text)
			}
			if m.IsZero() {
				return m, nil
			}
			return moment{m.Add(-d)}, nil
		},
		"json": func(v any) (string, error) {
			b, err := json.Marshal(fmt.Sprint(v))
			return string(b), err
		},
	}
}

// text is a template, or a text without one.
type text struct {
	plain string
	t     *template.Template
}

// parseText reads a template and tries it.
func parseText(s string) (text, error) {
	if !strings.Contains(s, "{{") {
		return text{plain: s}, nil
	}
	t, err := template.New("").Option("missingkey=error").Funcs(functions()).Parse(s)
	if err != nil {
		return text{}, templateError(err)
	}
	made := text{t: t}
	for _, v := range []variables{{}, {Cursor: "1", Since: momentOf(1), Until: momentOf(2), Now: momentOf(3), Token: "2", Page: 1, Offset: 1}} {
		if _, err := made.with(&v); err != nil {
			return text{}, err
		}
	}
	return made, nil
}

// templateError returns an error without what says where in which template it is.
func templateError(err error) error {
	message := strings.TrimPrefix(err.Error(), "template: ")
	if i := strings.Index(message, ": "); i >= 0 {
		message = strings.TrimPrefix(message[i+2:], `executing "" `)
	}
	return fmt.Errorf("template: %s", message)
}

// with returns the text with variables.
func (t text) with(v *variables) (string, error) {
	if t.t == nil {
		return t.plain, nil
	}
	var b strings.Builder
	if err := t.t.Execute(&b, v); err != nil {
		return "", templateError(err)
	}
	return b.String(), nil
}
