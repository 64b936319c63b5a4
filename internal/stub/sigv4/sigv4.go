// Package sigv4 stands in for the signing of requests to Amazon's clouds, which Prometheus'
// configuration names and weir does not use. It declares what is named, and refuses.
package sigv4

import (
	"errors"
	"net/http"
)

var errNotBuilt = errors.New("signing for AWS is not built into weir")

// SigV4Config is named by Prometheus' configuration of remote write and of alerting.
type SigV4Config struct{}

// UnmarshalYAML refuses.
func (*SigV4Config) UnmarshalYAML(func(any) error) error { return errNotBuilt }

// NewSigV4RoundTripper refuses.
func NewSigV4RoundTripper(*SigV4Config, http.RoundTripper) (http.RoundTripper, error) {
	return nil, errNotBuilt
}
