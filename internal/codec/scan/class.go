package scan

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// class is a set of characters.
type class struct {
	// ranges are pairs of first and last, sorted and apart.
	ranges []rune
	// in tells for a byte below 0x80 whether the set has it.
	in [utf8.RuneSelf]bool
	// high tells how many of the characters from 0x80 on the set has.
	high high
	// plain and escaped find the first byte where a run may end.
	plain, escaped finder
}

type high uint8

const (
	noHigh high = iota
	someHigh
	allHigh
)

// newClass returns the set of ranges, as regexp/syntax has them: sorted, maybe touching.
func newClass(ranges []rune) *class {
	c := &class{}
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if n := len(c.ranges); n > 0 && lo <= c.ranges[n-1]+1 {
			c.ranges[n-1] = max(hi, c.ranges[n-1])
			continue
		}
		c.ranges = append(c.ranges, lo, hi)
	}
	for r := range rune(utf8.RuneSelf) {
		c.in[r] = c.search(r)
	}
	if n := len(c.ranges); n > 0 && c.ranges[n-1] >= utf8.RuneSelf {
		c.high = someHigh
		if c.ranges[n-1] == unicode.MaxRune && c.ranges[n-2] <= utf8.RuneSelf {
			c.high = allHigh
		}
	}
	var stop [256]bool
	for b := range stop {
		stop[b] = b < utf8.RuneSelf && !c.in[b] || b >= utf8.RuneSelf && c.high != allHigh
	}
	c.plain = newFinder(stop)
	c.escaped = newFinder(escapedStop(stop))
	return c
}

// escapedStop returns where a run may end in escaped text if stop is where it ends in plain
// text. A bare quote cannot be there, so where only quotes end a run the backslash is the
// one byte to look for.
func escapedStop(stop [256]bool) [256]bool {
	quotes := [256]bool{'"': true}
	quotes['\\'] = stop['\\']
	if stop == quotes {
		stop['"'] = false
	}
	stop['\\'] = true
	return stop
}

// not returns the complement of ranges.
func not(ranges []rune) []rune {
	var out []rune
	next := rune(0)
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i] > next {
			out = append(out, next, ranges[i]-1)
		}
		next = max(next, ranges[i+1]+1)
	}
	if next <= unicode.MaxRune {
		out = append(out, next, unicode.MaxRune)
	}
	return out
}

// union returns the ranges of all in a and b.
func union(a, b []rune) []rune {
	type pair struct{ lo, hi rune }
	var pairs []pair
	for _, s := range [][]rune{a, b} {
		for i := 0; i < len(s); i += 2 {
			pairs = append(pairs, pair{s[i], s[i+1]})
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int { return int(x.lo - y.lo) })
	var out []rune
	for _, p := range pairs {
		if n := len(out); n > 0 && p.lo <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p.hi)
			continue
		}
		out = append(out, p.lo, p.hi)
	}
	return out
}

// intersect tells whether a and b have a character in common.
func intersect(a, b []rune) bool {
	for i := 0; i < len(a); i += 2 {
		for j := 0; j < len(b); j += 2 {
			if a[i] <= b[j+1] && b[j] <= a[i+1] {
				return true
			}
		}
	}
	return false
}

// search tells whether c has r, from the ranges.
func (c *class) search(r rune) bool {
	lo, hi := 0, len(c.ranges)/2
	for lo < hi {
		mid := (lo + hi) / 2
		switch {
		case r < c.ranges[2*mid]:
			hi = mid
		case r > c.ranges[2*mid+1]:
			lo = mid + 1
		default:
			return true
		}
	}
	return false
}

// has tells whether c has r.
func (c *class) has(r rune) bool {
	if r < utf8.RuneSelf {
		return c.in[r]
	}
	return c.high == allHigh || c.high == someHigh && c.search(r)
}

// run returns where the run of characters of c that begins at i ends, or malformed.
func (c *class) run(t *text, i int) int {
	f := &c.plain
	if t.escaped {
		f = &c.escaped
	}
	for {
		i = f.find(t.b, i, t.end)
		if i == t.end {
			return i
		}
		if b := t.b[i]; (b != '\\' || !t.escaped) && (b < utf8.RuneSelf || c.high != someHigh) {
			return i
		}
		// Garbage that was escaped once before is full of \\, so that is not decoded.
		if i+1 < t.end && t.b[i] == '\\' && t.b[i+1] == '\\' && t.escaped && c.in['\\'] {
			i += 2
			continue
		}
		r, n := t.char(i)
		if n == 0 {
			return malformed
		}
		if !c.has(r) {
			return i
		}
		i += n
	}
}

// count takes at most limit characters of c from i on. It returns where they end, or
// malformed, and how many they are.
func (c *class) count(t *text, i, limit int) (end, n int) {
	for n < limit && i < t.end {
		b := t.b[i]
		if b < utf8.RuneSelf && (b != '\\' || !t.escaped) {
			if !c.in[b] {
				break
			}
			i++
			n++
			continue
		}
		r, size := t.char(i)
		if size == 0 {
			return malformed, n
		}
		if !c.has(r) {
			break
		}
		i += size
		n++
	}
	return i, n
}
