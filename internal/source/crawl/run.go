package crawl

import (
	"context"
	"errors"
	"time"
)

// run asks for what is new, page by page, and takes it.
func (st *stream) runOnce(ctx context.Context) error {
	if err := st.begin(ctx); err != nil {
		return err
	}
	now := time.Now()
	st.run.now = now.UnixNano()
	if st.maxAge > 0 {
		st.run.oldest = now.Add(-st.maxAge).UnixNano()
	}
	if st.first && st.kind == timeKind && st.at.since == 0 {
		st.at.since = st.start(now)
		st.moved = true
	}
	v := variables{Cursor: string(st.at.cursor), Since: momentOf(st.at.since), Until: momentOf(st.run.now - int64(st.cfg.Delay)), Now: momentOf(st.run.now), Page: st.cfg.Pages.First}
	err := st.page(ctx, &v)
	if err == nil && st.kind == timeKind {
		st.advance(st.at.high)
	}
	return errors.Join(err, st.flush())
}

// start returns the time that the first run takes records from; 0 is the beginning.
func (st *stream) start(now time.Time) int64 {
	d, all := startOf(st.cfg.Start, st.source.deps.Once)
	if all {
		return 0
	}
	return now.Add(-d).UnixNano()
}

// page asks for a page and takes what is in it.
func (st *stream) page(ctx context.Context, v *variables) error {
	response, err := st.asks.ask(ctx, v)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return st.decoder.decode(response.Body, st.cfg.Format)
}
