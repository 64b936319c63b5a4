package statsd

import (
	"fmt"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/link"
)

const (
	// datagramDoubt is how many seconds before they were refused datagrams are uncertain.
	datagramDoubt = 1
	// closeLimit is how long Close takes if its context does not say.
	closeLimit = 5 * time.Second
)

// sender is the goroutine that owns the connection.
//
// What is on its way is in three places, oldest first: batch, the lines of the next write
// or what is left of the last; hand, what the aggregate gave; and the queue. Nothing
// leaves the batch before the system has taken it.
type sender struct {
	settings
	queue     *queue
	aggregate *aggregate

	life     *link.Life
	stop     chan struct{}    // closed by Close: send what there is, then end
	stopping sync.Once        //
	flushes  chan chan error  // each gets nil once all that came before has been sent
	done     chan struct{}    // closed when run has returned
	looked   chan *connection // what lookUp found, or nil
	others   sync.WaitGroup   // goroutines that run waits for

	// These are run's own.
	conn    *connection
	batch   batch
	hand    *queue
	looking bool // somebody is about to write to looked
	refused bool
	pause   link.Pause
	failed  bool   // the last attempt has; it has been logged
	told    uint64 // drops that have been logged
	telling bool   // the queue has been full since
	waiters []chan error
	recent  link.Recent
	lost    uint64 // what was not sent before the end; for others once done is closed

	// mu guards what Stats shows, and writing, which abort interrupts.
	mu      sync.Mutex
	shown   Stats
	writing *connection
}

func newSender(o settings, q *queue, a *aggregate) *sender {
	return &sender{
		settings: o, queue: q, aggregate: a,
		life: link.NewLife(), stop: make(chan struct{}),
		flushes: make(chan chan error), done: make(chan struct{}), looked: make(chan *connection, 1),
		batch: batch{room: o.PacketSize, stream: o.stream()},
		hand:  newQueue(settings{Options: Options{QueueLines: maxInt, QueueBytes: maxInt, PacketSize: o.PacketSize}}),
	}
}

const maxInt = int(^uint(0) >> 1)

// run sends until stop.
func (s *sender) run() {
	defer close(s.done)
	defer s.leave()
	soon := time.NewTimer(time.Hour)
	soon.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	var adding <-chan time.Time
	if s.aggregate != nil {
		ticker := time.NewTicker(s.Aggregate)
		defer ticker.Stop()
		adding = ticker.C
	}
	for armed := false; ; {
		var broken chan error
		if s.conn != nil {
			broken = s.conn.broken
		}
		var err error
		select {
		case <-s.stop:
			s.finish()
			return
		case <-retry.C:
			if err = s.reconnect(); err == nil {
				err = s.sendAll()
			}
		case err = <-broken:
		case conn := <-s.looked:
			s.move(conn)
		case waiter := <-s.flushes:
			s.waiters = append(s.waiters, waiter)
			err = s.sendAll()
		case <-adding:
			err = s.sendAll()
		case <-soon.C:
			armed = false
			err = s.send(true)
		case <-s.queue.wake:
			if s.queue.isFull() {
				err = s.send(s.batch.stream)
			}
			if !armed {
				armed = true
				soon.Reset(s.FlushInterval)
			}
		}
		if err != nil {
			s.lose(err)
			retry.Reset(s.pause.Next())
		}
		s.grumble()
	}
}

// sendAll sends all there is, if there is a connection, and tells those who wait for that.
func (s *sender) sendAll() error {
	if s.conn == nil {
		return nil
	}
	if err := s.send(s.aggregate == nil); err != nil {
		return err
	}
	if s.aggregate != nil { // what is left in the batch shares a packet with what is added up
		if err := s.aggregate.flush(s.hand, s.sendHand); err != nil {
			return err
		}
		if err := s.pump(s.hand, true); err != nil {
			return err
		}
	}
	for _, waiter := range s.waiters {
		waiter <- nil
	}
	s.waiters = s.waiters[:0]
	return nil
}

// sendHand sends the full packets of what the aggregate gave.
func (s *sender) sendHand() error { return s.pump(s.hand, false) }

// send sends what is in hand and in the queue; unless all is wanted, a packet that is not
// full stays in the batch.
func (s *sender) send(all bool) error {
	if s.conn == nil {
		return nil
	}
	s.lookUp()
	if err := s.pump(s.hand, false); err != nil {
		return err
	}
	return s.pump(s.queue, all)
}

// pump sends what is in q by way of the batch.
func (s *sender) pump(q *queue, all bool) error {
	for {
		left := q.take(&s.batch)
		if len(s.batch.buf) == 0 || left == 0 && !all {
			return nil
		}
		if err := s.write(); err != nil {
			return err
		}
	}
}

// write sends the batch.
func (s *sender) write() error {
	for len(s.batch.buf) > 0 {
		n, err := s.conn.write(s.batch.buf)
		sent := s.batch.cut(n)
		s.recent.Add(sent)
		s.count(func(shown *Stats) { shown.Sent += sent })
		switch {
		case isTooLong(err):
			s.queue.drop(tooLong, s.batch.cut(len(s.batch.buf)))
		case err != nil:
			return err
		}
	}
	return nil
}

// reconnect makes a connection, if there is none.
func (s *sender) reconnect() error {
	if s.conn != nil {
		return nil
	}
	conn, err := s.connect(s.refused)
	if err != nil {
		return err
	}
	s.use(conn)
	if s.failed && s.Logger != nil {
		s.Logger.Info("connected to the statsd server again", "address", s.Address)
	}
	s.failed, s.refused = false, false
	return nil
}

// use makes conn the connection.
func (s *sender) use(conn *connection) {
	s.conn = conn
	s.recent = link.Recent{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = conn
	s.shown.Connections++
	s.shown.Connected = true
	if s.life.Err() != nil {
		_ = conn.SetWriteDeadline(time.Unix(1, 0)) // abort has just missed it
	}
}

// lookUp looks for another address of a UDP server now and then, beside the sending: names
// may take their time.
func (s *sender) lookUp() {
	if s.network != "udp" || !s.named || s.looking || time.Since(s.conn.made) < lookupEvery {
		return
	}
	s.conn.made, s.looking = time.Now(), true
	s.others.Go(func() {
		conn, err := s.connect(false)
		if err != nil {
			conn = nil // the old address may still be right
		}
		s.looked <- conn
	})
}

// move goes over to a connection that lookUp found, if it goes elsewhere.
func (s *sender) move(conn *connection) {
	s.looking = false
	switch {
	case conn == nil:
	case s.conn == nil || conn.RemoteAddr().String() == s.conn.RemoteAddr().String():
		_ = conn.Close() // the old socket knows whether it was refused
	default:
		_ = s.conn.Close() // what it was given is sent
		s.use(conn)
	}
}

// leave waits for the goroutines that run has started.
func (s *sender) leave() {
	s.abort()
	if s.looking {
		if conn := <-s.looked; conn != nil {
			_ = conn.Close() // nothing was sent
		}
	}
	s.others.Wait()
}

// lose gives up the connection, if there is one, for a reason.
func (s *sender) lose(why error) {
	var doubt uint64
	if s.conn != nil {
		s.conn.discard()
		switch {
		case !s.datagram():
			doubt = s.recent.Sum(link.Doubt)
		case s.network == "udp" && isUnheard(why):
			s.refused = true
			doubt = s.recent.Sum(datagramDoubt)
		}
		s.pause.Lost(time.Since(s.conn.made))
		s.conn = nil
	}
	s.mu.Lock()
	s.writing = nil
	s.shown.Connected = false
	s.shown.Uncertain += doubt
	s.shown.LastError, s.shown.LastErrorTime = why, time.Now()
	s.mu.Unlock()
	if !s.failed && s.Logger != nil && s.life.Err() == nil {
		s.Logger.Warn("no connection to the statsd server", "address", s.Address, "error", why, "uncertain_metrics", doubt)
	}
	s.failed = true
}

// grumble logs that metrics are dropped, once until there is room again.
func (s *sender) grumble() {
	if s.Logger == nil {
		return
	}
	s.queue.mu.Lock()
	room, drops := s.queue.lines < s.queue.maxLines/2, s.queue.drops[queueFull]+s.queue.drops[oldest]
	s.queue.mu.Unlock()
	if drops > s.told && !s.telling {
		s.Logger.Warn("the queue of metrics is full, some are dropped", "dropped_metrics", drops)
	}
	s.told, s.telling = drops, !room && (s.telling || drops > s.told)
}

// finish sends what there is until that is done or abort gives up, and counts the rest.
func (s *sender) finish() {
	added := newQueue(settings{Options: Options{QueueLines: maxInt, QueueBytes: maxInt}})
	if s.aggregate != nil {
		s.aggregate.close(added)
	}
	for s.life.Err() == nil && s.left()+added.len() > 0 {
		err := s.reconnect()
		if err == nil {
			err = s.send(false)
		}
		if err == nil {
			err = s.pump(added, true)
		}
		if err != nil {
			s.lose(err)
			select {
			case <-s.life.Done():
			case <-time.After(min(s.pause.Next(), link.MinPause)):
			}
		}
	}
	if s.conn != nil {
		_ = s.conn.Close() // the system sends what it has taken
	}
	s.lost = s.batch.weight() + s.hand.empty() + s.queue.empty() + added.empty()
	s.queue.drop(closed, s.lost)
	s.batch.cut(len(s.batch.buf))
	s.count(func(shown *Stats) { shown.Connected = false })
	for _, waiter := range s.waiters {
		waiter <- s.unsent()
	}
}

// unsent is an error if not all was sent before the end.
func (s *sender) unsent() error {
	if s.lost == 0 {
		return nil
	}
	return fmt.Errorf("statsd: close: %d metrics were not sent", s.lost)
}

// left returns how many lines are on their way.
func (s *sender) left() int { return len(s.batch.ends) + s.hand.len() + s.queue.len() }

// abort ends all that waits for the server.
func (s *sender) abort() {
	s.life.End()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing != nil {
		_ = s.writing.SetWriteDeadline(time.Unix(1, 0)) // a closed connection needs none
	}
}

func (s *sender) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.shown)
}
