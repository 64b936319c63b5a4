// Package oauth2 stands in for OAuth 2.0, which Prometheus' configuration names and weir does
// not use. It declares what is named, and refuses.
package oauth2

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrNotBuilt is what everybody gets.
var ErrNotBuilt = errors.New("OAuth 2.0 is not built into weir")

type contextKey struct{}

// HTTPClient is the key of a client in a context.
var HTTPClient contextKey

// Token would give access.
type Token struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type,omitempty"`
	Expiry      time.Time `json:"expiry,omitzero"`
	ExpiresIn   int64     `json:"expires_in,omitempty"`
}

// TokenSource would give tokens.
type TokenSource interface {
	Token() (*Token, error)
}

// Refusing gives none.
type Refusing struct{}

// Token refuses.
func (Refusing) Token() (*Token, error) { return nil, ErrNotBuilt }

// ReuseTokenSource returns a source that refuses.
func ReuseTokenSource(*Token, TokenSource) TokenSource { return Refusing{} }

// Transport would add tokens to requests.
type Transport struct {
	Source TokenSource
	Base   http.RoundTripper
}

// RoundTrip refuses.
func (*Transport) RoundTrip(*http.Request) (*http.Response, error) { return nil, ErrNotBuilt }

// NewClient returns a client that refuses.
func NewClient(context.Context, TokenSource) *http.Client {
	return &http.Client{Transport: &Transport{}}
}

// RetrieveError would say why there is no token.
type RetrieveError struct {
	Response *http.Response
	Body     []byte
}

// Error implements error.
func (*RetrieveError) Error() string { return ErrNotBuilt.Error() }
