// Package policy declares what is asked for with a token.
package policy

// TokenRequestOptions names the scopes of a token.
type TokenRequestOptions struct {
	Scopes []string
}
