package task

import "sort"

// maxRanges bounds what is remembered of the numbers of one scope: they come in order but for
// few.
const maxRanges = 256

// numbers is a set of the numbers of records, as ranges that do not touch.
type numbers struct {
	ranges []Gap
	full   bool // there are more ranges than are remembered: nothing can be said of gaps
}

// add takes a number and tells whether it is new, as far as is known. Without room for one
// more range some may not be known.
func (n *numbers) add(v int64, room bool) bool {
	r := n.ranges
	if last := len(r) - 1; last >= 0 && r[last].Last+1 == v {
		r[last].Last = v // nearly always
		return true
	}
	at := sort.Search(len(r), func(i int) bool { return r[i].Last >= v-1 })
	switch {
	case at == len(r) || r[at].First > v+1:
		if len(r) == maxRanges || !room {
			n.full = true
			return true
		}
		n.ranges = append(r, Gap{})
		copy(n.ranges[at+1:], n.ranges[at:])
		n.ranges[at] = Gap{v, v}
		return true
	case r[at].First <= v && v <= r[at].Last:
		return false
	case v < r[at].First:
		r[at].First = v
		return true
	}
	r[at].Last = v // it may touch the next
	if at+1 < len(r) && r[at+1].First == v+1 {
		r[at].Last = r[at+1].Last
		n.ranges = append(r[:at+1], r[at+2:]...)
	}
	return true
}

// gaps returns how many numbers are missing from first on, and the first of them.
func (n *numbers) gaps(first int64, most int) (missing int64, list []Gap) {
	if n.full {
		return 0, nil
	}
	next := first
	for _, r := range n.ranges {
		if r.First > next {
			missing += r.First - next
			if len(list) < most {
				list = append(list, Gap{next, r.First - 1})
			}
		}
		next = r.Last + 1
	}
	return missing, list
}
