package agent

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

const (
	// usualPercent is how much may be allocated between two garbage collections, in percent of
	// what is in use: Go's own choice.
	usualPercent = 100
	// leanAbove is from how many bytes in use on less than that is allowed. Below it, where weir is
	// mostly buffers that it uses again, nothing is changed.
	leanAbove = 24 << 20
	// leanBytes is how much may be allocated then, and leanPercent the least share of what is in use.
	leanBytes   = 4 << 20
	leanPercent = 6
	// gcShare bounds the processor time that collections may take while weir is lean, as a share of one
	// processor. gcSaved is what may be saved up of it, in seconds, for a time in which much comes at
	// once. Who has spent more allows four times as much garbage, and as much as usual from gcOwed on.
	gcShare = 0.03
	gcSaved = 3.0
	gcOwed  = -1.0
	// releaseEvery is how long it is at least until free memory is given back again, and releaseGrowth what share
	// more must be in use than when it was: what grows leaves holes, which Go keeps as room for more.
	releaseEvery  = 10 * time.Second
	releaseGrowth = 8
)

// pacer has garbage collected earlier where much memory is in use. A weir with hundreds of thousands
// of series allocates next to nothing once it knows them, but half of its memory would be room for
// garbage. It ends that while garbage comes fast, as of a large query.
type pacer struct {
	ended atomic.Bool

	// Used by the runtime's goroutine for finalizers.
	percent int       // what was set last
	saved   float64   // processor seconds that may be spent
	spent   float64   // all that collections have taken so far
	last    time.Time // when that was asked
	// released is when free memory was given back, and settled the least in use since then.
	released time.Time
	settled  uint64
}

// round is garbage whose finalizer runs after each collection.
type round struct{ pacer *pacer }

// pace starts a pacer, unless somebody has chosen a pace already with GOGC, and returns what ends it.
func pace() (end func()) {
	_, spent, percent := heapNumbers()
	now := time.Now()
	p := &pacer{percent: usualPercent, saved: gcSaved, spent: spent, last: now, released: now}
	if percent != usualPercent {
		return func() {}
	}
	p.arm()
	return func() { p.ended.Store(true) }
}

// manySeries is from how many restored series on what it took to read them is given back at once.
const manySeries = 10_000

// settleHeap gives back what only the start needed.
func settleHeap(reg *metric.Registry) {
	if len(reg.Durables(nil)) >= manySeries {
		debug.FreeOSMemory()
	}
}

func (p *pacer) arm() { runtime.SetFinalizer(&round{p}, (*round).collected) }

// collected is called after a collection.
func (r *round) collected() {
	p := r.pacer
	live, spent, percent := heapNumbers()
	if percent != p.percent { // somebody has a reason of their own for another pace
		if p.ended.Load() {
			return
		}
		p.arm()
		return
	}
	next, release := usualPercent, false
	if now := time.Now(); !p.ended.Load() {
		next, release = p.next(live, spent, now), p.release(live, now)
		p.arm()
	}
	if next != percent {
		debug.SetGCPercent(next)
		p.percent = next
	}
	if release {
		debug.FreeOSMemory() // a collection of its own, which this is called after as well
	}
}

// release tells whether to give free memory back, now that so many bytes are in use.
func (p *pacer) release(live uint64, now time.Time) bool {
	p.settled = min(p.settled, live)
	if live < leanAbove || live-p.settled < p.settled/releaseGrowth || now.Sub(p.released) < releaseEvery {
		return false
	}
	p.released, p.settled = now, live
	return true
}

// next returns the pace for so many bytes in use, when collections have taken so many processor seconds.
func (p *pacer) next(live uint64, spent float64, now time.Time) int {
	p.saved = min(p.saved+gcShare*now.Sub(p.last).Seconds(), gcSaved)
	if live >= leanAbove {
		p.saved = max(p.saved-(spent-p.spent), 2*gcOwed)
	}
	p.spent, p.last = spent, now
	if live < leanAbove || p.saved < gcOwed {
		return usualPercent
	}
	lean := max(leanPercent, leanBytes*100/int(live))
	if p.saved < 0 {
		lean *= 4
	}
	return min(lean, usualPercent)
}

// heapNumbers returns how many bytes were in use after the last collection, the processor
// seconds that all have taken, and the pace.
func heapNumbers() (live uint64, spent float64, percent int) {
	s := [...]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64(), s[1].Value.Float64(), int(min(s[2].Value.Uint64(), 1<<20))
}
