package statsd

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
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
	start   int64                 // when the window began that was not cut yet, in Unix nanoseconds
	stamp   int64                 // see export
	points  map[string]savedPoint // by pointID
	origins map[string]string     // of a feed: what families are called
}

type savedPoint struct {
	created     int64   // of the series, in Unix milliseconds, as commits keep it: another one has another baseline
	base, bound float64 // see point
	silent      uint64  // see point
	pending     bool
	sent        float64 // see point
	parted      bool
}

const (
	stateVersion = 3
	stateBefore  = 2 // had neither stamp nor origins; 1 had seconds of creation
)

// pointID names a number of an export over restarts.
func pointID(s *metric.Series, part part) string {
	if s.IsOverflow() {
		return string([]byte{'o', byte(part)})
	}
	return string([]byte{'v', byte(part)}) + strings.Join(s.Values(), "\xff")
}

// shards returns the points of each state; an Export has one. What is a level is in none.
func (e *export) shards() [][]*point {
	if e.feed == nil {
		return [][]*point{e.order}
	}
	all := make([][]*point, len(e.keys))
	for _, p := range e.order {
		if e.dirty[p.shard] && !p.part.isLevel() {
			all[p.shard] = append(all[p.shard], p)
		}
	}
	return all
}

func appendState(dst []byte, head saved, names [][2]string, points []*point) []byte {
	text := func(s string) {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	dst = append(dst, stateVersion)
	dst = binary.AppendVarint(dst, head.start)
	dst = binary.AppendVarint(dst, head.stamp)
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, n := range names {
		text(n[0])
		text(n[1])
	}
	dst = binary.AppendUvarint(dst, uint64(len(points)))
	for _, p := range points {
		text(p.id)
		flags := byte(0)
		if p.pending {
			flags |= 1
		}
		if p.parted {
			flags |= 2
		}
		dst = append(dst, flags)
		dst = binary.AppendVarint(dst, p.series.Created().UnixMilli())
		dst = binary.AppendUvarint(dst, p.silent)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.base))
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.bound))
		if p.parted {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.sent))
		}
	}
	return dst
}

// parseState reads what appendState wrote.
func parseState(b []byte) (saved, error) {
	errState := errors.New("state of a StatsD sink is damaged")
	r := packed.Reader{Rest: b}
	version := r.Byte()
	if version != stateVersion && version != stateBefore {
		return saved{}, errState
	}
	s := saved{start: r.Varint(), points: map[string]savedPoint{}, origins: map[string]string{}}
	if version == stateVersion {
		s.stamp = r.Varint()
		for n := r.Count(); n > 0 && !r.Failed(); n-- {
			family := r.Text()
			s.origins[family] = r.Text()
		}
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		id, flags := r.Text(), r.Byte()
		p := savedPoint{created: r.Varint(), silent: r.Uvarint(), base: math.Float64frombits(r.Fixed64()), bound: math.Float64frombits(r.Fixed64())}
		p.pending, p.parted = flags&1 != 0, flags&2 != 0
		if p.parted {
			p.sent = math.Float64frombits(r.Fixed64())
		}
		s.points[id] = p
	}
	if r.Failed() || len(r.Rest) > 0 {
		return saved{}, errState
	}
	return s, nil
}

// load returns what was stored of e. A state that is damaged is as one that was never stored,
// which damaged tells.
func (e *export) load(from State) (all saved, damaged bool) {
	all = saved{points: map[string]savedPoint{}, origins: map[string]string{}}
	for i, key := range e.keys {
		b := from.Load(key)
		if len(b) == 0 && i > 0 {
			continue
		}
		one, err := parseState(b)
		if err != nil {
			return all, true
		}
		if i == 0 { // it is stored with each window
			all.start, all.stamp = one.start, one.stamp
		}
		maps.Copy(all.points, one.points)
		maps.Copy(all.origins, one.origins)
	}
	return all, false
}

// save stores the states of e that have changed.
func (e *export) save(to State, buf []byte) []byte {
	if !slices.Contains(e.dirty, true) {
		return buf
	}
	points := e.shards()
	for i, key := range e.keys {
		if e.dirty[i] {
			e.dirty[i] = false
			buf = appendState(buf[:0], saved{start: e.start, stamp: e.stamp}, e.feed.namesOf(i), points[i])
			to.Store(key, buf)
		}
	}
	return buf
}
