package tsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

// The ends of the names of the folders, beside the database, for what is set aside.
const (
	damagedSuffix = ".damaged" // what cannot be read
	aheadSuffix   = ".ahead"   // what has times that are still to come
)

// blockNameBytes is the length of a block's name, a ULID.
const blockNameBytes = 26

// blocks returns the names of the blocks in the folder.
func (d *DB) blocks() (names []string) {
	entries, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() && len(e.Name()) == blockNameBytes {
			names = append(names, e.Name())
		}
	}
	return names
}

// move moves something out of the database, which is closed, and says so. It tells whether
// that could be done.
func (d *DB) move(name, suffix string, why error) bool {
	aside := d.o.Dir + suffix
	to := filepath.Join(aside, filepath.Base(name))
	if _, err := os.Lstat(to); err == nil { // it has been here before
		to += "." + strconv.FormatInt(d.now().UnixNano(), 10)
	}
	if err := errors.Join(os.MkdirAll(aside, 0o700), os.Rename(filepath.Join(d.o.Dir, name), to)); err != nil {
		d.o.Log.Warn("set a part of the history aside", "part", name, "why", why, "error", err)
		return false
	}
	reason := "damaged block"
	if suffix == aheadSuffix {
		reason = "ahead of the clock"
	}
	d.o.Health.Dropped(reason, 1)
	d.o.Log.Warn("set a part of the history aside", "part", name, "to", to, "why", why)
	return true
}

// setAside moves the blocks that cannot be opened out of the database, and returns how many
// there were.
func (d *DB) setAside(log *slog.Logger) (moved int) {
	for _, name := range d.blocks() {
		block, err := tsdb.OpenBlock(log, filepath.Join(d.o.Dir, name), nil, nil)
		if err == nil {
			err = block.Close()
		}
		if err != nil && d.move(name, damagedSuffix, err) {
			moved++
		}
	}
	return moved
}

// tolerance is how far ahead of the clock samples may be: clocks are set back a little.
const tolerance = time.Hour

// errAhead is why something is set aside that has nothing wrong but its time.
var errAhead = errors.New("its samples are of a time that is still to come: the clock was ahead")

// settleTime is how long a machine may take after its start to get its clock right: one
// without a clock of its own begins where it was stopped, or decades before.
const settleTime = 10 * time.Minute

// clockSettled tells whether the machine has been up for so long.
func clockSettled() bool {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return true
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	return err != nil || seconds >= settleTime.Seconds()
}

// ahead returns the blocks of times to come. They have to go before the database is opened:
// measured by them all others would be too old to keep, and nothing could be added before
// their time has come. If there are no others, it may be the clock that is wrong now.
func (d *DB) ahead(ctx context.Context, now int64) (names []string) {
	past := false
	for _, name := range d.blocks() {
		meta, err := d.readMeta(name)
		if err != nil {
			continue
		}
		past = past || meta.MinTime <= now
		if meta.MinTime <= now && meta.MaxTime > now {
			meta = d.shorten(ctx, name, meta)
		}
		if meta.MaxTime > now+tolerance.Milliseconds() {
			names = append(names, name)
		}
	}
	if !past {
		return nil
	}
	return names
}

// metaFile is where a block says what it is.
const metaFile = "meta.json"

func (d *DB) readMeta(name string) (meta tsdb.BlockMeta, err error) {
	text, err := os.ReadFile(filepath.Join(d.o.Dir, name, metaFile))
	if err != nil {
		return meta, err
	}
	return meta, json.Unmarshal(text, &meta)
}

// shorten makes a block end where its samples do. One that was made when the clock went ahead
// ends at a whole hour after them, and nothing could be added before that.
func (d *DB) shorten(ctx context.Context, name string, meta tsdb.BlockMeta) tsdb.BlockMeta {
	end, err := d.endOf(ctx, name)
	if err != nil || end <= meta.MinTime || end >= meta.MaxTime {
		return meta
	}
	was := meta
	meta.MaxTime = end
	text, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return was
	}
	file := filepath.Join(d.o.Dir, name, metaFile)
	if os.WriteFile(file+".tmp", text, 0o600) != nil || os.Rename(file+".tmp", file) != nil {
		return was
	}
	return meta
}

// endOf returns the time after the newest sample of a block.
func (d *DB) endOf(ctx context.Context, name string) (end int64, err error) {
	block, err := tsdb.OpenBlock(d.o.Log, filepath.Join(d.o.Dir, name), nil, nil)
	if err != nil {
		return 0, err
	}
	defer block.Close()
	end = math.MinInt64
	err = d.readBlock(ctx, block, func(_ tsdb.ChunkReader, m chunks.Meta) error {
		end = max(end, m.MaxTime+1)
		return nil
	})
	return end, err
}

// isAhead tells whether the newest samples of the log are of a time to come.
func isAhead(db *tsdb.DB, now int64) bool {
	newest := db.Head().MaxTime()
	return newest != math.MinInt64 && newest > now+tolerance.Milliseconds()
}

// withoutAhead takes what is of times to come out of the log of an open database. What the
// log has of the past becomes a block first. It closes the database.
func (d *DB) withoutAhead(db *tsdb.DB, now int64) error {
	var err error
	const apart = 2 // the block ends before now, so that a sample of now can be added
	if head := db.Head(); head.MinTime() <= now-apart {
		err = db.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), now-apart))
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("keep what is not ahead of the clock: %w", err)
	}
	parts := filepath.Join(d.o.Dir, "log-"+strconv.FormatInt(now, 10))
	if err := os.Mkdir(parts, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for _, name := range []string{"wal", "chunks_head"} {
		if err := os.Rename(filepath.Join(d.o.Dir, name), filepath.Join(parts, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	d.move(filepath.Base(parts), aheadSuffix, errAhead)
	return nil
}

// doubt has the blocks looked at soon, because something could not be read. A request that
// ended, or came while the database was closed, says nothing of them.
func (d *DB) doubt(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotReady) {
		return
	}
	select {
	case d.doubts <- err:
	default: // they are about to be looked at
	}
}

// broken is a block that cannot be read, and why.
type broken struct {
	name string
	err  error
}

// examine reads all blocks, and notes those that cannot be read: the next round, which alone
// may close the database, sets them aside.
func (d *DB) examine(ctx context.Context) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return
	}
	var bad []broken
	for _, b := range d.db.Blocks() {
		err := d.readBlock(ctx, b, func(cr tsdb.ChunkReader, m chunks.Meta) error {
			_, _, err := cr.ChunkOrIterable(m)
			return err
		})
		if ctx.Err() != nil || d.closing.Load() {
			return
		}
		if err != nil && !errors.Is(err, tsdb.ErrClosing) {
			bad = append(bad, broken{b.Meta().ULID.String(), err})
		}
	}
	if len(bad) > 0 {
		d.broken.Store(&bad)
	}
}

// readBlock has visit see all chunks of a block, and returns why that cannot be read.
func (d *DB) readBlock(ctx context.Context, b *tsdb.Block, visit func(tsdb.ChunkReader, chunks.Meta) error) error {
	ir, err := b.Index()
	if err != nil {
		return err
	}
	defer ir.Close()
	cr, err := b.Chunks()
	if err != nil {
		return err
	}
	defer cr.Close()
	name, value := index.AllPostingsKey()
	all, err := ir.Postings(ctx, name, value)
	if err != nil {
		return err
	}
	var set labels.ScratchBuilder
	var metas []chunks.Meta
	for all.Next() {
		if ctx.Err() != nil || d.closing.Load() {
			return nil
		}
		if err := ir.Series(all.At(), &set, &metas); err != nil {
			return err
		}
		for _, m := range metas {
			if err := visit(cr, m); err != nil {
				return err
			}
		}
	}
	return all.Err()
}

// dropBroken closes the database and sets the blocks aside that examine found. The caller
// opens it again.
func (d *DB) dropBroken() {
	found := d.broken.Swap(nil)
	if found == nil {
		return
	}
	d.shut()
	for _, b := range *found {
		d.move(b.name, damagedSuffix, b.err)
	}
}

// oldestOf returns the time of the oldest sample of a database that is not in use yet.
func oldestOf(db *tsdb.DB) int64 {
	oldest := db.Head().MinTime()
	for _, b := range db.Blocks() {
		oldest = min(oldest, b.MinTime())
	}
	return oldest
}
