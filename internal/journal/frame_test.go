package journal

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestFrameInPieces: a frame of many series or of much state has the same bytes whether it is made
// in pieces or not.
func TestFrameInPieces(t *testing.T) {
	reg := metric.New()
	f, err := reg.Family(metric.Desc{Name: "n_total", Labels: []string{"a"}, Durable: true, Owner: "test", MaxSeries: 2 * maxWhole})
	if err != nil {
		t.Fatal(err)
	}
	series := change{states: []stateDef{{"k", []byte("v")}}}
	for i := range maxWhole + 100 {
		s := f.Series(fmt.Sprintf("value %d", i))
		series.deltas = append(series.deltas, record.Delta{Series: s.ID(), Add: float64(i) / 3})
	}
	reg.Apply(series.deltas)
	series.defined = reg.Durables(nil)
	state := change{kept: []keptDef{{id: "app", log: []byte("text")}}}
	for i := range 50 {
		state.states = append(state.states, stateDef{fmt.Sprintf("key %d", i), bytes.Repeat([]byte{byte(i)}, maxWholeBytes/40)})
	}
	for name, c := range map[string]*change{"series": &series, "state": &state} {
		at := link{generation: 3, sequence: 7, before: 11, synced: true}
		var l commitLog
		got := l.frame(at, c)
		var fs disk.Faulty
		file, err := fs.Open("f")
		if err != nil {
			t.Fatal(err)
		}
		if err := got.write(file, 5); err != nil || len(got.whole) > 0 {
			t.Fatalf("%s: %v, %d bytes in one piece", name, err, len(got.whole))
		}
		want := appendFrame(nil, at, c)
		b := make([]byte, got.size)
		if _, err := file.ReadAt(b, 5); err != nil || !bytes.Equal(b, want) || got.size != int64(len(want)) || at.next(got.head[:]) != at.next(want) {
			t.Errorf("%s: %d bytes, want %d: %v", name, got.size, len(want), err)
		}
		if cap(got.piece) > 2*pieceBytes {
			t.Errorf("%s: a piece takes %d bytes", name, cap(got.piece))
		}
	}
}

// TestStatesStay: what was taken for a commit stays as it is when something else is stored.
func TestStatesStay(t *testing.T) {
	w := open(t, new(disk.Faulty))
	defer w.journal.Close()
	var commit, snapshot change
	w.journal.Store("k", []byte("before"))
	w.journal.mu.Lock()
	w.journal.takeLocked(&commit)
	w.journal.copyLocked(&snapshot)
	w.journal.mu.Unlock()
	w.journal.Store("k", []byte("behind"))
	for name, c := range map[string]*change{"commit": &commit, "snapshot": &snapshot} {
		for _, s := range c.states {
			if s.key == "k" && string(s.value) != "before" {
				t.Errorf("%s: %s", name, s.value)
			}
		}
		if c.stateBytes() == 0 {
			t.Errorf("%s: no state", name)
		}
	}
}

// TestSumsTakeOver: what is taken over is changed by what comes then, in its order.
func TestSumsTakeOver(t *testing.T) {
	var s sums
	list := []record.Delta{{Series: 1, Add: 1}, {Series: 1, Cell: record.SetCell, Add: 5}}
	for i := range maxSpareSums {
		list = append(list, record.Delta{Series: uint32(i + 2), Add: 1})
	}
	n := len(list)
	s.addAll(&list)
	s.addAll(&[]record.Delta{{Series: 1, Add: 2}, {Series: 2, Add: 2}, {Series: 1 << 20, Add: 3}})
	all := s.moveTo(nil)
	if len(list) != 0 || len(all) != n+1 || all[0].Add != 1 || all[1].Add != 7 || all[1].Cell != record.SetCell || all[2].Add != 3 || all[n].Add != 3 {
		t.Errorf("%d are left; %d: %v ... %v", len(list), len(all), all[:3], all[len(all)-1])
	}
}

// TestSums: deltas of one cell become one, in order, as they would have changed it one by one.
func TestSums(t *testing.T) {
	var s sums
	want := map[[2]uint32]float64{}
	for i := range 20_000 {
		d := record.Delta{Series: uint32(i * 7919 % 700), Cell: uint32(i % 3), Add: float64(i%11) / 7}
		if i%17 == 0 {
			d.Cell |= record.SetCell
		}
		cell, _ := d.Target()
		want[[2]uint32{d.Series, cell}] = d.Change(want[[2]uint32{d.Series, cell}])
		s.add(d)
	}
	for round := range 2 {
		all := s.moveTo(nil)
		if len(all) != len(want)*(1-round) {
			t.Errorf("%d cells, want %d", len(all), len(want)*(1-round))
		}
		for _, d := range all {
			cell, _ := d.Target()
			if v := want[[2]uint32{d.Series, cell}]; d.Add != v {
				t.Errorf("series %d cell %d: %v, want %v", d.Series, cell, d.Add, v)
			}
		}
	}
}
