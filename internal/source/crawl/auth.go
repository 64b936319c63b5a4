package crawl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// signer adds to a request what says who weir is.
type signer struct {
	auth   *Auth
	masks  masks
	client *http.Client  // of tokens
	turn   chan struct{} // has an element while someone uses what is below
	token  string
	until  time.Time // when it is of no use any more
}

// maxToken is how much of an answer to a request for a token is read.
const maxToken = 1 << 20

// tokenReserve is how long before its end a token is taken for worthless.
const tokenReserve = 30 * time.Second

func newSigner(c *Config) (*signer, error) {
	s := &signer{auth: &c.Auth, masks: c.masks(), turn: make(chan struct{}, 1)}
	if c.Auth.OAuth2.TokenURL == "" {
		return s, nil
	}
	u, err := url.Parse(c.Auth.OAuth2.TokenURL)
	if err != nil {
		return nil, err
	}
	transport, err := c.newTransport(hostPort(u))
	s.client = &http.Client{Transport: transport, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, err
}

// sign adds the credentials to a request. It returns the token that it used, if there is one
// that can be worthless before its time.
func (s *signer) sign(ctx context.Context, r *http.Request) (token string, err error) {
	switch a := s.auth; {
	case a.Basic.User != "":
		r.SetBasicAuth(a.Basic.User, string(a.Basic.Password))
	case a.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+string(a.Bearer))
	case a.OAuth2.TokenURL != "":
		if token, err = s.get(ctx); err != nil {
			return "", err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return token, nil
}

// get returns a token. Streams that need one at the same time wait for the same.
func (s *signer) get(ctx context.Context) (string, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if s.token != "" && (s.until.IsZero() || time.Now().Before(s.until)) {
		return s.token, nil
	}
	token, lasts, err := s.buy(ctx)
	if err != nil {
		return "", fmt.Errorf("token of %s: %w", shownURL(s.auth.OAuth2.TokenURL), s.masks.reason(err))
	}
	s.token, s.until = token, time.Time{}
	if lasts > 0 {
		s.until = time.Now().Add(max(lasts-tokenReserve, lasts/2))
	}
	return token, nil
}

// refusal returns the error that an answer is which has no token.
func (s *signer) refusal(answer *http.Response, said string) error {
	text := s.masks.shown(answer.Status)
	if said != "" {
		text += ": " + s.masks.shown(said)
	}
	return &refusedError{status: answer.StatusCode, text: text, after: retryAfter(answer.StatusCode, answer.Header, time.Now())}
}

// refused says that a token was not taken.
func (s *signer) refused(token string) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.token == token {
		s.token = ""
	}
}

// buy asks for a token with the client's credentials (RFC 6749, section 4.4).
func (s *signer) buy(ctx context.Context) (token string, lasts time.Duration, err error) {
	o := &s.auth.OAuth2
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(o.Scopes) > 0 {
		form.Set("scope", strings.Join(o.Scopes, " "))
	}
	for name, value := range o.Params {
		form.Set(name, string(value))
	}
	if o.InBody {
		form.Set("client_id", o.ClientID)
		form.Set("client_secret", string(o.ClientSecret))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", userAgent)
	if !o.InBody {
		r.SetBasicAuth(url.QueryEscape(o.ClientID), url.QueryEscape(string(o.ClientSecret)))
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxToken))
	if err != nil {
		return "", 0, err
	}
	var got struct {
		Token     string      `json:"access_token"`
		ExpiresIn json.Number `json:"expires_in"`
		Error     string      `json:"error"`
	}
	err = json.Unmarshal(text, &got)
	switch {
	case answer.StatusCode/100 != 2:
		return "", 0, s.refusal(answer, got.Error)
	case err != nil || got.Token == "":
		return "", 0, errors.New("the answer has no access_token")
	}
	seconds, _ := got.ExpiresIn.Float64()
	return got.Token, time.Duration(seconds * float64(time.Second)), nil
}
