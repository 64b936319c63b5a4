package journal

import "github.com/weirlog/weir/internal/record"

type cell struct{ series, cell uint32 }

// sum is what deltas of one cell come to.
type sum struct {
	v   float64
	set bool // v is what the cell has from then on
}

// sums are deltas added up, so that there are as many as cells, however often these change.
type sums map[cell]sum

// add comes after all that were added before: what a cell was set to forgets those.
func (s sums) add(d record.Delta) {
	i, set := d.Target()
	k := cell{d.Series, i}
	was := s[k]
	s[k] = sum{v: d.Change(was.v), set: set || was.set}
}

// appendTo appends one delta for each cell, in any order.
func (s sums) appendTo(dst []record.Delta) []record.Delta {
	for k, sum := range s {
		if sum.set {
			k.cell |= record.SetCell
		}
		dst = append(dst, record.Delta{Series: k.series, Cell: k.cell, Add: sum.v})
	}
	return dst
}
