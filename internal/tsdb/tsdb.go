// Package tsdb is the history of the numbers: Prometheus' time series database in a folder
// of the data directory, fed from the metric registry.
//
//	db := tsdb.New(tsdb.Options{Dir: dir, Registry: registry, Health: component, Log: log})
//	go db.Run(ctx)
//	q, err := db.Querier(mint, maxt) // storage.Queryable, for the PromQL engine
//
// It owns when samples are taken, under which labels, when a series is marked as ended, how
// much is kept, and what happens when the disk is full or damaged. Since the registry knows
// nothing that is not committed, nor does the history. What asks for it is in tsdb/api.
//
// A Querier may be used while Run goes on.
package tsdb

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/tsdb"

	"github.com/weirlog/weir/internal/metric"
)

// The bounds of who says nothing.
const (
	DefaultAge      = 15 * 24 * time.Hour
	DefaultSize     = 512 << 20
	DefaultInterval = 15 * time.Second
)

// Health is where the history says how it is; a ledger.Component is one.
type Health interface {
	// Degraded says what does not work, and what to do.
	Degraded(problem, remedy string)
	// Healthy says that everything works again.
	Healthy()
	// Dropped counts what was given up, for a reason.
	Dropped(reason string, n int)
}

// Options say what is kept where.
type Options struct {
	// Dir is the folder of the database. It is made if need be.
	Dir string
	// Age is how long samples are kept; 0 is DefaultAge.
	Age time.Duration
	// Size is how many bytes they may take; 0 is DefaultSize.
	Size int64
	// Interval is how far samples are apart; 0 is DefaultInterval.
	Interval time.Duration
	// Exemplars is how many exemplars are kept, of all series together; 0 keeps none.
	Exemplars int
	Registry  *metric.Registry
	Health    Health
	Log       *slog.Logger
}

// ErrNotReady is what a query gets before the database is open, and after.
var ErrNotReady = errors.New("the history is not open")

// DB is the database and what feeds it.
type DB struct {
	o       Options
	numbers numbers

	now     func() time.Time // time.Now but in tests
	settled func() bool      // tells whether the clock can be relied on; clockSettled but in tests
	hasty   bool             // belongs to Run: it was opened before that, with samples of times to come

	mu      sync.RWMutex // guards db; held for reading while the database is in use
	db      *tsdb.DB     // nil while it is not open
	closing atomic.Bool  // queries shall end, so that it can be closed

	doubts chan error               // has why the blocks are to be looked at
	broken atomic.Pointer[[]broken] // those that cannot be read, for the next round

	feed   feed // belongs to Run
	rounds rounds
	begun  begun

	arrivals arrivals

	telling  sync.Mutex // guards below
	troubles [2]trouble // by part
}

// New returns a closed database.
func New(o Options) (*DB, error) {
	if o.Age == 0 {
		o.Age = DefaultAge
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	d := &DB{o: o, now: time.Now, settled: clockSettled, doubts: make(chan error, 1), rounds: rounds{newest: noRound, resumed: noRound, changed: make(chan struct{})}, begun: begun{at: map[uint64]int64{}}}
	d.arrivals.most = o.Exemplars
	d.feed.known = map[*metric.Series]*tracked{}
	var err error
	if d.numbers, err = newNumbers(o.Registry); err != nil {
		return nil, err
	}
	o.Registry.OnCollect(d.measure)
	return d, nil
}

const (
	// openAgain is how long after a failure opening is tried again.
	openAgain = 30 * time.Second
	// maintainEvery is how often the database is asked whether a block is due.
	maintainEvery = time.Minute
)

// Run opens the database, feeds it at every multiple of the interval, and makes blocks of
// what is old enough, until ctx ends. Then it takes the last values and closes it. It may be
// called once.
func (d *DB) Run(ctx context.Context) error {
	if !d.openUntil(ctx) {
		return nil
	}
	var maintaining sync.WaitGroup
	maintaining.Go(func() { d.maintain(ctx) })
	writing := context.WithoutCancel(ctx) // what has begun is written
	for {
		d.take(writing, time.Now())
		wait := time.NewTimer(time.Until(next(time.Now(), d.o.Interval)))
		select {
		case <-wait.C:
			continue
		case <-ctx.Done():
			wait.Stop()
		}
		break
	}
	maintaining.Wait()
	d.take(writing, time.Now())
	return d.close()
}

// next returns the first multiple of every after now.
func next(now time.Time, every time.Duration) time.Time { return now.Truncate(every).Add(every) }

// openUntil opens the database, trying again until that succeeds or ctx ends.
func (d *DB) openUntil(ctx context.Context) bool {
	for {
		err := d.open(ctx)
		d.tell(feeding, err)
		if err == nil {
			return true
		}
		wait := time.NewTimer(openAgain)
		select {
		case <-ctx.Done():
			wait.Stop()
			return false
		case <-wait.C:
		}
	}
}

// maintain makes blocks of old samples and removes those beyond the bounds.
func (d *DB) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	doubts := d.doubts
	for {
		select {
		case <-ctx.Done():
			return
		case <-doubts:
			d.examine(ctx)
			doubts = nil // whatever queries meet, not all is read through at once again
		case <-tick.C:
			doubts = d.doubts
			err := d.compact(ctx)
			d.doubt(err)
			d.tell(compacting, err)
		}
	}
}

func (d *DB) compact(ctx context.Context) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return nil
	}
	if d.due() {
		// Making a block takes several times what the history has in memory, most of it garbage
		// at once, and then not for two hours.
		debug.FreeOSMemory()
		usual := debug.SetGCPercent(frugal)
		defer func() {
			debug.SetGCPercent(usual)
			debug.FreeOSMemory()
		}()
	}
	if err := d.db.Compact(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// frugal is how much garbage, in percent of what is in use, there may be while a block is
// made.
const frugal = 20

// due tells whether there is enough for a block.
func (d *DB) due() bool {
	head := d.db.Head()
	newest, oldest := head.MaxTime(), head.MinTime()
	return newest != math.MinInt64 && newest-oldest > blockTime.Milliseconds()*3/2
}
