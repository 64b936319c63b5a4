// Package cri reads lines of the log files that container runtimes write for Kubernetes
// (containerd, CRI-O), and Podman with its k8s-file driver:
//
//	2016-10-06T00:17:09.669794202Z stdout F the text
//
//	e, err := cri.Parse(line)
//
// Functions may be called concurrently. How lines are read, and how the pieces of a long
// message are joined, is not the package's business.
package cri

import (
	"bytes"
	"errors"

	"github.com/weirlog/weir/internal/codec/rfc3339"
)

// ErrSyntax is returned for every line that is not one of a CRI log.
var ErrSyntax = errors.New("not a line of a CRI log")

// Entry is one line. Log is a slice of the line it was parsed from.
type Entry struct {
	// Log is the text, as it was written.
	Log []byte
	// Partial says that the tag is P: the rest of the message follows in a later entry
	// of the same stream. containerd cuts messages into pieces of 16 KiB, CRI-O of 8 KiB.
	Partial bool
	// Stderr says that the container wrote it to its standard error.
	Stderr bool
	// Time is when the runtime took it, in Unix nanoseconds; 0 when it is out of their range.
	Time int64
}

// Parse reads one line, without its line end. Of the tags, which colons separate, only the
// first has a meaning yet.
func Parse(line []byte) (Entry, error) {
	at, rest, ok := word(line)
	if !ok {
		return Entry{}, ErrSyntax
	}
	name, rest, ok := word(rest)
	if !ok {
		return Entry{}, ErrSyntax
	}
	var e Entry
	switch string(name) {
	case "stdout":
	case "stderr":
		e.Stderr = true
	default:
		return Entry{}, ErrSyntax
	}
	tags, text, ok := word(rest)
	if !ok {
		tags, text = rest, nil // an empty message whose last space was trimmed
	}
	if len(tags) > 1 && tags[1] != ':' || len(tags) == 0 {
		return Entry{}, ErrSyntax
	}
	switch tags[0] {
	case 'F':
	case 'P':
		e.Partial = true
	default:
		return Entry{}, ErrSyntax
	}
	if e.Time, ok = rfc3339.Parse(at); !ok {
		return Entry{}, ErrSyntax
	}
	e.Log = text
	return e, nil
}

// word returns what comes before the first space, and what comes after it.
func word(s []byte) (before, after []byte, ok bool) {
	i := bytes.IndexByte(s, ' ')
	if i < 0 {
		return nil, nil, false
	}
	return s[:i], s[i+1:], true
}
