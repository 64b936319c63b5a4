package crawl

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/ledger"
)

const (
	// leastSecret is how long a secret is that is looked for in what a server says.
	leastSecret = 4
	// maxReason is how much is shown of why a request had no answer.
	maxReason = 500
)

// masks are the texts that must not be shown, the longest first.
type masks []string

// secretName is what a parameter of a query is called whose value is a secret.
var secretName = regexp.MustCompile(`(?i)key|token|secret|passw|auth|sig|credential`)

// masks returns what must not be shown of what a server says, in the forms that it was sent in.
func (c *Config) masks() masks {
	var m masks
	b := c.Auth.Basic
	m.add(string(b.Password), string(c.Auth.Bearer), string(c.Auth.OAuth2.ClientSecret))
	m.add(base64.StdEncoding.EncodeToString([]byte(b.User + ":" + string(b.Password))))
	o := c.Auth.OAuth2
	m.add(base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(o.ClientID) + ":" + url.QueryEscape(string(o.ClientSecret)))))
	for _, v := range c.Auth.OAuth2.Params {
		m.add(string(v))
	}
	m.addHeaders(c.Headers)
	if proxy, err := url.Parse(string(c.Proxy)); err == nil {
		password, _ := proxy.User.Password()
		m.add(password)
	}
	for _, s := range c.Streams {
		m.addHeaders(s.Headers)
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

// addHeaders adds the values of headers, and what stands in them behind a word, as a token does
// behind Bearer.
func (m *masks) addHeaders(headers map[string]config.Secret) {
	for _, value := range headers {
		m.add(string(value))
		if _, rest, ok := strings.Cut(string(value), " "); ok {
			m.add(strings.TrimSpace(rest))
		}
	}
}

// addParam adds the value of a parameter if it is a secret by its name.
func (m *masks) addParam(name, value string) {
	if secretName.MatchString(name) && !strings.Contains(value, "{{") {
		m.add(value)
	}
}

// add adds texts, also as they are written in a URL.
func (m *masks) add(texts ...string) {
	for _, text := range texts {
		if len(text) >= leastSecret {
			*m = append(*m, text, url.QueryEscape(text), url.PathEscape(text))
		}
	}
	slices.SortFunc(*m, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	*m = slices.Compact(*m)
}

// hide returns text without secrets, among them such as are known only now.
func (m masks) hide(text string, more ...string) string {
	all := m
	if len(more) > 0 {
		all = slices.Clone(m)
		all.add(more...)
	}
	for _, s := range all {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

// shown returns the start of what a server says, without secrets, and harmless for a terminal.
func (m masks) shown(said string, more ...string) string {
	return child.Harmless(ledger.Shorten([]byte(m.hide(said, more...))))
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
	text := child.Harmless(m.hide(err.Error(), more...))
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return maskedError{err, text}
}
