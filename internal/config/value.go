package config

import "errors"

// Bytes is a size: 512, 64KiB, 10MB, 1GiB.
type Bytes int64

// String returns the size in its shortest exact form, as ParseBytes reads it.
func (b Bytes) String() string { return formatBytes(int64(b)) }

// Secret is a text that prints as *** wherever a configuration is shown, by fmt, slog and
// JSON as well. string(s) is the text itself.
type Secret string

// masked is what is shown in place of a secret.
const masked = "***"

// String returns "***", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString returns what String returns, quoted, so that %#v does not tell either.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText returns what String returns: a secret is never encoded.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

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

// Validator is a configuration value that can check itself. Decode calls Validate of every
// value that it fills, nested ones first, so a Validate need not call those of its fields.
// What it returns is made of *Problem values, joined.
type Validator interface{ Validate() error }

// Defaulter is a value with defaults of its own. Decode calls SetDefaults of the elements
// it makes (of lists, maps and nil pointers) before it fills them.
type Defaulter interface{ SetDefaults() }

// Unmarshaler is a value with a form of its own, as in "keep: none" or "keep: {size: 1GiB}".
// UnmarshalNode may call Decode for parts of n and return its Mistakes.Err(), or return
// *Problem values with keys below n.
type Unmarshaler interface{ UnmarshalNode(n *Node) error }

// Marshaler is the reverse of Unmarshaler: MarshalNode returns the value to print in place
// of the receiver.
type Marshaler interface{ MarshalNode() any }

// Enum is a text type with a fixed set of values. Decode refuses any other.
type Enum interface{ Values() []string }
