package logql

import (
	"slices"
	"sort"
	"time"
)

// windows cuts time into intervals, so that each window of a range aggregation is a number
// of whole ones: an entry is then looked at once, whatever the number of windows it is in.
type windows struct {
	// bounds are where intervals begin and end: interval i is (bounds[i], bounds[i+1]].
	bounds []int64
	// used tells which intervals are part of a window.
	used []bool
	// first and end are, for each step, the first interval of its window and the one after
	// its last.
	first, end []int
}

// newWindows returns the windows (at-offset-size, at-offset] of each step.
func newWindows(steps []int64, size, offset time.Duration) *windows {
	w := &windows{bounds: make([]int64, 0, 2*len(steps))}
	for _, at := range steps {
		w.bounds = append(w.bounds, at-int64(offset)-int64(size), at-int64(offset))
	}
	slices.Sort(w.bounds)
	w.bounds = slices.Compact(w.bounds)
	w.used = make([]bool, len(w.bounds)-1)
	for _, at := range steps {
		first, _ := slices.BinarySearch(w.bounds, at-int64(offset)-int64(size))
		end, _ := slices.BinarySearch(w.bounds, at-int64(offset))
		w.first, w.end = append(w.first, first), append(w.end, end)
	}
	at := 0 // all intervals before it are decided
	for i := range w.first {
		for at = max(at, w.first[i]); at < w.end[i]; at++ {
			w.used[at] = true
		}
	}
	return w
}

// need is the times that matter.
func (w *windows) need() span { return span{w.bounds[0] + 1, w.bounds[len(w.bounds)-1]} }

// find returns the interval that a time is in; last is a guess. It is -1 if no window has it.
func (w *windows) find(time int64, last int) int {
	if last >= 0 && w.bounds[last] < time && time <= w.bounds[last+1] {
		return last
	}
	i := sort.Search(len(w.bounds), func(i int) bool { return w.bounds[i] >= time }) - 1
	if i < 0 || i >= len(w.used) || !w.used[i] {
		return -1
	}
	return i
}

// only returns the interval that a range of times is in, if it is in one; whole tells
// whether it is. An interval of no window is -1.
func (w *windows) only(from, to int64) (interval int, whole bool) {
	i := sort.Search(len(w.bounds), func(i int) bool { return w.bounds[i] >= from }) - 1
	if i < 0 || i >= len(w.used) || to > w.bounds[i+1] {
		return 0, false
	}
	if !w.used[i] {
		return -1, true
	}
	return i, true
}
