package docker

// matcher finds a cursor's place in a log that is read again. The records are given to it
// in order; it says after which one the cursor stands.
//
// Records are told apart by hash, time and what came before them. Where nothing fits, the
// time alone decides: to the nanosecond it is nearly always unique.
type matcher struct {
	want *cursor
	// whole says that the records begin with the log's first. If not, a run of one time that
	// the first record belongs to may have begun earlier, and its length is not known.
	whole bool

	seen   int64            // records so far
	time   int64            // of the last one
	run    int64            // how many in a row had that time
	recent [maxMarks]uint32 // the hashes of the last ones, in a ring that ends before head
	head   int

	similar  int64 // after which record the cursor stands if nothing better is found; 0: none
	sameTime int64
}

// newMatcher returns a matcher for a cursor that has marks.
func newMatcher(c *cursor, whole bool) matcher { return matcher{want: c, whole: whole} }

// step takes the next record and tells whether it certainly is the cursor's last.
func (m *matcher) step(time int64, hash uint32) bool {
	m.seen++
	if time == 0 {
		time = m.time // as the cursor has it
	}
	if m.seen == 1 || time != m.time {
		m.run = 0
	}
	m.run++
	m.time = time
	m.recent[m.head] = hash
	m.head = (m.head + 1) % maxMarks
	if time != m.want.time {
		return false
	}
	m.sameTime = m.seen
	if hash != m.want.back(0).hash || !m.preceded() {
		return false
	}
	m.similar = m.seen
	return m.run == m.want.run && (m.whole || m.run < m.seen)
}

// preceded compares what came before the last record with what the cursor remembers, as far
// as both go.
func (m *matcher) preceded() bool {
	n := m.want.n
	if m.seen < int64(n) {
		n = int(m.seen)
	}
	for i := 1; i < n; i++ {
		if m.recent[(m.head-1-i+2*maxMarks)%maxMarks] != m.want.back(i).hash {
			return false
		}
	}
	return true
}

// best returns after which record the cursor most likely stands, 0 if there is no telling.
func (m *matcher) best() int64 {
	if m.similar > 0 {
		return m.similar
	}
	return m.sameTime
}
