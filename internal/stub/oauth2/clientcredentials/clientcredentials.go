// Package clientcredentials declares the sign-in of a client, and refuses.
package clientcredentials

import (
	"context"
	"net/url"

	"golang.org/x/oauth2"
)

// Config would say who signs in where.
type Config struct {
	ClientID, ClientSecret, TokenURL string
	Scopes                           []string
	EndpointParams                   url.Values
}

// TokenSource returns a source that refuses.
func (*Config) TokenSource(context.Context) oauth2.TokenSource { return oauth2.Refusing{} }
