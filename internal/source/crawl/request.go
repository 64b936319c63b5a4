package crawl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/retry"
)

const (
	userAgent = "weir"
	// maxRedirects is how many redirects a request follows.
	maxRedirects = 5
	// maxTries is how often a request is made before its run ends with an error.
	maxTries = 4
	// longestWait is how long a run waits because a server asks for it; when it asks for
	// more, the run ends, and the next one begins then.
	longestWait = 5 * time.Minute
	// longestPause is how long a server can make weir wait between runs.
	longestPause = 24 * time.Hour
	// shownBody is how much is shown of an answer that is an error.
	shownBody = 8 << 10
)

// asking makes the requests of a stream.
type asking struct {
	method  string
	home    *url.URL // scheme and host of the configured URL, which credentials are sent to
	url     text
	query   map[string]text
	headers map[string]text
	body    text
	until   bool // a template says .Until
	tries   int  // how often a request is made that fails

	cfg    *Config
	pages  *Pages
	client *http.Client
	signer *signer
	limit  *limiter
	masks  masks
	token  string              // that was used last, and may be told by the server
	status func(status string) // counts a request
	again  func(reason string) // counts one that is made again
	skew   func(time.Duration) // is told how far the server's clock is ahead
}

// newAsking compiles the requests of a stream. Its settings were checked.
func (s *Source) newAsking(name string, c *Stream) (*asking, error) {
	a := &asking{
		method: c.Method, cfg: &s.cfg, pages: &c.Pages, signer: s.signer, limit: s.limit, masks: s.signer.masks, tries: maxTries,
		query: map[string]text{}, headers: map[string]text{},
		status: func(status string) { s.counts.requests.Series(s.deps.Name, name, status).Add(1) },
		again:  func(reason string) { s.counts.waited.Series(s.deps.Name, name, reason).Add(1) },
	}
	if a.method == "" {
		a.method = http.MethodGet
		if c.Body != "" {
			a.method = http.MethodPost
		}
	}
	var err error
	add := func(s string) text {
		t, failed := parseText(s)
		err = errors.Join(err, failed)
		a.until = a.until || t.t != nil && strings.Contains(s, ".Until")
		return t
	}
	a.url, a.body = add(c.URL), add(c.Body)
	for _, headers := range []map[string]config.Secret{s.cfg.Headers, c.Headers} {
		for name, value := range headers {
			a.headers[http.CanonicalHeaderKey(name)] = add(string(value))
		}
	}
	for name, value := range c.Query {
		a.query[name] = add(value)
	}
	home, failed := homeOf(c.URL)
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	a.home = home
	a.client, err = a.newClient()
	return a, err
}

// homeOf returns the scheme and host of a URL that may be a template behind them.
func homeOf(text string) (*url.URL, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if !ok || scheme != "http" && scheme != "https" || host == "" || strings.Contains(host, "{{") {
		return nil, errors.New("give a URL as https://api.acme.test/v1/events; its host is no template")
	}
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, errors.New("give a URL as https://api.acme.test/v1/events, without a user; that goes into auth.basic")
	}
	return u, nil
}

// answer is a response whose body is read with care.
type answer struct {
	*http.Response
	body  io.Reader // unpacked, and no more than there may be
	close func()
}

// ask makes the request for a page, where next is a URL that a server gave, or nil; again
// where that is of use. The caller closes the answer.
func (a *asking) ask(ctx context.Context, v *variables, next *url.URL) (*answer, error) {
	pause := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
	renewed := false
	for try := 1; ; try++ {
		if err := a.limit.wait(ctx); err != nil {
			return nil, err
		}
		got, token, err := a.follow(ctx, v, next)
		if err == nil || ctx.Err() != nil {
			return got, err
		}
		var refusal *refusedError
		if errors.As(err, &refusal) && refusal.status == http.StatusUnauthorized && token != "" && !renewed {
			a.signer.refused(token)
			renewed = true
			a.again("401")
			continue
		}
		wait, useful := pause.Next(), !errors.As(err, new(errPrivate)) && !errors.As(err, new(finalError))
		if refusal != nil {
			useful = refusal.useful()
			wait = max(wait, refusal.after)
			if refusal.after > 0 { // others were told the same
				wait = refusal.after + pause.Next()
			}
		}
		if !useful || try >= a.tries || wait > longestWait {
			return nil, err
		}
		reason := "error"
		if refusal != nil {
			reason = strconv.Itoa(refusal.status)
		}
		a.again(reason)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// finalError is what does not become better when it is tried again.
type finalError struct{ error }

// Unwrap returns the cause.
func (e finalError) Unwrap() error { return e.error }

func final(format string, args ...any) error { return finalError{fmt.Errorf(format, args...)} }

// follow makes a request, and follows redirects. It returns the token that was used.
func (a *asking) follow(ctx context.Context, v *variables, next *url.URL) (got *answer, token string, err error) {
	to := next
	if to == nil {
		if to, err = a.address(v); err != nil {
			return nil, "", finalError{err}
		}
	}
	body, err := a.body.with(v)
	if err != nil {
		return nil, "", finalError{err}
	}
	if next != nil {
		if err := a.allowed(next, body); err != nil {
			return nil, "", err
		}
	}
	method := a.method
	for range maxRedirects + 1 {
		if to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
			return nil, token, final("the server leads to a URL that is neither http nor https")
		}
		r, err := http.NewRequestWithContext(ctx, method, to.String(), strings.NewReader(body))
		if err != nil {
			return nil, token, final("the request makes no sense")
		}
		if token, err = a.dress(ctx, r, v); err != nil {
			return nil, "", err
		}
		if token != "" {
			a.token = token
		}
		if got, err = a.send(r); err != nil {
			return nil, token, fmt.Errorf("%s: %w", a.where(to), err)
		}
		location := got.Header.Get("Location")
		if got.StatusCode/100 != 3 || location == "" {
			if err := a.refusal(got); err != nil {
				got.close()
				return nil, token, fmt.Errorf("%s: %w", a.where(to), err)
			}
			return got, token, nil
		}
		status := got.StatusCode
		got.close()
		from := to
		if to, err = from.Parse(location); err != nil {
			return nil, token, final("%s redirects to what is no URL", a.where(from))
		}
		if method, body, err = a.redirect(status, to, method, body); err != nil {
			return nil, token, fmt.Errorf("%s: %w", a.where(from), err)
		}
	}
	return nil, token, final("%s: more than %d redirects", a.where(to), maxRedirects)
}

// redirect returns what is sent to where a redirect leads.
func (a *asking) redirect(status int, to *url.URL, method, body string) (string, string, error) {
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		body = ""
		if method != http.MethodHead {
			method = http.MethodGet
		}
	}
	return method, body, a.allowed(to, body)
}

// allowed returns an error unless a server may lead to a URL, with a redirect or a next page.
func (a *asking) allowed(to *url.URL, body string) error {
	switch {
	case a.atHome(to):
		return nil
	case a.cfg.Proxy != "" && !a.cfg.AllowPrivate:
		return final("it leads to %s, and where that is only the proxy knows; permit that with allow_private", a.where(to))
	case body != "":
		return final("it leads a request with a body to %s, which is another host", a.where(to))
	}
	return nil
}

// atHome tells whether a URL leads to the host that the configuration names.
func (a *asking) atHome(u *url.URL) bool {
	return u.Scheme == a.home.Scheme && hostPort(u) == hostPort(a.home)
}

// address returns the URL of a page.
func (a *asking) address(v *variables) (*url.URL, error) {
	where, err := a.url.with(v)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(where)
	if err != nil || !a.atHome(u) {
		return nil, errors.New("the url makes no sense with the cursor that there is")
	}
	q := u.Query()
	for name, t := range a.query {
		value, err := t.with(v)
		if err != nil {
			return nil, err
		}
		if value != "" {
			q.Set(name, value)
		}
	}
	switch p := a.pages; p.By {
	case "token":
		if p.Param != "" && v.Token != "" {
			q.Set(p.Param, v.Token)
		}
	case "offset":
		q.Set(or(p.Param, "offset"), strconv.Itoa(v.Offset))
	case "number":
		q.Set(or(p.Param, "page"), strconv.Itoa(v.Page))
	}
	u.RawQuery = q.Encode()
	return u, nil
}

func or(text, def string) string {
	if text == "" {
		return def
	}
	return text
}

// dress adds the headers. What may be secret is for the configured host alone.
func (a *asking) dress(ctx context.Context, r *http.Request, v *variables) (token string, err error) {
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept-Encoding", accepted)
	r.Header.Set("Accept", "application/json, application/x-ndjson;q=0.9, */*;q=0.5")
	if r.ContentLength > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if !a.atHome(r.URL) {
		return "", nil
	}
	if token, err = a.signer.sign(ctx, r); err != nil {
		return "", err
	}
	for name, t := range a.headers {
		value, err := t.with(v)
		if err != nil {
			return "", err
		}
		switch {
		case name == "Host":
			r.Host = value
		case value != "":
			r.Header.Set(name, value)
		}
	}
	return token, nil
}

// send makes a request, and counts it.
func (a *asking) send(r *http.Request) (*answer, error) {
	ctx, end := context.WithCancelCause(r.Context())
	silent := fmt.Errorf("the server was silent for %s (timeout)", config.FormatDuration(a.cfg.Timeout))
	timer := time.AfterFunc(a.cfg.Timeout, func() { end(silent) })
	response, err := a.client.Do(r.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		end(nil)
		a.status("error")
		return nil, a.masks.reason(err, a.token)
	}
	a.status(strconv.Itoa(response.StatusCode))
	if a.atHome(r.URL) {
		a.notice(response.Header)
	}
	p := &patient{ReadCloser: response.Body, timer: timer, timeout: a.cfg.Timeout, end: end, context: func() error { return context.Cause(ctx) }}
	most := int64(a.cfg.MaxResponse)
	// Packed it may be a little longer; but for that, something that unpacks to nothing has no end.
	packed := &capped{src: p, left: most + most/8 + 64<<10, most: most}
	plain, free, err := unpack(packed, response.Header.Get("Content-Encoding"))
	if err != nil {
		_ = p.Close()
		return nil, finalError{a.masks.reason(err, a.token)}
	}
	return &answer{response, &capped{src: plain, left: most, most: most, packed: packed}, func() { free(); _ = p.Close() }}, nil
}

// longestSkew is how far off a server's clock may be. Zones are at most 26 hours apart; what says
// more is no clock.
const longestSkew = 26 * time.Hour

// notice tells how far the server's clock is ahead of this one, by the header Date.
func (a *asking) notice(h http.Header) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	if age, err := strconv.Atoi(h.Get("Age")); err == nil && age > 0 && age < 1e6 { // it comes out of a cache
		at = at.Add(time.Duration(age) * time.Second)
	}
	if ahead := time.Until(at); ahead.Abs() <= longestSkew {
		a.skew(ahead)
	}
}

// shownURL returns what may be shown of a URL: not its path and query, which may hold secrets.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the url"
	}
	return u.Scheme + "://" + u.Host
}

// withoutURL returns an error without the URL that net/http puts around it.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
