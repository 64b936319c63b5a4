// Package flow is the contract between weir's parts. A Source reads inputs and writes
// batches to the Line of each; a Line is a chain of Stages that ends in the journal; what
// the journal has accepted is committed with the source's position.
//
// The rules of the house: a nil error from Write is the acknowledgement, a Write that has
// not returned is the back-pressure, and there is no second mechanism for either. Only a
// Run starts goroutines, and it returns after the last of them. One goroutine writes to
// one line at a time; different lines are independent.
package flow

import (
	"context"
	"errors"
	"log/slog"

	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// A Source reads from the outside and writes what it reads to lines, until ctx ends or,
// where Deps.Once is set, its inputs do. An input that cannot be read is reported with
// Deps.Ledger and tried again; an error means that the source as a whole cannot go on.
type Source interface {
	Run(ctx context.Context, lines Lines) error
}

// ErrReload is the cause of a context that ends because a new configuration takes over. A
// part that would send something at its end leaves that to its successor, which has the
// same state, and a source leaves what it has open, in Deps.Handover.
var ErrReload = errors.New("the configuration is loaded again")

// A Sink takes batches. A nil error means that b is accepted and what its Position covers
// will not be asked for again. Write must not keep b, or any slice of it, after it returns.
type Sink interface {
	Write(ctx context.Context, b *record.Batch) error
}

// SinkFunc is a function as a Sink.
type SinkFunc func(ctx context.Context, b *record.Batch) error

// Write calls f.
func (f SinkFunc) Write(ctx context.Context, b *record.Batch) error { return f(ctx, b) }

// A TextSink takes what a reader finds in the kept text, and remembers how far it is. The
// reader goes on from Next, so that a record is written again only if the sink does not know
// that it has it.
type TextSink interface {
	// Sink's Write gets records of one stream, in their order, with their sequence numbers.
	Sink
	// Next returns the sequence number that comes after what the sink has of a stream; ok is
	// false for a stream that it does not know.
	Next(stream string) (next uint64, ok bool)
	// Flush makes durable what was written, and then how far that is.
	Flush(ctx context.Context) error
}

// A Stage wraps a sink, as HTTP middleware wraps a handler. It is made for one line, so it
// may keep state, and may change the batch in place.
type Stage func(next Sink) Sink

// Input is one thing that a source reads in order and that has a position of its own. A
// stream has one input, or, while a container is replaced by its successor, several.
type Input struct {
	Stream record.Stream
	// ID tells inputs of one stream apart: a container's id; empty for a file.
	ID string
	// Whole says that its records are whole, and that none can be read again: nothing is
	// held back for joining.
	Whole bool
}

// Lines gives a source its lines.
type Lines interface {
	// Open returns the line of an input, with the rules that match its stream.
	Open(in Input) (Line, error)
	// Known returns the inputs of this source that have a position, open or not.
	Known() []Input
	// Settle says that the source has opened every input it found at its first look.
	// From then on, restarts included, whatever appears is new and read from its start.
	Settle()
}

// ErrNoRoom says that the text of a refusable batch cannot be kept, and that nothing of it was
// counted.
var ErrNoRoom = errors.New("the disk has no room to keep text")

// ErrNotNow says that the target of a sink wants nothing for a while, whatever stream it is of.
var ErrNotNow = errors.New("it wants to be left alone")

// A Line takes the batches of one input.
type Line interface {
	Sink
	// Position returns where reading resumes, from the last commit. Its Source is empty
	// for an input never read.
	Position() record.Position
	// Close ends the line. With forget its position is removed by the next commit,
	// because its input is gone for good.
	Close(forget bool)
}

// State keeps small values of one component over restarts and reloads. What was stored is durable
// after the next commit.
type State interface {
	// Load returns what was stored under key, nil if nothing was.
	Load(key string) []byte
	// Store replaces it; an empty value removes it.
	Store(key string, value []byte)
}

// Deps is all that a component sees of the world.
type Deps struct {
	// Name is the component's name in the configuration.
	Name string
	// Log carries the component's name.
	Log *slog.Logger
	// Ledger is where the component says how it fares.
	Ledger *ledger.Component
	// Metrics is where a source of numbers puts them; they are not part of any commit.
	Metrics *metric.Registry
	// State is what the component keeps beside the positions of its inputs.
	State State
	// Batches bounds the memory of all sources together.
	Batches *Pool
	// Handover has what the source of this name left open when the configuration was loaded again.
	Handover *Handover
	// Containers knows at which addresses containers are.
	Containers *Containers
	// Once asks a source to read what exists to its end, from its beginning, and return.
	Once bool
	// Sync waits until what was written before is durable. It is for a source whose sender
	// waits for an answer.
	Sync func(ctx context.Context) error
	// Hurry, unless nil, tells whether somebody follows what is read live. A source that
	// lets writes pile up, so that it is woken less often, should then look sooner.
	Hurry func() bool
	// First is set when this source has never settled: what exists now may be older than
	// weir, and the source's start setting says how much of it is read.
	First bool
	// Own are directories that weir writes to. A source of files leaves out what is in them,
	// over links too: else weir would read what it writes, and write that again.
	Own []string
}

// Pool is a bounded set of batches. A source takes one when there is something to read and
// gives it back before it waits, so that idle inputs cost no buffers.
type Pool struct{ free chan *record.Batch }

// NewPool returns a pool of n batches, whose memory grows on first use.
func NewPool(n int) *Pool {
	p := &Pool{free: make(chan *record.Batch, n)}
	for range n {
		p.free <- new(record.Batch)
	}
	return p
}

// Get waits for a free batch and empties it for records of s.
func (p *Pool) Get(ctx context.Context, s *record.Stream) (*record.Batch, error) {
	select {
	case b := <-p.free:
		b.Reset(s)
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// maxPooledArena is the largest arena that goes back to the pool; a burst of long records
// must not hold its memory for ever. The others are the same of what a batch has beside it.
const (
	maxPooledArena   = 1 << 20
	maxPooledDeltas  = 16 << 10
	maxPooledRecords = 32 << 10
	maxPooledSpans   = 256 << 10 // of fields, and of values
)

// Put gives b back.
func (p *Pool) Put(b *record.Batch) {
	if cap(b.Arena) > maxPooledArena {
		b.Arena = nil
	}
	if cap(b.Deltas) > maxPooledDeltas {
		b.Deltas = nil
	}
	if cap(b.Records) > maxPooledRecords {
		b.Records = nil
	}
	if cap(b.Fields) > maxPooledSpans {
		b.Fields = nil
	}
	if cap(b.Values) > maxPooledSpans {
		b.Values = nil
	}
	p.free <- b
}
