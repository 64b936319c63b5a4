package metric

import "slices"

// Families and series are put in order when somebody wants to see them, and not when they come:
// n of them then cost n log n, and not n insertions. What comes goes to the end of its list, what
// goes stays in its list until then.

// lockOrdered locks r for who reads families and series in order. It locks it for writing where
// something had to be put in order: else more could come before it is locked for reading.
func (r *Registry) lockOrdered() (writing bool) {
	r.mu.RLock()
	if r.ordered == len(r.order) && r.dead == 0 && len(r.untidy) == 0 {
		return false
	}
	r.mu.RUnlock()
	r.mu.Lock()
	r.tidyLocked()
	return true
}

// unlockOrdered undoes what lockOrdered returned.
func (r *Registry) unlockOrdered(writing bool) {
	if writing {
		r.mu.Unlock()
	} else {
		r.mu.RUnlock()
	}
}

func (r *Registry) tidyLocked() {
	if r.dead > 0 {
		ordered := r.ordered
		for _, f := range r.order[:r.ordered] {
			if f.fate&gone != 0 {
				ordered--
			}
		}
		r.order = fitting(slices.DeleteFunc(r.order, func(f *Family) bool { return f.fate&gone != 0 }))
		r.ordered, r.dead = ordered, 0
	}
	putInOrder(r.order, r.ordered, compareNames)
	r.ordered = len(r.order)
	for i, f := range r.untidy {
		f.many.tidy()
		r.untidy[i] = nil
	}
	r.untidy = fitting(r.untidy[:0])
}

// disorderLocked notes that f's series are not in order.
func (r *Registry) disorderLocked(f *Family) {
	if m := f.many; !m.untidy {
		m.untidy = true
		r.untidy = append(r.untidy, f)
	}
}

// tidy puts m's series in order, those that have gone left out.
func (m *many) tidy() {
	if m.dead > 0 {
		lives := func(s *Series) bool { return m.series.get(s.key(), "") == s }
		ordered := 0
		for _, s := range m.sorted[:m.ordered] {
			if lives(s) {
				ordered++
			}
		}
		m.sorted = fitting(slices.DeleteFunc(m.sorted, func(s *Series) bool { return !lives(s) }))
		m.ordered, m.dead = ordered, 0
	}
	putInOrder(m.sorted, m.ordered, func(a, b *Series) int { return compareJoined(a.key(), b.key()) })
	m.ordered, m.untidy = len(m.sorted), false
}

// crowded tells whether those of a list that have gone are so many that they should not wait.
func crowded(dead, all int) bool { return dead > 64 && dead > all/2 }

// fitting returns all, in less memory where it was much longer.
func fitting[T any](all []T) []T {
	if cap(all) > 1024 && len(all) < cap(all)/4 {
		return slices.Clone(all)
	}
	return all
}

// putInOrder orders all, of which the first are in order.
func putInOrder[T any](all []T, ordered int, compare func(a, b T) int) {
	if ordered == len(all) {
		return
	}
	slices.SortFunc(all[ordered:], compare)
	if ordered == 0 || compare(all[ordered-1], all[ordered]) <= 0 {
		return
	}
	late := slices.Clone(all[ordered:])
	i, j := ordered-1, len(late)-1
	for k := len(all) - 1; j >= 0; k-- {
		if i >= 0 && compare(all[i], late[j]) > 0 {
			all[k] = all[i]
			i--
		} else {
			all[k] = late[j]
			j--
		}
	}
}

// compareJoined compares label values, joined as by joinValues, one by one.
func compareJoined(a, b string) int {
	for i := range min(len(a), len(b)) {
		// The separator is the byte before all others, as an end is.
		if x, y := a[i]+1, b[i]+1; x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return len(a) - len(b)
}
