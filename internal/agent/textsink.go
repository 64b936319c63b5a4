package agent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/match"
	"github.com/weirlog/weir/internal/reader"
	filesink "github.com/weirlog/weir/internal/sink/file"
)

// textOutlet is a sink of text with the reader that feeds it.
type textOutlet struct {
	name    string
	prefix  string // of the sink's states
	deps    sinkDeps
	sink    *filesink.Sink
	reader  *reader.Reader
	matches match.Selector
	flushed atomic.Int64
}

func newFileSink(c filesink.Config, d sinkDeps) (outlet, error) {
	prefix := filesink.Prefix(d.name)
	var streams []string
	for _, key := range d.state.Stored(prefix) {
		streams = append(streams, strings.TrimPrefix(key, prefix))
	}
	sink, err := filesink.New(c, filesink.Deps{Name: d.name, Ledger: d.ledger, State: d.state, Streams: streams, Remembers: d.state.Archive().Remembers})
	if err != nil {
		return nil, err
	}
	selector, err := match.Parse(c.Match)
	if err != nil {
		return nil, err
	}
	o := &textOutlet{name: d.name, prefix: prefix, deps: d, sink: sink, matches: selector}
	o.reader = reader.New(reader.Options{
		Archive: d.state.Archive(), Match: selector.Matches, Selector: selector.String(), Sink: sink, State: d.state, Name: d.name,
		Start: sink.Since(), Ledger: d.ledger,
		Delivered: func(s *archive.Stream, next uint64) {
			s.Delivered(d.name, next)
			o.flushed.Store(time.Now().UnixNano())
		},
	})
	return o, nil
}

// Run implements outlet.
func (o *textOutlet) Run(ctx context.Context) error {
	return errors.Join(o.reader.Run(ctx), o.sink.Close())
}

// LastFlush implements outlet.
func (o *textOutlet) LastFlush() time.Time {
	if at := o.flushed.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// States implements outlet.
func (o *textOutlet) States() []string {
	return append(o.deps.state.Stored(o.prefix), reader.Key(o.name))
}
