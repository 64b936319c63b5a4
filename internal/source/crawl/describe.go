package crawl

import (
	"encoding/json"
	"fmt"
	"time"
)

// Describe says in words what a stored position is: the cursor that the next run goes on from.
func Describe(position []byte) (string, error) {
	if len(position) == 0 {
		return "none: the next run is a first one", nil
	}
	p, err := decodePosition(position)
	if err != nil {
		return "", err
	}
	switch p.kind {
	case timeKind:
		if p.since == 0 {
			return "the beginning", nil
		}
		text := "time " + time.Unix(0, p.since).UTC().Format(time.RFC3339Nano)
		switch n := p.seen.len(); n {
		case 0:
			return text, nil
		case 1:
			return text + ", and the id of 1 record since then", nil
		default:
			return fmt.Sprintf("%s, and the ids of %d records since then", text, n), nil
		}
	case execKind:
		if len(p.cursor) == 0 {
			return "none: the program gave no cursor", nil
		}
		return string(p.cursor), nil
	}
	name := map[kind]string{idKind: "id", tokenKind: "token"}[p.kind]
	if len(p.cursor) == 0 {
		return "no " + name + " yet", nil
	}
	quoted, err := json.Marshal(string(p.cursor))
	return name + " " + string(quoted), err
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
