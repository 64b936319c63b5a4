package crawl

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/ledger"
)

// maxReason is how much is shown of why a request had no answer.
const maxReason = 500

// masks are the texts that must not be shown.
type masks struct{ deliver.Masks }

// secretName is what a parameter of a query is called whose value is a secret.
var secretName = regexp.MustCompile(`(?i)key|token|secret|passw|auth|sig|credential`)

// masks returns what must not be shown of what a server says, in the forms that it was sent in.
func (c *Config) masks() masks {
	var m masks
	b, o := c.Auth.Basic, c.Auth.OAuth2
	m.Add(string(c.Auth.Bearer), string(o.ClientSecret))
	m.AddBasic(b.User, string(b.Password))
	m.AddBasic(url.QueryEscape(o.ClientID), url.QueryEscape(string(o.ClientSecret)))
	for _, v := range o.Params {
		m.Add(string(v))
	}
	m.AddHeaders(c.Headers)
	m.AddProxy(string(c.Proxy))
	for _, s := range c.Streams {
		m.AddHeaders(s.Headers)
		for name, value := range s.Query {
			m.addParam(name, value)
		}
		if _, query, ok := strings.Cut(s.URL, "?"); ok {
			for _, param := range strings.Split(query, "&") {
				name, value, _ := strings.Cut(param, "=")
				m.addParam(name, value)
				if plain, err := url.QueryUnescape(value); err == nil {
					m.addParam(name, plain)
				}
			}
		}
	}
	return m
}

// addParam adds the value of a parameter if it is a secret by its name.
func (m *masks) addParam(name, value string) {
	if secretName.MatchString(name) && !strings.Contains(value, "{{") {
		m.Add(value)
	}
}

// shown returns the start of what a server says, without secrets, and harmless for a terminal.
func (m masks) shown(said string, more ...string) string {
	return child.Harmless(ledger.Shorten([]byte(m.Hide(said, more...))))
}

// maskedError is an error that tells what a server said, or may have said.
type maskedError struct {
	error
	text string
}

// Error returns what may be shown.
func (e maskedError) Error() string { return e.text }

// Unwrap returns the cause.
func (e maskedError) Unwrap() error { return e.error }

// reason returns why a request had no answer, without secrets and the URL.
func (m masks) reason(err error, more ...string) error {
	err = withoutURL(err)
	text := child.Harmless(m.Hide(err.Error(), more...))
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return maskedError{err, text}
}
