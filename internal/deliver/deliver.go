// Package deliver is what the sinks of kept records share. A sink to the outside has a Target,
// which sends batches; all else is here:
//
//	s := deliver.New(deps, target, 10*time.Second) // a flow.TextSink, for reader.Reader
//
// A Sink keeps a cursor for each stream, which is durable with the next commit, so that what
// was sent and not yet noted when weir was killed is sent again. A target that can tell what it
// has makes use of the numbers of records, and of the sink's Identity: no two records of one
// identity have the same stream and number, whatever becomes of weir's data directory.
//
// A sink that puts records of several batches into one request is a flow.TextSink itself, with
// Cursors.
//
// Selection is the configuration that says which records a sink gets, TLS that of certificates,
// Encoder the form in which records go out as text.
//
// One goroutine at a time may use a Sink or Cursors. The package leaves out the reading of kept text and
// the pauses between attempts, which are package reader's.
package deliver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// State keeps values over restarts, as journal.Journal does.
type State interface {
	// Load returns what was last stored under key, or nil.
	Load(key string) []byte
	// Store keeps value with the next commit.
	Store(key string, value []byte)
	// Sync makes what was stored durable.
	Sync(ctx context.Context) error
}

// Deps is what a sink sees of the world.
type Deps struct {
	// Name is the sink's name in the configuration; its states are kept under it.
	Name string
	// Node is the name of this machine.
	Node string
	// Log carries the sink's name.
	Log *slog.Logger
	// Ledger is told what was sent. It may be nil.
	Ledger *ledger.Component
	// State keeps cursors.
	State State
	// Streams are those that State has a cursor of.
	Streams []string
	// Remembers tells whether a stream may go on where it ended. The cursors of others are
	// dropped now and then. It may be nil: then all may.
	Remembers func(stream string) bool
	// Type returns the type of a source of that name, "" if there is none in the configuration.
	Type func(source string) string
	// Metrics is where a sink puts numbers of its own; they are not part of any commit.
	Metrics *metric.Registry
	// Handover has what the sink of this name left open when the configuration was loaded again.
	Handover *flow.Handover
}

// Result says what a target did with the records of a batch, as far as it did not just take
// them.
type Result struct {
	// Already is how many of them it had.
	Already int
	// Refused is how many it will never take, and Why the reason, a short constant phrase.
	Refused int
	Why     string
	// Later is how many of them it has not sent yet. It counts them itself.
	Later int
}

// Target is the far end of a sink.
type Target interface {
	// Send delivers the records of b but those with the flag record.Dropped, which were not
	// chosen. After an error the same records, and maybe more, are sent again.
	Send(ctx context.Context, b *record.Batch) (Result, error)
	// Close releases what the target holds. It may be called twice.
	Close() error
}

// Sink brings batches to a target. It is a flow.TextSink.
type Sink struct {
	deps    Deps
	target  Target
	timeout time.Duration
	cursors *Cursors
}

var _ flow.TextSink = (*Sink)(nil)

// New returns a sink whose target may take so long for a batch.
func New(d Deps, t Target, timeout time.Duration) *Sink {
	return &Sink{deps: d, target: t, timeout: timeout, cursors: NewCursors(d)}
}

// StatePrefix is what the keys of all cursors begin with, IdentityPrefix what those of
// identities do.
const (
	StatePrefix    = "deliver\x00"
	IdentityPrefix = "identity\x00"
)

// Prefix returns what the keys begin with under which the sink of that name keeps the cursors
// of its streams.
func Prefix(name string) string { return StatePrefix + name + "\x00" }

// Next implements flow.TextSink.
func (s *Sink) Next(stream string) (next uint64, ok bool) { return s.cursors.Next(stream) }

// Write implements flow.Sink. The records of a batch are delivered together or not at all.
func (s *Sink) Write(ctx context.Context, b *record.Batch) error {
	chosen := 0
	for i := range b.Records {
		if b.Records[i].Flags&record.Dropped == 0 {
			chosen++
		}
	}
	if chosen > 0 {
		if err := s.send(ctx, b, chosen); err != nil {
			return err
		}
	}
	// At once, and not when it is flushed: of a long backlog little is sent again after a crash.
	s.cursors.Set(b.Stream.ID, b.First+uint64(len(b.Records)))
	return nil
}

func (s *Sink) send(ctx context.Context, b *record.Batch, chosen int) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	result, err := s.target.Send(limited, b)
	if err != nil {
		return err
	}
	if l := s.deps.Ledger; l != nil {
		if n := chosen - result.Already - result.Refused - result.Later; n > 0 {
			l.Sent(n)
		}
		if result.Already > 0 {
			l.Events("had it already", result.Already)
		}
		if result.Refused > 0 {
			l.Dropped(result.Why, result.Refused)
		}
	}
	return nil
}

// Flush implements flow.TextSink. Targets have what they have taken, and cursors are durable
// with the next commit.
func (s *Sink) Flush(context.Context) error {
	s.cursors.Forget()
	return nil
}

// Close closes the target. It may be called twice.
func (s *Sink) Close() error { return s.target.Close() }

// Identity tells the deliveries of a sink from those of any other, and from those it made when
// weir had another data directory. Of two identities of one machine the later is the larger.
type Identity struct {
	// Made is when it was made, in Unix milliseconds.
	Made uint64
	// Random is as the name says.
	Random uint64
}

// IdentityOf returns the identity of a sink. The first time it makes one and waits until
// that is durable: what is sent under it must not be sent under another after a crash.
func IdentityOf(ctx context.Context, d Deps) (Identity, error) {
	key := IdentityPrefix + d.Name
	if b := d.State.Load(key); len(b) == identityLen {
		return Identity{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
	}
	var b [identityLen]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli()))
	if _, err := rand.Read(b[8:]); err != nil {
		return Identity{}, fmt.Errorf("make the sink's identity: %w", err)
	}
	d.State.Store(key, b[:])
	if err := d.State.Sync(ctx); err != nil {
		return Identity{}, fmt.Errorf("keep the sink's identity: %w", err)
	}
	return Identity{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}, nil
}

const identityLen = 16
