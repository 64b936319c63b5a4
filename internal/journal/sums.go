package journal

import "github.com/weirlog/weir/internal/record"

// maxSpareSums is for how many sums memory is left to the next ones, whatever comes.
const maxSpareSums = 16 << 10

// emptied returns list without what it has. Its memory stays as long as much of it is used.
func emptied(list []record.Delta) []record.Delta {
	if cap(list) > maxSpareSums && len(list) < cap(list)/4 {
		return nil
	}
	return list[:0]
}

// sums are deltas added up, so that there are as many as cells, however often these change. The
// zero sums are empty.
type sums struct {
	list  []record.Delta // in the order in which they came; one for each cell, but where many were taken over at once
	index []uint32       // places in list plus one; open addressing, a power of two, at most three quarters full
}

// addAll adds what list has. Where that is much, and there is nothing before it, it takes list over and
// leaves another one: most sources write seldom enough for that.
func (s *sums) addAll(list *[]record.Delta) {
	if len(s.list) == 0 && len(*list) > maxSpareSums {
		s.list, *list = *list, s.list
		s.index = nil
		return
	}
	for _, d := range *list {
		s.add(d)
	}
}

// add comes after all that were added before: what a cell was set to forgets those.
func (s *sums) add(d record.Delta) {
	if len(s.list)*4 >= len(s.index)*3 {
		size := max(64, 2*len(s.index))
		for len(s.list)*4 >= size*3 {
			size *= 2
		}
		s.grow(size)
	}
	cell, set := d.Target()
	i := s.find(d.Series, cell)
	if at := s.index[i]; at > 0 {
		was := &s.list[at-1]
		if was.Add = d.Change(was.Add); set {
			was.Cell |= record.SetCell
		}
		return
	}
	s.list = append(s.list, d)
	s.index[i] = uint32(len(s.list))
}

// find returns where the index has a cell, or would have it.
func (s *sums) find(series, cell uint32) uint32 {
	mask := uint32(len(s.index) - 1)
	i := (series ^ cell<<20 ^ cell>>12) * 0x9e3779b1
	for i = (i ^ i>>15) & mask; ; i = (i + 1) & mask {
		at := s.index[i]
		if at == 0 {
			return i
		}
		if d := &s.list[at-1]; d.Series == series && d.Cell&^record.SetCell == cell {
			return i
		}
	}
}

func (s *sums) grow(size int) {
	s.index = make([]uint32, size)
	for i := range s.list {
		cell, _ := s.list[i].Target()
		s.index[s.find(s.list[i].Series, cell)] = uint32(i + 1)
	}
}

// keep leaves s the memory of a list that is not used any more, if that is more than it has.
func (s *sums) keep(list []record.Delta) []record.Delta {
	if len(s.list) == 0 && cap(s.list) < cap(list) {
		s.list, list = list[:0], s.list
	}
	return list[:0]
}

// moveTo appends what there is to dst, and empties s. Where dst is empty they change places.
func (s *sums) moveTo(dst []record.Delta) []record.Delta {
	if len(dst) == 0 {
		s.list, dst = dst, s.list
	} else {
		dst = append(dst, s.list...)
		s.list = emptied(s.list)
	}
	s.list = s.list[:0]
	if clear(s.index); len(s.index) > 2*maxSpareSums {
		s.index = nil
	}
	return dst
}
