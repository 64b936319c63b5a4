// Package option declares the options of a client of Google's clouds that Prometheus'
// configuration of remote write leads to and weir does not use.
package option

import "golang.org/x/oauth2/google"

// ClientOption is an option that nothing reads.
type ClientOption struct{}

// CredentialsType says what a file of credentials holds.
type CredentialsType string

// ServiceAccount is the one kind that Prometheus names.
const ServiceAccount CredentialsType = "service_account"

// WithScopes does nothing.
func WithScopes(...string) ClientOption { return ClientOption{} }

// WithAuthCredentialsFile does nothing.
func WithAuthCredentialsFile(CredentialsType, string) ClientOption { return ClientOption{} }

// WithCredentials does nothing.
func WithCredentials(*google.Credentials) ClientOption { return ClientOption{} }
