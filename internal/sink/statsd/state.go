package statsd

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

	"github.com/weirlog/weir/internal/codec/packed"
	"github.com/weirlog/weir/internal/metric"
)

// State keeps what a sink has sent over restarts.
type State interface {
	// Load returns what was stored last, nil for a key never stored.
	Load(key string) []byte
	// Store copies value, and makes it durable with the next commit of counts, never
	// after that.
	Store(key string, value []byte)
}

// saved is the stored state of one export.
type saved struct {
	start  int64                 // when the window began that was not cut yet, in Unix nanoseconds
	points map[string]savedPoint // by pointID
}

type savedPoint struct {
	created     int64   // of the series, in Unix milliseconds, as commits keep it: another one has another baseline
	base, bound float64 // see point
	silent      uint64  // see point
	pending     bool
}

const stateVersion = 2 // 1 had seconds of creation

// pointID names a number of an export over restarts.
func pointID(s *metric.Series, part part) string {
	if s.IsOverflow() {
		return string([]byte{'o', byte(part)})
	}
	return string([]byte{'v', byte(part)}) + strings.Join(s.Values(), "\xff")
}

func appendState(dst []byte, start int64, points []*point) []byte {
	dst = append(dst, stateVersion)
	dst = binary.AppendVarint(dst, start)
	dst = binary.AppendUvarint(dst, uint64(len(points)))
	for _, p := range points {
		dst = binary.AppendUvarint(dst, uint64(len(p.id)))
		dst = append(dst, p.id...)
		flags := byte(0)
		if p.pending {
			flags = 1
		}
		dst = append(dst, flags)
		dst = binary.AppendVarint(dst, p.series.Created().UnixMilli())
		dst = binary.AppendUvarint(dst, p.silent)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.base))
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.bound))
	}
	return dst
}

// parseState reads what appendState wrote.
func parseState(b []byte) (saved, error) {
	errState := errors.New("state of a StatsD sink is damaged")
	r := packed.Reader{Rest: b}
	if r.Byte() != stateVersion {
		return saved{}, errState
	}
	s := saved{start: r.Varint(), points: map[string]savedPoint{}}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		id, flags := r.Text(), r.Byte()
		p := savedPoint{created: r.Varint(), silent: r.Uvarint(), base: math.Float64frombits(r.Fixed64()), bound: math.Float64frombits(r.Fixed64())}
		p.pending = flags&1 != 0
		s.points[id] = p
	}
	if r.Failed() || len(r.Rest) > 0 {
		return saved{}, errState
	}
	return s, nil
}
