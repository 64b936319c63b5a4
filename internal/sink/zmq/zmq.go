// Package zmq is the sink that publishes records over ZeroMQ, as distlogd does: a PUB to which
// anybody may subscribe.
//
//	s, err := zmq.New(cfg, deps) // a flow.TextSink, for reader.Reader
//	go s.Serve(ctx)              // subscribers can connect until ctx ends
//
// A message has two frames, a topic and a body. A record that a source of distlog has kept as
// it came (keep_wire) goes out as the identical two frames. Any other is JSON as distlog's
// formatter writes it, as far as weir knows what stands there; its topic is made as distlog's
// is, of the labels system and kind of its stream.
//
// Whoever is late, or reads too slowly, loses messages, which are counted by what became of
// them; nobody is waited for but for some milliseconds. A message is sent once at most: what
// was taken from the journal is noted, and that is durable, before it is sent. So what is on
// its way when weir is killed is lost, and nothing comes twice.
//
// At a reload subscribers stay connected where address and security are the same.
package zmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
	"github.com/weirlog/weir/internal/zmq"
)

const (
	// maxStaged is about how much is sent after one sync, and held until then.
	maxStaged = 4 << 20
	// easeTime is how long a burst may wait for subscribers that do not read as fast.
	easeTime = 100 * time.Millisecond
	// listenTime is how long records wait for an address to be listened at before that is a
	// failure of the sink.
	listenTime = 2 * time.Second
	// sendTime is how long a sync may take.
	sendTime = 30 * time.Second
)

// Sink is the flow.TextSink of this package.
type Sink struct {
	*deliver.Sink
	config    Config
	deps      deliver.Deps
	publisher *zmq.Publisher
	counts    *counts
	writer    writer
	staged    []staged
	text      []byte // of them
	parts     []part

	mu       sync.Mutex        // guards below
	problems map[string]string // of parts that do not work
	ready    chan struct{}     // closed while subscribers can connect
	open     int               // parts that work
}

// staged is a message that waits until it is noted that it was sent.
type staged struct{ topic, body int } // where they end in text

// part is one address.
type part struct {
	name, key string
	before    *zmq.Left
	run       func(ctx context.Context, a zmq.Address) (*zmq.Left, error)
	address   zmq.Address
}

// counts are the numbers about messages.
type counts struct {
	sent, full, gone, unwanted, subscribers *metric.Series
}

func newCounts(d deliver.Deps) (*counts, error) {
	messages, err := d.Metrics.Family(metric.Desc{
		Name: "weir_zmq_messages_total", Owner: "zmq sink", Labels: []string{"sink", "fate"},
		Help: "Messages of a zmq sink for each subscriber that wants them: sent, or lost as the subscriber's queue was full or it was gone. Those that nobody wants are unwanted.",
	})
	if err != nil {
		return nil, err
	}
	subscribers, err := d.Metrics.Family(metric.Desc{Name: "weir_zmq_subscribers", Kind: metric.Gauge, Owner: "zmq sink", Labels: []string{"sink"}, Help: "Subscribers that are connected to a zmq sink."})
	if err != nil {
		return nil, err
	}
	of := func(fate string) *metric.Series { return messages.Series(d.Name, fate) }
	return &counts{sent: of("sent"), full: of("queue_full"), gone: of("subscriber_gone"), unwanted: of("unwanted"), subscribers: subscribers.Series(d.Name)}, nil
}

// New returns a sink. It fails for a configuration that Validate refuses.
func New(c Config, d deliver.Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	counts, err := newCounts(d)
	if err != nil {
		return nil, err
	}
	security, err := c.ForSocket()
	if err != nil {
		return nil, err
	}
	s := &Sink{
		config: c, deps: d, counts: counts, problems: map[string]string{}, ready: make(chan struct{}),
		writer: writer{node: d.Node, system: c.System, distlog: func(source string) bool { return d.Type(source) == "distlog" }},
	}
	s.publisher, err = zmq.NewPublisher(zmq.Options{Security: security, Limits: c.limits(), Event: s.event, Lost: s.lost, Reload: flow.ErrReload})
	if err != nil {
		return nil, err
	}
	s.Sink = deliver.New(d, target{s}, sendTime)
	for _, text := range c.Listen {
		s.add("listen", text, s.publisher.Bind)
	}
	for _, text := range c.Connect {
		s.add("connect", text, func(ctx context.Context, a zmq.Address) (*zmq.Left, error) { return s.publisher.Connect(ctx, a), nil })
	}
	return s, nil
}

// add adds an address, which has been looked at already, with what was left open there.
func (s *Sink) add(what, text string, run func(context.Context, zmq.Address) (*zmq.Left, error)) {
	e, _ := zmq.ParseEndpoint(text)
	p := part{name: text, key: fmt.Sprintf("zmq sink %s %s %s %s", s.deps.Name, what, text, s.config.Digest()), run: run}
	p.before, _ = s.deps.Handover.Take(p.key).(*zmq.Left)
	p.address = zmq.Address{
		Endpoint: e,
		Bound: func(net.Addr) {
			s.problem(text, nil, "")
			s.deps.Log.Info("listening", "address", text)
		},
		State: func(err error) { s.problem(text, err, "weir tries again by itself; see that somebody listens there") },
	}
	s.parts = append(s.parts, p)
}

// Serve lets subscribers connect until ctx ends, and returns once they have what waits for them,
// as far as a second allows.
func (s *Sink) Serve(ctx context.Context) {
	var running sync.WaitGroup
	for i := range s.parts {
		p := &s.parts[i]
		running.Go(func() { s.keep(ctx, p) })
	}
	if len(s.config.Listen) == 0 {
		s.listens(1) // whom it connects to is as late as any other subscriber
		defer s.listens(-1)
	}
	running.Wait()
}

// keep runs a part, again after a pause if it fails, until ctx ends.
func (s *Sink) keep(ctx context.Context, p *part) {
	pause := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
	bound := p.address.Bound
	for {
		a, listening := p.address, false
		a.Before, p.before = p.before, nil
		a.Bound = func(at net.Addr) {
			listening = true
			s.listens(1)
			bound(at)
		}
		left, err := p.run(ctx, a)
		if listening {
			s.listens(-1)
		}
		if left != nil {
			s.deps.Handover.Leave(p.key, left)
		}
		if ctx.Err() != nil {
			return
		}
		s.problem(p.name, err, "weir tries again by itself; free the address or choose another")
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// listens notes that one address more, or less, can be connected to.
func (s *Sink) listens(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open += n; s.open == 1 && n > 0 {
		close(s.ready)
	} else if s.open == 0 {
		s.ready = make(chan struct{})
	}
}

// problem notes that a part does not work, or works again.
func (s *Sink) problem(part string, err error, remedy string) {
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

// event counts what happens to connections.
func (s *Sink) event(what string) {
	s.deps.Ledger.Event(what)
	if what == zmq.Connected || what == zmq.Disconnected {
		s.counts.subscribers.Set(float64(s.publisher.Peers()))
	}
}

// lost counts what waited for a subscriber that is gone.
func (s *Sink) lost(n int) {
	s.counts.gone.Add(float64(n))
	s.deps.Ledger.Dropped("subscriber gone", n)
}

// target is the deliver.Target of a Sink: it stages records until the sink is flushed.
type target struct{ sink *Sink }

// Send implements deliver.Target.
func (t target) Send(ctx context.Context, b *record.Batch) (deliver.Result, error) {
	s := t.sink
	if len(s.text) >= maxStaged {
		if err := s.publish(ctx); err != nil {
			return deliver.Result{}, err
		}
	}
	s.writer.begin(b)
	n := 0
	for i := range b.Records {
		if b.Records[i].Flags&record.Dropped == 0 {
			end := 0
			s.text, end = s.writer.append(s.text, i)
			s.staged = append(s.staged, staged{end, len(s.text)})
			n++
		}
	}
	return deliver.Result{Later: n}, nil
}

// Close implements deliver.Target. What is staged and was noted as sent is lost.
func (t target) Close() error {
	if n := len(t.sink.staged); n > 0 {
		t.sink.deps.Ledger.Dropped("not sent before the end", n)
	}
	t.sink.clear()
	return nil
}

func (s *Sink) clear() {
	s.staged = s.staged[:0]
	if s.text = s.text[:0]; cap(s.text) > maxStaged/4 {
		s.text, s.staged = nil, nil
	}
}

// Flush implements flow.TextSink.
func (s *Sink) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return errors.Join(s.publish(ctx), s.Sink.Flush(ctx))
}

// publish sends what is staged, once it is durable that it is sent.
func (s *Sink) publish(ctx context.Context) error {
	if len(s.staged) == 0 {
		return nil
	}
	if err := s.listening(ctx); err != nil {
		return err
	}
	if err := s.deps.State.Sync(ctx); err != nil {
		return fmt.Errorf("note what is sent: %w", err)
	}
	var sent, full, unwanted int
	from, reached, eased, easedAt := 0, 0, 0, 0
	for i, m := range s.staged {
		in, out := s.publisher.Send(s.text[from:m.topic:m.topic], s.text[m.topic:m.body:m.body])
		sent, full = sent+in, full+out
		switch {
		case in > 0:
			reached++
		case out == 0:
			unwanted++
		}
		if from = m.body; from-easedAt > int(s.config.QueueBytes)/4 || i-eased >= s.config.Queue/4 {
			eased, easedAt = i, from
			s.ease(ctx)
		}
	}
	s.counts.sent.Add(float64(sent))
	s.counts.full.Add(float64(full))
	s.counts.unwanted.Add(float64(unwanted))
	s.counts.subscribers.Set(float64(s.publisher.Peers()))
	s.deps.Ledger.Sent(reached)
	if full > 0 {
		s.deps.Ledger.Dropped("queue of a subscriber is full", full)
	}
	s.clear()
	return nil
}

// ease waits for subscribers for a moment.
func (s *Sink) ease(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, easeTime)
	defer cancel()
	s.publisher.Ease(ctx)
}

// listening waits until subscribers can connect: before that there is nobody who could be late.
func (s *Sink) listening(ctx context.Context) error {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, listenTime)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-limited.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var why []string
	for _, name := range slices.Sorted(maps.Keys(s.problems)) {
		why = append(why, name+": "+s.problems[name])
	}
	return errors.New("listens nowhere: " + strings.Join(why, "; "))
}
