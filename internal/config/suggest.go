package config

import (
	"strconv"
	"strings"
)

// maxListed is how many known names a message lists.
const maxListed = 16

// Suggest returns the second half of a message about an unknown name: `, did you mean
// "labels"?` where a known one is at most two edits away or one is the beginning of the
// other, else the list of those known.
func Suggest(name string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		d := distance(name, k)
		if d > 2 || d >= min(len(name), len(k)) {
			if len(name) < 2 || !strings.HasPrefix(k, name) && !strings.HasPrefix(name, k) {
				continue
			}
			d = 2
		}
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	switch {
	case best != "":
		return ", did you mean " + strconv.Quote(best) + "?"
	case len(known) == 0:
		return ""
	case len(known) > maxListed:
		return "; known are " + strings.Join(known[:maxListed], ", ") + ", …"
	case len(known) == 1:
		return "; known is " + known[0]
	}
	return "; known are " + strings.Join(known, ", ")
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours
// between a and b; names longer than 64 bytes are just far.
func distance(a, b string) int {
	const limit = 64
	if len(a) > limit || len(b) > limit || abs(int64(len(a)-len(b))) > 2 {
		return limit
	}
	var rows [3][limit + 1]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
