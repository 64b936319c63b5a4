// Package distlog is the source of what distlog's handlers send over ZeroMQ, from Python and
// from package scope: records of scoped logging, in JSON or pickles.
//
//	src, err := distlog.New(cfg, deps)
//	err = src.Run(ctx, lines)
//
// A stream is a sender's host with the system and the kind of the topic. Its records have the
// message as their text, with the traceback below it where there is one; the attribute created
// is their time, the level is mapped, and the other attributes are fields: name, pathname,
// lineno, funcName, process, processName, thread, threadName, taskName and what extra= brings
// under their own names, those of the context as context_…, its key as key. Left out is what
// says the same again: args, asctime, msecs, relativeCreated, exc_info, levelno, filename,
// module, and msg where it is the message. A dictionary that is no log record is a record
// too, whose text is the whole of it as JSON. Records stand in the order of their arrival; in
// a scope, the number in the key is their order.
//
// For a relay that sends the same two frames on, KeepWire keeps each message as it came, in
// the fields wire_topic and wire_json, or wire_pickle in base64: no other form of a record
// leads back to the same bytes. An attribute of one of these names gets an underscore behind it.
//
// A sender is not answered, so what was not committed when weir is killed is lost, and
// nothing is there twice. While the journal does not take, nothing is read, so that the
// senders' sockets keep what they have. A message that makes no sense is counted by its
// reason, and kept apart if that is asked for.
//
// At a reload sockets and connections go to the source that follows, where address and security
// are the same, up to the half of a message: nothing is lost and nobody has to connect again.
//
// Everything that can grow is bounded: messages, connections, streams, fields, and what is
// kept of bad messages. Pickles are read as data; nothing of them is executed.
package distlog

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
	"github.com/weirlog/weir/internal/zmq"
)

const (
	// idleTime is how long a stream stays open that no connection uses.
	idleTime = 10 * time.Minute
	// idlePeriod is how often that is looked at.
	idlePeriod = time.Minute
)

// Source is the flow.Source of this package.
type Source struct {
	cfg     Config
	deps    flow.Deps
	streams *streams
	counts  *counts
	bad     *bad
	parts   []part
	// machines read long pickles.
	machines chan *pickle.Decoder

	lines flow.Lines // set before the first connection

	mu       sync.Mutex        // guards below
	problems map[string]string // of parts that do not work
	bound    []net.Addr        // where it listens
}

// part is one address that the source binds or connects to.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// New returns a source for a valid configuration.
func New(cfg Config, deps flow.Deps) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, deps: deps, machines: newMachines(), problems: map[string]string{}}
	var err error
	if s.counts, err = newCounts(deps); err != nil {
		return nil, err
	}
	s.streams = newStreams(&s.cfg, deps.Name, s.counts)
	s.bad = newBad(s)
	security, err := cfg.ForSocket()
	if err != nil {
		return nil, err
	}
	receiver := func(typ string, topics []string) (*zmq.Receiver, error) {
		return zmq.NewReceiver(zmq.Options{
			Type: typ, Security: security, Topics: topics, Limits: cfg.limits(), Event: deps.Ledger.Event, Reload: flow.ErrReload,
		}, func(p zmq.Peer) zmq.Taker { return newTaker(s, p) })
	}
	pull, err := receiver(zmtp.Pull, nil)
	if err != nil {
		return nil, err
	}
	sub, err := receiver(zmtp.Sub, cfg.Topics)
	if err != nil {
		return nil, err
	}
	for _, text := range cfg.Listen {
		s.listen(pull, text)
	}
	for _, text := range cfg.Connect {
		s.connect(pull, text, "connect "+text)
	}
	for _, text := range cfg.Subscribe {
		s.connect(sub, text, fmt.Sprintf("subscribe %s %q", text, cfg.Topics))
	}
	return s, nil
}

// listen adds an address that the source binds to. It has been looked at already.
func (s *Source) listen(r *zmq.Receiver, text string) {
	e, _ := zmq.ParseEndpoint(text)
	bound := func(a net.Addr) {
		s.mu.Lock()
		s.bound = append(s.bound, a)
		s.mu.Unlock()
		s.problem(text, nil, "")
		s.deps.Log.Info("listening", "address", text)
	}
	key := "distlog listen " + text + " " + s.cfg.Digest()
	s.parts = append(s.parts, s.part(text, key, func(ctx context.Context, before *zmq.Left) (*zmq.Left, error) {
		return r.Bind(ctx, zmq.Address{Endpoint: e, Bound: bound, Before: before})
	}))
}

// connect adds an address that the source connects to, and to do what.
func (s *Source) connect(r *zmq.Receiver, text, what string) {
	e, _ := zmq.ParseEndpoint(text)
	state := func(err error) { s.problem(text, err, "weir tries again by itself; see that the peer listens there") }
	key := "distlog " + s.deps.Name + " " + what + " " + s.cfg.Digest()
	s.parts = append(s.parts, s.part(text, key, func(ctx context.Context, before *zmq.Left) (*zmq.Left, error) {
		return r.Connect(ctx, zmq.Address{Endpoint: e, State: state, Before: before}), nil
	}))
}

// part returns the part of an address, which goes on with what was left under a key, and leaves
// that again.
func (s *Source) part(name, key string, run func(context.Context, *zmq.Left) (*zmq.Left, error)) part {
	before, _ := s.deps.Handover.Take(key).(*zmq.Left)
	return part{name, func(ctx context.Context) error {
		taken := before
		before = nil
		left, err := run(ctx, taken)
		if left != nil {
			s.deps.Handover.Leave(key, left)
		}
		return err
	}}
}

// Run takes messages until ctx ends, then those that have come in already.
func (s *Source) Run(ctx context.Context, lines flow.Lines) error {
	if s.deps.Once {
		lines.Settle()
		return nil
	}
	s.lines = lines
	line, err := lines.Open(flow.Input{Stream: s.bad.stream, Whole: true})
	if err != nil {
		return err
	}
	s.bad.line = line
	defer line.Close(true) // it has no position that one could come back to
	defer s.streams.closeIdle(time.Time{})
	var running sync.WaitGroup
	defer running.Wait()
	for _, p := range s.parts {
		running.Go(func() { s.keep(ctx, p) })
	}
	lines.Settle()
	tick := time.NewTicker(idlePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.streams.closeIdle(now.Add(-idleTime))
		}
	}
}

// keep runs a part, again after a pause if it fails, until ctx ends.
func (s *Source) keep(ctx context.Context, p part) {
	pause := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		err := p.run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.problem(p.name, err, "weir tries again by itself; free the address or choose another")
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// problem notes that a part does not work, or works again.
func (s *Source) problem(part string, err error, remedy string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.problems[part] = err.Error()
		s.deps.Ledger.Degraded(part+": "+err.Error(), remedy)
		return
	}
	if delete(s.problems, part); len(s.problems) == 0 {
		s.deps.Ledger.Healthy()
	}
}

// newStream returns a stream of the source.
func newStream(source string, labels map[string]string) record.Stream {
	labels["source"] = source
	all := record.NewLabels(labels)
	return record.Stream{ID: source + "/" + all.String(), Source: source, Labels: all}
}
