package config

import "errors"

// Bytes is a size: 512, 64KiB, 10MB, 1GiB.
type Bytes int64

// Secret is a text that prints as *** wherever a configuration is shown.
type Secret string

// String returns "***", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Problem is something wrong with a value. Key is its place below the value that Validate
// was called on, as in "paths" or "count[0].by"; Message says what to do.
type Problem struct {
	Key     string
	Message string
}

// Error returns the key and the message.
func (p *Problem) Error() string {
	if p.Key == "" {
		return p.Message
	}
	return p.Key + ": " + p.Message
}

// Join returns problems as one error, nil when there are none. A Validate method collects
// its problems and returns Join of them.
func Join(problems ...error) error { return errors.Join(problems...) }
