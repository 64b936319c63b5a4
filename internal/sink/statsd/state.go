package statsd

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

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
	r := reader{b: b}
	if version := r.bytes(1); version == nil || version[0] != stateVersion {
		return saved{}, errState
	}
	s := saved{start: r.varint(), points: map[string]savedPoint{}}
	for n := r.uvarint(); n > 0 && !r.failed; n-- {
		id := string(r.bytes(r.uvarint()))
		flags := r.bytes(1)
		p := savedPoint{created: r.varint(), silent: r.uvarint(), base: r.float(), bound: r.float()}
		if r.failed {
			break
		}
		p.pending = flags[0]&1 != 0
		s.points[id] = p
	}
	if r.failed || len(r.b) > 0 {
		return saved{}, errState
	}
	return s, nil
}

// reader takes values off b until there is not enough left.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) bytes(n uint64) []byte {
	if r.failed || n > uint64(len(r.b)) {
		r.failed = true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.failed = true
		return
	}
	r.bytes(uint64(n))
}

func (r *reader) float() float64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}
