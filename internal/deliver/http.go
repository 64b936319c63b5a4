package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/retry"
)

// HTTP is how a receiver that speaks HTTP is reached. The configuration of a sink has it
// inlined, with DefaultHTTP as default, and calls its Validate.
type HTTP struct {
	// Headers are sent with every request, as {X-Scope-OrgID: shop}.
	Headers map[string]config.Secret `yaml:"headers"`
	// BasicAuth is a name and password for the receiver.
	BasicAuth BasicAuth `yaml:"basic_auth"`
	// BearerToken is a token for the receiver.
	BearerToken config.Secret `yaml:"bearer_token"`
	// TLS is about the certificates of an https address.
	TLS TLS `yaml:"tls"`
	// Timeout is how long the receiver may take for a batch. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
}

// BasicAuth is a name and password.
type BasicAuth struct {
	// Username is the name.
	Username string `yaml:"username"`
	// Password is the password.
	Password config.Secret `yaml:"password"`
}

// DefaultHTTP returns what a configuration that says nothing has.
func DefaultHTTP() HTTP { return HTTP{TLS: TLS{Verify: true}, Timeout: 30 * time.Second} }

// The bounds of timeouts.
const (
	minTimeout = time.Second
	maxTimeout = 10 * time.Minute
)

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// Validate returns what is wrong with h. Some headers are the sink's own.
func (h HTTP) Validate(own ...string) error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	for name, value := range h.Headers {
		switch canonical := textproto.CanonicalMIMEHeaderKey(name); {
		case canonical == "Authorization" || canonical == "Host" || canonical == "Content-Length" || contains(own, canonical):
			problem("headers", name+" is set by weir: leave it out; basic_auth and bearer_token sign in")
		case !headerName.MatchString(name) || !oneLine(value):
			problem("headers", fmt.Sprintf("%q is no name of a header, or has a value of more than one line", name))
		}
	}
	if !oneLine(h.BearerToken) {
		problem("bearer_token", "it has more than one line")
	}
	if h.BearerToken != "" && h.BasicAuth != (BasicAuth{}) {
		problem("bearer_token", "leave out either bearer_token or basic_auth")
	}
	if h.Timeout < minTimeout || h.Timeout > maxTimeout {
		problem("timeout", "use 1s to 10m")
	}
	return config.Join(append(problems, h.TLS.Check())...)
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

func oneLine(s config.Secret) bool { return !strings.ContainsAny(string(s), "\r\n\x00") }

// Masks returns what h signs in with, and through proxies of the environment.
func (h HTTP) Masks() Masks {
	var m Masks
	m.Add(string(h.BearerToken))
	m.AddBasic(h.BasicAuth.Username, string(h.BasicAuth.Password))
	m.AddHeaders(h.Headers)
	m.AddEnvironment()
	return m
}

// CheckURL returns what is wrong with the address of a receiver, "" if nothing is.
func CheckURL(text, example string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "say where the receiver is, as " + example
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "use http:// or https:// and a host, as " + example
	case u.User != nil: // the address is shown wherever the sink is
		return "leave out the user and password: basic_auth is the place for them"
	}
	return ""
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// Answer is what became of a request.
type Answer struct {
	// Status is that of HTTP.
	Status int
	// Body is the beginning of what it says.
	Body []byte
	// Header and Trailer stand before and behind it.
	Header, Trailer http.Header

	masks Masks
}

// Text returns what the receiver says, for messages: without what it was told in secret.
func (a *Answer) Text() string {
	// What is masked first cannot be cut in two.
	return strings.TrimSpace(ledger.Shorten([]byte(a.masks.Hide(string(a.Body)))))
}

// Taken tells whether the receiver says that it took the request. One with a web page is none: a
// proxy wants somebody to sign in, or the address is wrong.
func (a *Answer) Taken() bool { return a.Status/100 == 2 && !a.isPage() }

func (a *Answer) isPage() bool {
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return kind == "text/html" || kind == "application/xhtml+xml"
}

// Client sends requests to one address. One goroutine at a time may use it.
type Client struct {
	url    string
	how    HTTP
	header http.Header
	client *http.Client
	masks  Masks
	until  time.Time // the receiver wants to be left alone until then
}

// NewClient returns a client that sends these headers beside those of the configuration, over
// HTTP/2 without TLS as well if that is asked for. It fails for certificates that cannot be read.
func (h HTTP) NewClient(url string, own http.Header, http2 bool) (*Client, error) {
	secured, err := h.TLS.Config()
	if err != nil {
		return nil, err
	}
	c := &Client{url: url, how: h, header: own.Clone(), masks: h.Masks()}
	for name, value := range h.Headers {
		c.header.Set(name, string(value))
	}
	if h.BearerToken != "" {
		c.header.Set("Authorization", "Bearer "+string(h.BearerToken))
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: secured, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, DisableCompression: true,
		Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP2(true)
	if http2 {
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		transport.Protocols.SetHTTP1(true)
	}
	c.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// Close closes the connections.
func (c *Client) Close() { c.client.CloseIdleConnections() }

// Wait says that the receiver wants no request for some time: Post fails until then. It
// is bounded.
func (c *Client) Wait(d time.Duration) { c.until = time.Now().Add(min(max(d, 0), retry.MaxAfter)) }

// Hide returns what a receiver says, without what it was told in secret.
func (c *Client) Hide(said string) string { return c.masks.Hide(said) }

// Post sends a body and reads the answer.
func (c *Client) Post(ctx context.Context, body []byte) (*Answer, error) {
	if left := time.Until(c.until); left > 0 {
		return nil, fmt.Errorf("%s: %w for %s more", c.url, flow.ErrNotNow, left.Round(time.Second))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	if b := c.how.BasicAuth; b != (BasicAuth{}) {
		req.SetBasicAuth(b.Username, string(b.Password))
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send to %s: %s", c.url, c.Hide(reason(err)))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %s", c.url, c.Hide(err.Error()))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // the trailers stand behind it
	return &Answer{Status: res.StatusCode, Body: text, Header: res.Header, Trailer: res.Trailer, masks: c.masks}, nil
}

// Failed returns the error of an answer after which the same is sent again, and heeds what the receiver
// says about when.
func (c *Client) Failed(a *Answer) error {
	if d := retry.After(a.Header.Get("Retry-After"), time.Now()); d > 0 {
		c.Wait(d)
	}
	if a.Status/100 == 2 && a.isPage() {
		return fmt.Errorf("%s answers %d with a web page: see whether the address is right, and who stands before it", c.url, a.Status)
	}
	text := fmt.Sprintf("%s answers %d %s", c.url, a.Status, http.StatusText(a.Status))
	if said := a.Text(); said != "" {
		text += ": " + said
	}
	return errors.New(text)
}

// reason returns why there is no answer, without what differs each time.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
