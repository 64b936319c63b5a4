package tsdb

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/compression"
)

const (
	// blockTime is how much time the shortest blocks cover.
	blockTime = 2 * time.Hour
	// longestBlock bounds how much time a block covers, as Prometheus does.
	longestBlock = 31 * 24 * time.Hour
	// blocksInAge is how many of the longest blocks the age has: whole blocks are removed.
	blocksInAge = 10
	// walSegment is the size of a part of the log, in which it is cut. Prometheus has 128 MiB,
	// a quarter of what we may take by default.
	walSegment = 8 << 20
	// stripes are the locks over the series. Prometheus has 16384, which take 2 MiB empty.
	stripes = 512
	// writeBuffer is what the writer of chunks holds. Prometheus has 4 MiB.
	writeBuffer = chunks.MinWriteBufferSize
)

func (d *DB) options() *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = d.o.Age.Milliseconds()
	o.MaxBytes = d.o.Size
	o.MinBlockDuration = blockTime.Milliseconds()
	o.MaxBlockDuration = max(min(longestBlock, d.o.Age/blocksInAge).Milliseconds(), o.MinBlockDuration)
	o.WALCompression = compression.Snappy
	o.WALSegmentSize = walSegment
	o.StripeSize = stripes
	o.HeadChunksWriteBufferSize = writeBuffer
	o.EnableExemplarStorage, o.MaxExemplars = d.o.Exemplars > 0, int64(d.o.Exemplars)
	o.NoLockfile = true // the journal has the data directory locked
	if d.hasty {        // what is old cannot be told
		o.RetentionDuration, o.MaxBytes = 0, 0
	}
	return o
}

// open opens the database. Blocks that cannot be read, and what is ahead of the clock, are set
// aside, so that the others can be read and added to.
func (d *DB) open(ctx context.Context) error {
	if err := os.MkdirAll(d.o.Dir, 0o700); err != nil {
		return err
	}
	now, settled := d.now().UnixMilli(), d.settled()
	ahead := d.ahead(ctx, now)
	for _, name := range ahead {
		if settled {
			d.move(name, aheadSuffix, errAhead)
		}
	}
	d.hasty = len(ahead) > 0 && !settled
	db, err := d.openAll()
	if err == nil && settled && isAhead(db, now) && (len(ahead) > 0 || oldestOf(db) <= now) {
		if err = d.withoutAhead(db, now); err == nil {
			db, err = d.openAll()
		}
	}
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	db.DisableCompactions() // maintain does them, and tells how they went
	d.mu.Lock()
	defer d.mu.Unlock()
	d.db = db
	d.rounds.resume(d.written())
	d.recall(ctx)
	return nil
}

// openAll opens all there is, without blocks that cannot be.
func (d *DB) openAll() (*tsdb.DB, error) {
	log := slog.New(&quiet{d.o.Log.Handler()})
	db, err := tsdb.Open(d.o.Dir, log, nil, d.options(), nil)
	if err != nil && d.setAside(log) > 0 {
		db, err = tsdb.Open(d.o.Dir, log, nil, d.options(), nil)
	}
	return db, err
}

// close ends queries and closes the database. It may be called twice.
func (d *DB) close() error {
	d.closing.Store(true)
	defer d.closing.Store(false)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db = nil
	return err
}

// quiet is the database's log without what it says when all is well.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q *quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (q *quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return &quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q *quiet) WithGroup(name string) slog.Handler { return &quiet{q.Handler.WithGroup(name)} }
