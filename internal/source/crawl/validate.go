package crawl

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/config"
)

// datadogAge is how old a record may be that Datadog takes.
const datadogAge = 18 * time.Hour

// defaultStart is how far back the first run goes.
const defaultStart = time.Minute

// Bounds of settings.
const (
	leastInterval = time.Second
	mostInterval  = 7 * 24 * time.Hour
	leastResponse = 64 << 10
	mostResponse  = 64 << 30
	leastTimeout  = time.Second
	mostTimeout   = time.Hour
	mostDeadline  = 7 * 24 * time.Hour
	mostPages     = 1_000_000
)

// startOf reads the setting start: a time before now, or all there is. Windows have a beginning.
func (s *Stream) startOf(once bool) (before time.Duration, all bool) {
	switch s.Start {
	case "":
		return defaultStart, once && s.Window == 0
	case "beginning":
		return 0, true
	case "end":
		return 0, false
	}
	d, _ := config.ParseDuration(s.Start) // it was checked
	return d, false
}

// problems collects what is wrong.
type problems []error

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, &config.Problem{Key: key, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) duration(key string, d, least, most time.Duration) {
	if d < least || d > most {
		p.add(key, "use a time from %s to %s", config.FormatDuration(least), config.FormatDuration(most))
	}
}

// streamName is what a stream may be called: it is in a label, and in the cursor's key.
var streamName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$`)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (p *problems) labels(labels map[string]string) {
	for name := range labels {
		switch {
		case !labelName.MatchString(name):
			p.add("labels."+name, "label names have letters, digits and _ only")
		case name == "source" || name == "stream":
			p.add("labels."+name, "weir sets the label %s itself", name)
		}
	}
}

func (p *problems) headers(headers map[string]config.Secret) {
	for name, value := range headers {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
			p.add("headers."+name, "%q is no name of a header", name)
		}
		if strings.ContainsAny(string(value), "\r\n") {
			p.add("headers."+name, "a header has no line ends; a secret file may end with one too many")
		}
		p.template("headers."+name, string(value))
	}
}

func (p *problems) template(key, text string) {
	if _, err := parseText(text); err != nil {
		p.add(key, "%v", err)
	}
}

// Validate returns what is wrong with c. What is wrong with a part is said by the part.
func (c Config) Validate() error {
	var p problems
	if len(c.Streams) == 0 {
		p.add("streams", "give at least one stream, as events: {url: https://api.acme.test/v1/events, time: created_at}")
	}
	for name := range c.Streams {
		if !streamName.MatchString(name) {
			p.add("streams."+name, "a stream's name has letters, digits, -, _ and . only")
		}
	}
	p.duration("interval", c.Interval, leastInterval, mostInterval)
	p.duration("jitter", c.Jitter, 0, mostInterval)
	p.duration("timeout", c.Timeout, leastTimeout, mostTimeout)
	if c.MaxResponse < leastResponse || c.MaxResponse > mostResponse {
		p.add("max_response", "use a size from %s to %s", config.Bytes(leastResponse), config.Bytes(mostResponse))
	}
	if c.Rate.Requests < 0 || c.Rate.Requests > 0 && c.Rate.Per <= 0 {
		p.add("rate", "give a number of requests and a time, as {requests: 100, per: 1m}")
	}
	if c.Proxy != "" {
		u, err := url.Parse(string(c.Proxy))
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			p.add("proxy", "give a URL, as http://gate.acme.test:3128")
		}
	}
	p.headers(c.Headers)
	p.labels(c.Labels)
	return config.Join(append(p, c.TLS.Check())...)
}

// check returns what is wrong with c and its parts.
func (c *Config) check() error {
	failed := []error{c.Validate(), c.Auth.Validate()}
	for name, s := range c.Streams {
		if err := s.Validate(); err != nil {
			failed = append(failed, fmt.Errorf("streams.%s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

// Validate returns what is wrong with a.
func (a Auth) Validate() error {
	var p problems
	ways := 0
	for _, given := range []bool{a.Basic != Basic{}, a.Bearer != "", a.OAuth2.TokenURL != "" || a.OAuth2.ClientID != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		p.add("", "give one of basic, bearer and oauth2")
	}
	if a.Basic != (Basic{}) && a.Basic.User == "" {
		p.add("basic.user", "give the user's name")
	}
	if strings.ContainsAny(string(a.Bearer), " \r\n") {
		p.add("bearer", "a token has no spaces and no line ends; leave out the word Bearer")
	}
	if o := a.OAuth2; o.TokenURL != "" || o.ClientID != "" || o.ClientSecret != "" {
		if _, err := homeOf(o.TokenURL); err != nil {
			p.add("oauth2.token_url", "give a URL, as https://login.acme.test/oauth/token")
		}
		if o.ClientID == "" {
			p.add("oauth2.client_id", "give the client's name")
		}
	}
	return config.Join(p...)
}

// Validate returns what is wrong with s.
func (s Stream) Validate() error {
	var p problems
	p.duration("deadline", s.Deadline, leastTimeout, mostDeadline)
	p.labels(s.Labels)
	p.records(&s)
	switch {
	case len(s.Exec) > 0 && s.URL != "":
		p.add("exec", "give url or exec, not both")
	case len(s.Exec) > 0:
		p.program(&s)
	case s.URL == "":
		p.add("url", "say what is asked, as https://api.acme.test/v1/events, or give a program as exec: [/usr/local/bin/acme]")
	default:
		p.requests(&s)
		p.cursor(&s)
		p.paging(&s)
	}
	return config.Join(p...)
}

// program checks what only a program has.
func (p *problems) program(s *Stream) {
	if s.Exec[0] == "" {
		p.add("exec", "name the program and its arguments, as [/usr/local/bin/acme, --all]")
	}
	for key, given := range map[string]bool{
		"query": len(s.Query) > 0, "headers": len(s.Headers) > 0, "body": s.Body != "", "method": s.Method != "", "records": s.Records != "",
		"error": s.Error != "", "pages": s.Pages.By != "none", "window": s.Window != 0, "overlap": s.Overlap != 0, "delay": s.Delay != 0, "start": s.Start != "",
	} {
		if given {
			p.add(key, "this is of a url; a program decides that itself")
		}
	}
}

// requests checks what is asked.
func (p *problems) requests(s *Stream) {
	if _, err := homeOf(s.URL); err != nil {
		p.add("url", "%v", err)
	}
	p.template("url", s.URL)
	p.template("body", s.Body)
	for name, value := range s.Query {
		p.template("query."+name, value)
	}
	p.headers(s.Headers)
	if s.Method != "" && !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, s.Method) {
		p.add("method", "use GET, POST or PUT")
	}
	if s.Dir != "" || len(s.Env) > 0 {
		p.add("exec", "dir and env are of a program, and there is none")
	}
}

// records checks where things are in responses and records.
func (p *problems) records(s *Stream) {
	frame := map[string]string{"records": s.Records, "error": s.Error}
	if !strings.HasPrefix(s.Pages.Token, headerPrefix) {
		frame["pages.token"] = s.Pages.Token
	}
	steps := map[string][]step{}
	for key, path := range frame {
		made, err := parsePath(path)
		steps[key] = made
		switch {
		case err != nil:
			p.add(key, "%v; write a path as data.items[0] or data[*]", err)
		case key != "records" && path != "" && slices.ContainsFunc(made, func(s step) bool { return s.all }):
			p.add(key, "[*] is for records alone")
		}
	}
	for _, key := range []string{"error", "pages.token"} {
		if frame[key] != "" && s.Format == "ndjson" {
			p.add(key, "a response of lines has nothing but records")
		} else if frame[key] != "" && (isPrefix(steps["records"], steps[key]) || isPrefix(steps[key], steps["records"])) {
			p.add("records", "say where the records are, beside %s", key)
		}
	}
	paths := map[string]string{"time": s.Time, "id": s.ID, "level": s.Level, "message": s.Message}
	for name, path := range s.Fields {
		paths["fields."+name] = path
		if name == "" || len(lokipush.AppendName(nil, []byte(name))) > lokipush.MaxNameBytes {
			p.add("fields", "%q is no name of a field", name)
		}
	}
	for key, path := range paths {
		if made, err := parsePath(path); err != nil {
			p.add(key, "%v; write a path as actor.name or tags[0]", err)
		} else if slices.ContainsFunc(made, func(s step) bool { return s.all }) {
			p.add(key, "[*] is for records alone")
		}
	}
	p.clock(s)
}

// clock checks how times are written.
func (p *problems) clock(s *Stream) {
	if _, err := newClock(s.TimeFormat, s.TimeZone); err != nil {
		p.add("time_zone", "there is no time zone %q: name one as Europe/Berlin", s.TimeZone)
	}
	if s.TimeFormat != "auto" && !strings.HasPrefix(s.TimeFormat, "unix") && !strings.ContainsAny(s.TimeFormat, "0123456789") {
		p.add("time_format", "use auto, unix, unix_ms, unix_us, unix_ns or a layout of Go, as 2006-01-02 15:04:05")
	}
}

func isPrefix(short, long []step) bool {
	return len(short) <= len(long) && slices.Equal(short, long[:len(short)])
}

// cursor checks what a run goes on from.
func (p *problems) cursor(s *Stream) {
	switch {
	case s.Cursor == "time" && s.Time == "":
		p.add("time", "say where a record has its time, as created_at, or choose cursor: id or cursor: token")
	case s.Cursor == "id" && s.ID == "":
		p.add("id", "say where a record has its id, which is the cursor")
	case s.Cursor == "id" && s.Order == "any":
		p.add("order", "with cursor: id say ascending or descending: the cursor is the newest record's id")
	case s.Cursor == "id" && s.Order != "descending" && !strings.Contains(s.templates(), ".Cursor"):
		p.add("query", "with cursor: id ask for what comes after it, as {after: \"{{.Cursor}}\"}")
	case s.Cursor == "token" && (s.Pages.By == "none" || s.Pages.By == "offset" || s.Pages.By == "number"):
		p.add("pages.by", "with cursor: token say where the token is: link, url or token")
	}
	if s.Cursor != "time" && (s.Overlap != 0 || s.Window != 0) {
		p.add("cursor", "overlap and window are for cursor: time")
	}
	if s.Start != "" && s.Start != "beginning" && s.Start != "end" {
		if d, err := config.ParseDuration(s.Start); err != nil || d < 0 {
			p.add("start", "use beginning, end, or a time before now, as 24h")
		}
	}
	const year = 366 * 24 * time.Hour
	p.duration("overlap", s.Overlap, 0, year)
	p.duration("delay", s.Delay, 0, year)
	p.duration("max_age", s.MaxAge, 0, 100*year)
	if s.Window != 0 {
		p.duration("window", s.Window, time.Second, year)
		if s.Start == "beginning" {
			p.add("start", "with window, say how far back the first run goes, as 720h: windows need a beginning")
		}
	}
}

// paging checks the way to the next page.
func (p *problems) paging(s *Stream) {
	g := &s.Pages
	inBody := g.By == "token" || g.By == "url"
	switch {
	case inBody && g.Token == "":
		p.add("pages.token", "say where a response has it, as meta.next or header:X-Next")
	case !inBody && g.Token != "":
		p.add("pages.token", "this is for by: token and by: url")
	}
	if g.By == "token" && g.Param == "" && !strings.Contains(s.templates(), ".Token") {
		p.add("pages.param", "say which parameter of the query gets the token, or write {{.Token}} in url, query or body")
	}
	if g.Max < 1 || g.Max > mostPages {
		p.add("pages.max", "use a number from 1 to %d", mostPages)
	}
}

// templates returns all that is a template, one after the other.
func (s *Stream) templates() string {
	all := s.URL + s.Body
	for _, v := range s.Query {
		all += v
	}
	for _, v := range s.Headers {
		all += string(v)
	}
	return all
}
