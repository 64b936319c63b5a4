package crawl

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/codec/jsontext"
)

// Cursors says in words, for each stream by its name, what the next run goes on from. It must not be
// called while Run does its work.
func (s *Source) Cursors() map[string]string {
	all := map[string]string{}
	for _, st := range s.streams {
		all[st.name] = st.at.describe()
	}
	return all
}

func (p *position) describe() string {
	switch p.kind {
	case timeKind:
		if p.since == 0 {
			return "the beginning"
		}
		text := "time " + time.Unix(0, p.since).UTC().Format(time.RFC3339Nano)
		switch n := p.seen.len(); n {
		case 0:
			return text
		case 1:
			return text + ", and the id of 1 record since then"
		default:
			return fmt.Sprintf("%s, and the ids of %d records since then", text, n)
		}
	case execKind:
		if len(p.cursor) == 0 {
			return "none: the program gave no cursor"
		}
		return string(p.cursor)
	case idKind, tokenKind:
		name := map[kind]string{idKind: "id", tokenKind: "token"}[p.kind]
		if len(p.cursor) == 0 {
			return "no " + name + " yet"
		}
		return name + " " + strconv.Quote(string(p.cursor))
	}
	return "none"
}

// Try has Run make each request once, in place of making again those that fail, and look at what
// records have of that which is looked for in them. It is called before Run.
func (s *Source) Try() {
	for _, st := range s.streams {
		if st.asks != nil {
			st.asks.tries = 1
		}
		st.look = &look{}
	}
}

// look is what records were seen to have.
type look struct {
	has  []bool // by slot
	keys string // of the first record
}

func (l *look) at(raw []byte, values []value) {
	if l.has == nil {
		l.has, l.keys = make([]bool, len(values)), keysOf(raw)
	}
	for slot := range values {
		l.has[slot] = l.has[slot] || !values[slot].absent()
	}
}

// maxKeys is how much of a record's keys is told.
const maxKeys = 200

// keysOf returns the keys of an object, between commas.
func keysOf(raw []byte) string {
	x := jsontext.Scanner{Text: raw}
	x.Space()
	var keys []string
	for n := 0; x.Take('{') || x.Take(','); {
		x.Space()
		if !x.Take('"') {
			break
		}
		key, _, ok := x.Inside()
		if n += len(key) + 2; !ok || n > maxKeys {
			break
		}
		keys = append(keys, string(key))
		x.Space()
		x.Take(':')
		x.Space()
		if !x.Skip(maxDepth) {
			break
		}
		x.Space()
	}
	return strings.Join(keys, ", ")
}

// Missing says, for each stream by its name, what no record had of that which is looked for in them.
// Try must have been called, and Run have ended.
func (s *Source) Missing() map[string][]string {
	all := map[string][]string{}
	for _, st := range s.streams {
		c := &st.cfg
		keys, paths := []string{"time", "id", "level", "message"}, []string{c.Time, c.ID, c.Level, c.Message}
		for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
			keys, paths = append(keys, "fields."+name), append(paths, c.Fields[name])
		}
		for slot, path := range paths {
			if path != "" && st.look != nil && st.look.has != nil && !st.look.has[slot] {
				all[st.name] = append(all[st.name], fmt.Sprintf("%s: no record has %s; the first has %s", keys[slot], path, child.Harmless(st.look.keys)))
			}
		}
	}
	return all
}
