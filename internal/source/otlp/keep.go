package otlp

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/weirlog/weir/internal/flow"
)

const (
	// stateVersion is the first byte of a state.
	stateVersion = 1
	// headBytes is how many bytes of a state say whose the last point was, and when.
	headBytes = 1 + 4*8
	// cellBytes is how much of a state a cell of an exponential histogram takes.
	cellBytes = 12
	// stateKeyBytes is how long a key is.
	stateKeyBytes = 16
)

// stateKey returns the key of the state of a series: one of many bytes would be most of what a
// point writes to the commit log.
func stateKey(series string) string {
	sum := sha256.Sum256([]byte(series))
	return string(sum[:stateKeyBytes])
}

// store keeps what load needs.
func (t *track) store(st flow.State) {
	state := make([]byte, 0, headBytes+1+8*len(t.base)+cellBytes*len(t.first))
	state = append(state, stateVersion)
	for _, n := range []uint64{t.start, t.time, t.from.resource, t.from.stream} {
		state = binary.LittleEndian.AppendUint64(state, n)
	}
	if t.last != nil {
		state = append(state, t.level)
		for cell, v := range t.first {
			state = binary.LittleEndian.AppendUint32(state, cell)
			state = binary.LittleEndian.AppendUint64(state, math.Float64bits(v))
		}
	} else if !isZero(t.base) { // of most it is nothing
		for _, v := range t.base {
			state = binary.LittleEndian.AppendUint64(state, math.Float64bits(v))
		}
	}
	st.Store(t.state, state)
}

func isZero(all []float64) bool {
	for _, v := range all {
		if v != 0 {
			return false
		}
	}
	return true
}

// loadHead reads the beginning of a state. Nothing is left of one that makes no sense.
func (t *track) loadHead(state []byte) (rest []byte, ok bool) {
	if len(state) < headBytes || state[0] != stateVersion {
		return nil, false
	}
	for i, n := range []*uint64{&t.start, &t.time, &t.from.resource, &t.from.stream} {
		*n = binary.LittleEndian.Uint64(state[1+8*i:])
	}
	return state[headBytes:], true
}

// loadBase reads what so many cells had before the present sender.
func (t *track) loadBase(state []byte, cells int) (base []float64, ok bool) {
	rest, ok := t.loadHead(state)
	if !ok || len(rest) != 0 && len(rest) != 8*cells {
		return nil, false
	}
	base = make([]float64, cells)
	for i := range len(rest) / 8 {
		base[i] = math.Float64frombits(binary.LittleEndian.Uint64(rest[8*i:]))
	}
	return base, true
}

// loadCells is loadBase for a native histogram: what its last sender said last is what it has
// beyond that.
func (t *track) loadCells(state []byte) {
	rest, ok := t.loadHead(state)
	if !ok || len(rest) == 0 || (len(rest)-1)%cellBytes != 0 {
		return
	}
	t.level = max(min(rest[0], mostLevel), t.series.Halved())
	first := make(map[uint32]float64, len(rest)/cellBytes)
	for rest = rest[1:]; len(rest) > 0; rest = rest[cellBytes:] {
		first[binary.LittleEndian.Uint32(rest)] = math.Float64frombits(binary.LittleEndian.Uint64(rest[4:]))
	}
	t.first, t.last = widened(first, t.level), widened(t.has(), t.level)
	for cell, v := range t.first {
		if t.last[cell] -= v; t.last[cell] == 0 {
			delete(t.last, cell)
		}
	}
}

// has returns the cells of a native histogram.
func (t *track) has() map[uint32]float64 {
	pairs := t.series.AppendCounts(nil)
	all := make(map[uint32]float64, len(pairs)/2)
	for ; len(pairs) > 1; pairs = pairs[2:] {
		if pairs[1] != 0 {
			all[uint32(pairs[0])] = pairs[1]
		}
	}
	return all
}
