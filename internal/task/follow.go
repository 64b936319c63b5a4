package task

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/record"
)

const (
	// tailBytes is how much one who follows may be behind; then he reads all again, as he does
	// anyway.
	tailBytes = 1 << 20
	// pause is the least time between two answers, and pauseShare how much of the time he
	// may spend reading.
	pause      = 500 * time.Millisecond
	pauseShare = 5
	// ping is after how long without a change a follower is called all the same: what is open
	// may have become lost.
	ping = 10 * time.Second
)

// FollowTree calls emit with a task as it is, and again whenever it has changed, until ctx
// ends or emit fails. A task that nothing is known of yet has no nodes.
func (f *Finder) FollowTree(ctx context.Context, q TreeRequest, emit func(*Tree) error) error {
	search := newSearch(q.ID)
	return f.follow(ctx, func(chunk []byte) bool {
		found := false
		search.each(chunk, func([]byte) { found = true })
		return found
	}, func() error {
		t, err := f.Tree(ctx, q)
		if err != nil {
			return err
		}
		return emit(t)
	})
}

// FollowList calls emit with a list as it is, and again whenever it may have changed, until
// ctx ends or emit fails. With a Start it goes along with the time.
func (f *Finder) FollowList(ctx context.Context, q ListRequest, emit func(*List) error) error {
	var back time.Duration
	if !q.Start.IsZero() {
		back = time.Since(q.Start)
	}
	return f.follow(ctx, func(chunk []byte) bool {
		found := false
		eachKeyed(chunk, func([]byte) { found = true })
		return found
	}, func() error {
		if back > 0 {
			q.Start = time.Now().Add(-back)
		}
		l, err := f.List(ctx, q)
		if err != nil {
			return err
		}
		return emit(l)
	})
}

// follow calls show, and again when text came that matters.
func (f *Finder) follow(ctx context.Context, matters func(chunk []byte) bool, show func() error) error {
	tail := f.Archive.Tail(func(record.Labels) bool { return true }, tailBytes)
	defer tail.Close()
	least := f.Pause
	if least <= 0 {
		least = pause
	}
	for {
		if f.Sync != nil {
			if err := f.Sync(ctx); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := show(); err != nil {
			return err
		}
		if err := wait(ctx, max(least, pauseShare*time.Since(began))); err != nil {
			return err
		}
		if err := news(ctx, tail, matters); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// news returns when there is some that matters, or it is time to look again.
func news(ctx context.Context, tail *archive.Tail, matters func([]byte) bool) error {
	soon, cancel := context.WithTimeout(ctx, ping)
	defer cancel()
	for {
		chunks, lost, err := tail.Next(soon)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		case err != nil:
			return err
		case lost > 0:
			return nil
		}
		for _, c := range chunks {
			if matters(bytes.TrimSpace(c.Text)) {
				return nil
			}
		}
	}
}
