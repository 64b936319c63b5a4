package scope

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/link"
)

const (
	// dialTimeout bounds one attempt to connect, the lookup of the name included, and
	// handshakeTimeout what comes then.
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	// patience is how long a server may take nothing before the connection is given up.
	patience = 10 * time.Second
	// linger is how long a record waits for others, unless it is an error's.
	linger = 10 * time.Millisecond
	// farewell is how long Close waits for the server to have read all.
	farewell = time.Second
	// closeLimit is how long Close takes if its context does not say.
	closeLimit = 5 * time.Second
)

// The states of the connection, as those see them who log.
const (
	trying int32 = iota // nothing is known yet
	up
	down
)

// sender is the goroutine that owns the connection.
type sender struct {
	settings
	queue *queue
	state atomic.Int32

	life     *link.Life
	stop     chan struct{} // closed by Close: send what there is, then end
	stopping sync.Once
	flushes  chan chan error // each gets nil once all that came before has been sent
	done     chan struct{}   // closed when run has returned
	readers  sync.WaitGroup

	// These are run's own.
	conn    *connection
	current *chunk // what is being sent, whole messages, or nil
	at      int    // how much the system has taken of the message that is next in current
	pause   link.Pause
	failed  bool // the last attempt has; it has been logged
	waiters []chan error
	recent  link.Recent
	lost    int // what was not sent before the end; for others once done is closed

	// mu guards what Stats shows, and busy, which abort interrupts.
	mu    sync.Mutex
	shown Stats
	busy  net.Conn
}

// connection is one connection to the server. A goroutine reads from it.
type connection struct {
	net.Conn
	made   time.Time
	broken chan error  // has room for the one error that reading ends with
	pongs  chan []byte // answers to the server's pings, one at a time
}

func newSender(o settings, q *queue) *sender {
	return &sender{
		settings: o, queue: q, life: link.NewLife(), stop: make(chan struct{}),
		flushes: make(chan chan error), done: make(chan struct{}),
	}
}

// run sends until stop.
func (s *sender) run() {
	defer close(s.done)
	defer s.readers.Wait()
	soon := time.NewTimer(time.Hour)
	soon.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for armed := false; ; {
		var broken chan error
		var pongs chan []byte
		if s.conn != nil {
			broken, pongs = s.conn.broken, s.conn.pongs
		}
		var err error
		select {
		case <-s.stop:
			s.finish()
			return
		case <-retry.C:
			if err = s.connect(); err == nil {
				err = s.send()
			}
		case err = <-broken:
		case answer := <-pongs:
			err = s.answer(answer)
		case waiter := <-s.flushes:
			s.waiters = append(s.waiters, waiter)
			err = s.send()
		case <-soon.C:
			if armed = s.queue.await(s.conn != nil); armed {
				soon.Reset(linger) // while records come, nobody has to wake us
				err = s.send()
			}
		case <-s.queue.wake:
			if !armed {
				armed = s.queue.await(true)
				soon.Reset(linger)
			}
			if s.queue.isUrgent() {
				err = s.send()
			}
		}
		if err != nil {
			s.lose(err)
			retry.Reset(s.pause.Next())
		}
	}
}

// connect makes a connection, if there is none.
func (s *sender) connect() error {
	if s.conn != nil {
		return nil
	}
	conn, err := s.Dial(s.life, s.network, s.address)
	if err != nil {
		return err
	}
	s.hold(conn)
	in := bufio.NewReaderSize(conn, maxFrame)
	if err := s.meet(conn, in); err != nil {
		s.hold(nil)
		_ = conn.Close() // nothing was sent
		return err
	}
	c := &connection{Conn: conn, made: time.Now(), broken: make(chan error, 1), pongs: make(chan []byte, 1)}
	s.conn, s.recent = c, link.Recent{}
	s.readers.Go(func() { c.watch(in) })
	s.state.Store(up)
	s.count(func(shown *Stats) {
		shown.Connections++
		shown.Connected = true
	})
	if s.failed && s.Logger != nil {
		s.Logger.Info("connected to the log server again", "address", s.Address)
	}
	s.failed = false
	return nil
}

// meet is the handshake, within its time.
func (s *sender) meet(conn net.Conn, in *bufio.Reader) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := link.GiveUpAfter(tcp, s.patience); err != nil {
			return err
		}
	}
	if err := s.deadline(conn, handshakeTimeout); err != nil {
		return err
	}
	if err := handshake(conn, in, s.User, s.Password); err != nil {
		return err
	}
	return conn.SetReadDeadline(time.Time{})
}

// hold lets abort find conn.
func (s *sender) hold(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = conn
}

// deadline lets all that is done with conn end in time, or at once after abort.
func (s *sender) deadline(conn net.Conn, limit time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	return s.life.Err() // or abort's deadline has just been overwritten
}

// watch reads until the other end is gone or the connection is closed.
func (c *connection) watch(in *bufio.Reader) {
	for {
		f, err := readFrame(in)
		if err != nil {
			c.broken <- err
			return
		}
		if answer := pong(f); answer != nil {
			select {
			case c.pongs <- answer:
			default: // one is on its way
			}
		}
	}
}

// answer sends a pong. It is no message: half of one breaks the connection.
func (s *sender) answer(pong []byte) error {
	if err := s.extend(); err != nil {
		return err
	}
	_, err := s.conn.Write(pong)
	return err
}

// send sends all there is, if there is a connection, and tells those who wait for that.
func (s *sender) send() error {
	if s.conn == nil {
		return nil
	}
	for {
		if s.current == nil {
			if s.current = s.queue.take(); s.current == nil {
				break
			}
		}
		if err := s.write(); err != nil {
			return err
		}
	}
	for _, waiter := range s.waiters {
		waiter <- nil
	}
	s.waiters = s.waiters[:0]
	return nil
}

// write sends the current chunk. A server that takes little has as long as it needs.
func (s *sender) write() error {
	c := s.current
	for c.sent < len(c.data) {
		if err := s.extend(); err != nil {
			return err
		}
		n, err := s.conn.Write(c.data[c.sent+s.at:])
		s.at += n
		messages, length := whole(c.data[c.sent:], s.at)
		c.sent, s.at = c.sent+length, s.at-length
		c.records -= messages
		s.queue.gone(messages, length)
		s.recent.Add(uint64(messages))
		s.count(func(shown *Stats) { shown.Sent += uint64(messages) })
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	s.current = nil
	s.queue.free(c)
	return nil
}

// extend gives the next write its time.
func (s *sender) extend() error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	return s.life.Err() // or abort's deadline has just been overwritten
}

// lose gives up the connection, if there is one, for a reason. What it has not taken whole
// is sent whole over the next.
func (s *sender) lose(why error) {
	var uncertain uint64
	if s.conn != nil {
		if tcp, ok := s.conn.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it is broken anyway
		}
		_ = s.conn.Close() // it is broken anyway
		uncertain = s.recent.Sum(link.Doubt)
		s.pause.Lost(time.Since(s.conn.made))
		s.conn, s.at = nil, 0
	}
	s.state.Store(down)
	s.hold(nil)
	s.count(func(shown *Stats) {
		shown.Connected = false
		shown.Uncertain += uncertain
		shown.LastError, shown.LastErrorTime = why, time.Now()
	})
	if !s.failed && s.Logger != nil && s.life.Err() == nil {
		s.Logger.Warn("no connection to the log server", "address", s.Address, "error", why, "uncertain_records", uncertain)
	}
	s.failed = true
}

// finish sends what there is until that is done or abort gives up, and counts the rest.
func (s *sender) finish() {
	for s.life.Err() == nil && s.left() > 0 {
		err := s.connect()
		if err == nil {
			err = s.send()
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
		s.part()
	}
	s.state.Store(down)
	s.lost = s.left()
	s.queue.drop(closed, uint64(s.lost))
	if s.current != nil {
		s.queue.gone(s.current.records, len(s.current.data)-s.current.sent)
		s.current = nil
	}
	for c := s.queue.take(); c != nil; c = s.queue.take() {
		s.queue.gone(c.records, len(c.data))
	}
	s.count(func(shown *Stats) { shown.Connected = false })
	for _, waiter := range s.waiters {
		waiter <- s.unsent()
	}
}

// part says goodbye: a server that closes the connection in turn has read all there was; one
// that resets it, or does not answer in time, may have not.
func (s *sender) part() {
	if half, ok := s.conn.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		limit := time.NewTimer(farewell)
		defer limit.Stop()
		var why error
		select {
		case why = <-s.conn.broken:
		case <-s.life.Done():
		case <-limit.C:
		}
		if why != io.EOF {
			uncertain := s.recent.Sum(link.Doubt)
			s.count(func(shown *Stats) { shown.Uncertain += uncertain })
		}
	}
	_ = s.conn.Close() // the system sends what it has taken
}

// unsent is an error if not all was sent before the end.
func (s *sender) unsent() error {
	if s.lost == 0 {
		return nil
	}
	return fmt.Errorf("scope: close: %d records were not sent", s.lost)
}

// left returns how many records have not been sent.
func (s *sender) left() int {
	records, _ := s.queue.waiting()
	return records
}

// abort ends all that waits for the server.
func (s *sender) abort() {
	s.life.End()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy != nil {
		_ = s.busy.SetDeadline(time.Unix(1, 0)) // a closed connection needs none
	}
}

func (s *sender) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.shown)
}
