package agent

import (
	"slices"

	"github.com/weirlog/weir/internal/journal"
)

// keepOf returns what is kept of a stream to which the rules apply; ok is false when that is
// nothing. Of several rules the last that says something is used.
func keepOf(rules []*rule) (k journal.Keep, ok bool) {
	for _, r := range slices.Backward(rules) {
		if r.Keep != nil && r.Keep.None {
			return k, false
		}
	}
	for _, r := range rules {
		for _, c := range r.Count {
			for _, name := range c.Fields() {
				if !slices.Contains(k.Fields, name) {
					k.Fields = append(k.Fields, name)
				}
			}
		}
	}
	return k, true
}
