package crawl

import (
	"fmt"
	"strconv"
	"time"
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

// Impatient has a request that fails end its run, in place of being made again. It is called before
// Run.
func (s *Source) Impatient() {
	for _, st := range s.streams {
		if st.asks != nil {
			st.asks.tries = 1
		}
	}
}
