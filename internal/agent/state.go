package agent

import (
	"strings"

	"github.com/weirlog/weir/internal/journal"
)

// sourcePrefix is that of the keys under which sources keep what they know over restarts: the
// source's name follows, a zero byte, and its own key.
const sourcePrefix = "source\x00"

// sourceState is the flow.State of one source.
type sourceState struct {
	journal *journal.Journal
	name    string
}

func (s sourceState) key(key string) string { return sourcePrefix + s.name + "\x00" + key }

// Load returns what the source stored under key.
func (s sourceState) Load(key string) []byte { return s.journal.Load(s.key(key)) }

// Store replaces it with the next commit.
func (s sourceState) Store(key string, value []byte) { s.journal.Store(s.key(key), value) }

// sourceOf returns the source that a key belongs to; empty for the keys of others.
func sourceOf(key string) string {
	rest, ok := strings.CutPrefix(key, sourcePrefix)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "\x00")
	return name
}
