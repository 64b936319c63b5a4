// Package datadog is the sink that sends records to Datadog's intake of logs, version 2 of its
// API, or to what speaks like it.
//
//	s, err := datadog.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// Records of all streams go into one request until one of the intake's bounds is reached: 1,000
// of them, 5 MB before it is packed. One that alone would be 1 MB or more loses its end, and
// says so. After each request that the intake took the cursors of its streams go on, and are
// durable before the next one is sent: whenever weir is killed, one request at most comes twice.
//
// What the intake answers decides (answer.go): it is taken; or sent again, after a pause; or the
// request is halved, until the record is found that it does not want, which is dropped and
// counted; or, where the key or the address is wrong, nothing is dropped and it is asked again
// once in a minute.
//
// One goroutine at a time may use a Sink. Metrics are left out: they go over DogStatsD.
package datadog

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Sink sends records to the intake.
type Sink struct {
	config   Config
	deps     deliver.Deps
	cursors  *deliver.Cursors
	client   *http.Client
	masks    deliver.Masks
	encoder  encoder
	one      []byte         // the record that is written at the moment
	text     []byte         // those of the request to come, each behind a comma, and one at the end
	entries  []entry        // the same, one by one
	ahead    map[string]int // the last entry of each stream
	open     int            // in text, the commas that are brackets at the moment
	shut     int
	unsynced bool // cursors have gone on since the last sync

	gzip   *gzip.Writer
	packed bytes.Buffer
	zstd   *compress.Encoder

	// A request that is not full waits until so much time has gone since the one before.
	every time.Duration
	sent  time.Time
	// After a failure nothing is sent before a time.
	until   time.Time
	failure error
	now     func() time.Time
}

var _ flow.TextSink = (*Sink)(nil)

// entry is a record of the request to come.
type entry struct {
	end    int // of its text
	stream string
	// next is the number of the record after it and after those that follow it and do not go out.
	next uint64
	old  int // of these, how many are too old
	cut  bool
}

const (
	// pace is how often a request may go out that is not full.
	pace = time.Second
	// maxText and maxOne are how much memory stays for the next request.
	maxText = 1 << 20
	maxOne  = 64 << 10
)

// New returns a sink, which connects when there is something to send. It fails for a
// configuration that Validate refuses, and for files of certificates that cannot be read.
func New(c Config, d deliver.Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	return &Sink{
		config: c, deps: d, cursors: deliver.NewCursors(d), client: client, masks: c.masks(), encoder: encoder{config: c, node: d.Node},
		ahead: map[string]int{}, every: pace, now: time.Now,
	}, nil
}

// Next implements flow.TextSink. What was written and is not sent yet counts as well, until
// sending it fails.
func (s *Sink) Next(stream string) (next uint64, ok bool) {
	if k, ok := s.ahead[stream]; ok {
		return s.entries[k].next, true
	}
	return s.cursors.Next(stream)
}

// Write implements flow.Sink. After an error everything that was not sent has to be written again.
func (s *Sink) Write(ctx context.Context, b *record.Batch) error {
	if len(b.Records) > 0 {
		if err := s.waiting(); err != nil {
			s.clear()
			return err
		}
	}
	s.encoder.begin(b, s.now())
	oldest, old := s.oldest(), 0
	for i := range b.Records {
		r := &b.Records[i]
		switch {
		case r.Flags&record.Dropped != 0:
		case r.Time < oldest && r.Time != 0:
			old++
		default:
			s.skip(b, i, old)
			old = 0
			if err := s.add(ctx, b, i); err != nil {
				s.clear()
				return err
			}
		}
	}
	s.skip(b, len(b.Records), old)
	return nil
}

// oldest returns from when on records are sent, in Unix nanoseconds.
func (s *Sink) oldest() int64 {
	if s.config.MaxAge == 0 {
		return -1 << 63
	}
	return s.now().Add(-s.config.MaxAge).UnixNano()
}

// skip says that the records of b before i are written, of which some at the end are too old.
// They are done with when what came before them is sent.
func (s *Sink) skip(b *record.Batch, i, old int) {
	next := b.First + uint64(i)
	if k, ok := s.ahead[b.Stream.ID]; ok {
		s.entries[k].next = next
		s.entries[k].old += old
		return
	}
	if i == len(b.Records) || old > 0 {
		s.cursors.Set(b.Stream.ID, next)
		s.count(countOld, old)
	}
}

// add puts record i of b into the request to come, and sends that before if there is no room.
func (s *Sink) add(ctx context.Context, b *record.Batch, i int) error {
	var cut bool
	s.one, cut = s.encoder.append(s.one[:0], b, i)
	if len(s.entries) == maxEntries || len(s.text)+len(s.one)+2 > maxBody { // a comma, and what closes the list
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	s.text = append(append(s.text, ','), s.one...)
	s.entries = append(s.entries, entry{end: len(s.text), stream: b.Stream.ID, next: b.First + uint64(i) + 1, cut: cut})
	s.ahead[b.Stream.ID] = len(s.entries) - 1
	if cap(s.one) > maxOne {
		s.one = nil
	}
	return nil
}

// Flush implements flow.TextSink: it sends what was written. Cursors are durable before the next
// request, or with the next commit.
func (s *Sink) Flush(ctx context.Context) error {
	if len(s.entries) > 0 {
		if err := s.rest(ctx); err != nil {
			s.clear()
			return err
		}
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	s.cursors.Forget()
	return nil
}

// rest waits until the next request may go out, so that a quiet node sends few.
func (s *Sink) rest(ctx context.Context) error {
	left := s.every - s.now().Sub(s.sent)
	if s.sent.IsZero() || left <= 0 {
		return nil
	}
	timer := time.NewTimer(min(left, s.every))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clear forgets what was written and is not sent.
func (s *Sink) clear() {
	s.text, s.entries, s.open, s.shut = s.text[:0], s.entries[:0], 0, 0
	clear(s.ahead)
	if cap(s.text) > maxText {
		s.text = nil
	}
}

// done says that the intake is done with some entries: their streams go on behind them.
func (s *Sink) done(entries []entry) {
	for k, e := range entries {
		if k+1 == len(entries) || entries[k+1].stream != e.stream {
			if next, ok := s.cursors.Next(e.stream); !ok || next < e.next {
				s.cursors.Set(e.stream, e.next)
			}
		}
		s.count(countOld, e.old)
	}
	s.unsynced = true
}

const countOld = "older than the intake takes"

// count counts records that do not go out.
func (s *Sink) count(why string, n int) {
	if s.deps.Ledger != nil && n > 0 {
		s.deps.Ledger.Dropped(why, n)
	}
}

// Close closes connections. It may be called twice.
func (s *Sink) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
