// Package yaml stands in for the reading of Prometheus' own configuration, which weir does
// not do: its own is read by another library. It declares what is named, and refuses.
package yaml

import "errors"

var errNotBuilt = errors.New("the configuration of Prometheus is not built into weir")

// TypeError would say which types did not fit.
type TypeError struct{ Errors []string }

// Error implements error.
func (*TypeError) Error() string { return errNotBuilt.Error() }

// Marshal refuses.
func Marshal(any) ([]byte, error) { return nil, errNotBuilt }

// Unmarshal refuses.
func Unmarshal([]byte, any) error { return errNotBuilt }

// UnmarshalStrict refuses.
func UnmarshalStrict([]byte, any) error { return errNotBuilt }
