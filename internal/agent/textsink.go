package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/match"
	"github.com/weirlog/weir/internal/reader"
	filesink "github.com/weirlog/weir/internal/sink/file"
)

// selecting is the configuration of a sink of kept records.
type selecting interface{ Selected() deliver.Selection }

// textSink is a sink of kept records.
type textSink interface {
	flow.TextSink
	io.Closer
}

// textOutlet is such a sink with the reader that feeds it.
type textOutlet struct {
	name    string
	deps    sinkDeps
	sink    textSink
	reader  *reader.Reader
	matches match.Selector
	flushed atomic.Int64
}

// newTextOutlet builds a sink and its reader.
func newTextOutlet[C selecting, S textSink](c C, d sinkDeps, build func(C, deliver.Deps) (S, error)) (outlet, error) {
	prefix := textPrefix(c, d.name)
	var streams []string
	for _, key := range d.state.Stored(prefix) {
		streams = append(streams, strings.TrimPrefix(key, prefix))
	}
	sink, err := build(c, deliver.Deps{
		Name: d.name, Node: d.node, Log: d.log, Ledger: d.ledger, State: d.state, Streams: streams, Remembers: d.state.Archive().Remembers,
		Type: func(source string) string { return d.types[source] }, Metrics: d.registry, Handover: d.handover,
	})
	if err != nil {
		return nil, err
	}
	selection := c.Selected()
	streamsOf, err := selection.Streams()
	if err != nil {
		return nil, err
	}
	o := &textOutlet{name: d.name, deps: d, sink: sink, matches: streamsOf}
	opts := reader.Options{
		Archive: d.state.Archive(), Match: streamsOf.Matches, Selector: streamsOf.String(), Sink: sink, State: d.state, Name: d.name,
		Start: selection.Since(), Ledger: d.ledger,
		Delivered: func(s *archive.Stream, next uint64) {
			s.Delivered(d.name, next)
			o.flushed.Store(time.Now().UnixNano())
		},
	}
	chooser, err := selection.Chooser()
	if err != nil {
		return nil, err
	}
	if chooser != nil {
		opts.Chooser = chooser
	}
	o.reader = reader.New(opts)
	return o, nil
}

// textPrefix returns what the keys begin with under which a sink keeps what it knows of streams.
func textPrefix(c selecting, name string) string {
	if _, files := c.(filesink.Config); files {
		return filesink.Prefix(name)
	}
	return deliver.Prefix(name)
}

// server is a sink to which others connect.
type server interface{ Serve(ctx context.Context) }

// Run implements outlet. A server serves until the reader has brought what is left.
func (o *textOutlet) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	end := func(error) {}
	if s, ok := o.sink.(server); ok {
		var until context.Context
		until, end = context.WithCancelCause(context.WithoutCancel(ctx))
		serving.Go(func() { s.Serve(until) })
	}
	err := o.reader.Run(ctx)
	end(context.Cause(ctx))
	serving.Wait()
	return errors.Join(err, o.sink.Close())
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
	state := o.deps.state
	return append(append(state.Stored(filesink.Prefix(o.name)), state.Stored(deliver.Prefix(o.name))...), reader.Key(o.name), deliver.IdentityPrefix+o.name)
}
