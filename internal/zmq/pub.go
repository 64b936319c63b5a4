package zmq

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

const (
	// maxTopics is how many different topics a peer may want, and maxTopicBytes how long
	// they may be together.
	maxTopics     = 10_000
	maxTopicBytes = 1 << 20
	// lingerTime is how long peers may take at the end to read what waits for them.
	lingerTime = time.Second
	// writeBuffer is about how much is written at a time.
	writeBuffer = 64 << 10
)

// Publisher gives messages out to those that want them.
type Publisher struct {
	socket *socket

	eased chan struct{} // has an element when a peer has taken from its queue

	mu    sync.Mutex // guards peers
	peers map[*subscription]bool
}

// NewPublisher returns a Publisher without peers.
func NewPublisher(o Options) (*Publisher, error) {
	s, err := newSocket(o, zmtp.Pub)
	if err != nil {
		return nil, err
	}
	p := &Publisher{socket: s, eased: make(chan struct{}, 1), peers: map[*subscription]bool{}}
	s.open = p.open
	return p, nil
}

// Bind lets peers connect at an address until ctx ends; then they get what waits for them, as
// far as a second allows. At a reload it returns what it leaves open, with what waits.
func (p *Publisher) Bind(ctx context.Context, a Address) (*Left, error) {
	return p.socket.bind(ctx, a)
}

// Connect connects to an address, again whenever that fails or ends, until ctx ends; see
// Receiver.Connect.
func (p *Publisher) Connect(ctx context.Context, a Address) *Left {
	return p.socket.connect(ctx, a)
}

// Send gives a message to every peer that wants it, by its first part. It does not wait: sent
// is in how many queues it stands, and full how many had no room for it. It may be called by
// many goroutines, and keeps nothing of parts.
func (p *Publisher) Send(parts ...[]byte) (sent, full int) {
	if len(parts) == 0 {
		return 0, 0
	}
	var m message
	p.mu.Lock()
	defer p.mu.Unlock()
	for peer := range p.peers {
		if !peer.wants(parts[0]) {
			continue
		}
		if m.parts == nil {
			m = copied(parts)
		}
		if peer.put(m) {
			sent++
		} else {
			full++
			p.socket.event(QueueFull)
		}
	}
	return sent, full
}

// Ease waits while the queue of a peer is more than half full, at most until ctx ends: so a burst
// is no reason for a peer to lose messages that takes them as they come. One that has taken
// nothing for a whole such wait is not waited for again before it has. One goroutine may call
// it at a time.
func (p *Publisher) Ease(ctx context.Context) {
	for {
		full := p.full(false)
		if !full {
			return
		}
		select {
		case <-p.eased:
		case <-ctx.Done():
			p.full(true)
			return
		}
	}
}

// full tells whether the queue of a peer is more than half full that is worth waiting for; with
// giveUp those are waited for no more.
func (p *Publisher) full(giveUp bool) (some bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	limits := &p.socket.Limits
	for s := range p.peers {
		s.mu.Lock()
		if !s.stuck && !s.closed && (len(s.queue) > limits.Queue/2 || s.queued > limits.QueueBytes/2) {
			some, s.stuck = true, giveUp
		}
		s.mu.Unlock()
	}
	return some
}

// Peers returns how many peers there are.
func (p *Publisher) Peers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.peers)
}

// message is one that waits. All queues share it.
type message struct {
	parts [][]byte
	size  int
}

func copied(parts [][]byte) (m message) {
	for _, part := range parts {
		m.parts = append(m.parts, bytes.Clone(part))
		m.size += len(part)
	}
	return m
}

// subscription is one peer: what it wants, and what waits for it.
type subscription struct {
	publisher *Publisher
	conn      *conn
	ended     chan struct{} // closed when its writer has ended

	mu     sync.Mutex // guards below
	topics map[string]int
	bytes  int         // of topics
	sizes  []int       // how long topics are, each length once: a message is looked up so often
	among  map[int]int // how many topics have a length
	queue  []message
	queued int           // bytes of queue
	stuck  bool          // nothing was taken from queue for a whole wait
	lost   int           // messages that could not be sent
	closed bool          // nothing more is taken
	more   chan struct{} // has an element when there may be more in queue, or it is closed
}

// open makes the subscription of a peer that is ready, which wants nothing yet, or takes over
// that of one that was left.
func (p *Publisher) open(c *conn) Taker {
	s, was := c.taker.(*subscription)
	if !was {
		s = &subscription{conn: c, topics: map[string]int{}}
	}
	s.publisher, s.more, s.ended = p, make(chan struct{}, 1), make(chan struct{})
	p.mu.Lock()
	p.peers[s] = true
	p.mu.Unlock()
	go s.write()
	s.wake()
	return s
}

// Message implements Taker. A SUB sends nothing but what it wants.
func (s *subscription) Message(context.Context, [][]byte) error { return nil }

// Flush implements Taker.
func (s *subscription) Flush(context.Context) error { return nil }

// Close implements Taker. It returns when the writer has ended.
func (s *subscription) Close(context.Context) {
	s.remove()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake()
	<-s.ended
	s.forsake()
}

// remove ends that messages are put into the queue.
func (s *subscription) remove() {
	p := s.publisher
	p.mu.Lock()
	delete(p.peers, s)
	p.mu.Unlock()
}

// leave ends the writer, and leaves what waits as it is. The connection is leaving.
func (s *subscription) leave() {
	s.remove()
	s.wake()
	<-s.ended
}

// forsake counts what nobody will send any more.
func (s *subscription) forsake() {
	s.mu.Lock()
	n := len(s.queue) + s.lost
	s.queue, s.queued, s.lost, s.closed = nil, 0, 0, true
	s.mu.Unlock()
	if lost := s.publisher.socket.Lost; n > 0 && lost != nil {
		lost(n)
	}
}

// subscribe notes that the peer wants a topic, or no longer, each as often as it says so. It
// returns false if that is too much.
func (s *subscription) subscribe(topic []byte, wanted bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, known := s.topics[string(topic)]
	switch {
	case wanted && known:
		s.topics[string(topic)] = n + 1
	case wanted:
		if len(s.topics) >= maxTopics || s.bytes+len(topic) > maxTopicBytes {
			return false
		}
		s.topics[string(topic)] = 1
		s.bytes += len(topic)
		s.measure(len(topic), 1)
	case n > 1:
		s.topics[string(topic)] = n - 1
	case known:
		delete(s.topics, string(topic))
		s.bytes -= len(topic)
		s.measure(len(topic), -1)
	}
	return true
}

// measure notes that there is a topic more, or less, of a length.
func (s *subscription) measure(length, more int) {
	if s.among == nil {
		s.among = map[int]int{}
	}
	switch s.among[length] += more; {
	case s.among[length] == 0:
		delete(s.among, length)
		s.sizes = slices.DeleteFunc(s.sizes, func(n int) bool { return n == length })
	case more > 0 && s.among[length] == 1:
		s.sizes = append(s.sizes, length)
	}
}

// wants tells whether the peer wants messages that begin with first.
func (s *subscription) wants(first []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.sizes {
		if n <= len(first) && s.topics[string(first[:n])] > 0 {
			return true
		}
	}
	return false
}

// put puts a message into the queue, if there is room.
func (s *subscription) put(m message) bool {
	limits := &s.publisher.socket.Limits
	s.mu.Lock()
	ok := !s.closed && len(s.queue) < limits.Queue && (len(s.queue) == 0 || s.queued+m.size <= limits.QueueBytes)
	if ok {
		s.queue = append(s.queue, m)
		s.queued += m.size
	}
	s.mu.Unlock()
	if ok {
		s.wake()
	}
	return ok
}

func (s *subscription) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// write writes what is in the queue until that is closed and empty, the peer is gone, or the
// connection is left to a successor.
func (s *subscription) write() {
	defer close(s.ended)
	var taken []message
	for range s.more {
		s.mu.Lock()
		taken, s.queue = s.queue, taken[:0]
		s.queued, s.stuck = 0, false
		closed := s.closed
		s.mu.Unlock()
		select {
		case s.publisher.eased <- struct{}{}:
		default:
		}
		rest, err := s.send(taken)
		if err != nil {
			s.mu.Lock()
			s.lost += len(rest)
			s.mu.Unlock()
			_ = s.conn.net.Close() // its reader ends, and calls Close
			return
		}
		s.putBack(rest)
		clear(taken)
		if closed || s.conn.leaving.Load() {
			return
		}
	}
}

// putBack puts messages before those that wait.
func (s *subscription) putBack(all []message) {
	if len(all) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(slices.Clone(all), s.queue...)
	for _, m := range all {
		s.queued += m.size
	}
}

// send writes messages. It returns those that it has not written: after an error, those that
// may not have been, too.
func (s *subscription) send(all []message) (rest []message, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := 0
	for i, m := range all {
		if c.leaving.Load() {
			return all[i:], nil
		}
		for k, part := range m.parts {
			c.out = c.session.AppendFrame(c.out, part, k < len(m.parts)-1)
		}
		if len(c.out) >= writeBuffer || i == len(all)-1 {
			if err := c.sendLocked(); err != nil {
				return all[sent:], err
			}
			sent = i + 1
		}
	}
	return nil, nil
}
