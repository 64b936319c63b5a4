// Package zmq is ZeroMQ's sockets over TCP and Unix sockets, as weir needs them: a Receiver
// takes messages as PULL or SUB, a Publisher gives them out as PUB. Both may bind to addresses
// and connect to others.
//
//	r, err := zmq.NewReceiver(zmq.Options{Type: zmtp.Pull}, func(p zmq.Peer) zmq.Taker { ... })
//	left, err := r.Bind(ctx, zmq.Address{Endpoint: e}) // until ctx ends
//
// Messages of one connection are taken in their order, by one goroutine, as they lie in its
// buffer. There is no queue: while a Taker has not returned, nothing more is read, so that
// the peer's socket keeps what it has to send. A Publisher never waits: each of its peers has
// a bounded queue, and what does not fit there is left out and counted.
//
// Everything a peer can do is bounded by Limits, in bytes, in numbers and in time. Frames,
// commands and mechanisms are those of codec/zmtp; what messages mean is not the package's
// business. What is open when a socket ends may go to the one that follows it: see Left.
// There are no identities, no ZAP, and of transports neither inproc nor pgm.
package zmq

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

// Options are what a socket is.
type Options struct {
	// Type is zmtp.Pull or zmtp.Sub of a Receiver, and nothing of a Publisher.
	Type string
	// Security is who may connect, and how this side shows itself.
	Security Security
	// Limits are those of peers; what is zero there has a default.
	Limits Limits
	// Topics are what a Sub wants: messages whose first part begins with one of them.
	Topics []string
	// Event is told what happens, in short constant phrases. It may be nil, and is called by
	// many goroutines.
	Event func(event string)
	// Lost is told how many messages waited for a peer of a Publisher when its connection
	// ended. It may be nil, and is called by many goroutines.
	Lost func(n int)
	// Reload is the cause of contexts at whose end what is open stays so, for a successor:
	// see Left. Nil: there are none.
	Reload error
}

// Security is how peers make sure of each other.
type Security struct {
	// Mechanism is zmtp.Null where it is empty.
	Mechanism zmtp.Mechanism
	// Users are the names and passwords of those who may connect with zmtp.Plain.
	Users map[string]string
	// User and Password are those that this side shows where it connects.
	User, Password string
	// Keys are ours with zmtp.Curve.
	Keys zmtp.KeyPair
	// ServerKey is the key of those to whom this side connects.
	ServerKey zmtp.Key
	// Clients are the keys of those who may connect. None: all who know our public key.
	Clients map[zmtp.Key]bool
	// Allow are the addresses from which one may connect. None: all.
	Allow []netip.Prefix
}

// Limits bound what peers can do. Zero is the default.
type Limits struct {
	// Message is the longest message, all of its parts together. Default: 4 MiB.
	Message int
	// Parts is how many parts it may have. Default: 256.
	Parts int
	// Connections is how many there may be of one Bind. Default: 1000.
	Connections int
	// Memory is what all connections of a socket may use for buffers, beyond 8 KiB each for
	// what comes in, for parts and for what is decrypted. With zmtp.Curve a message that is
	// whole takes twice its length. A connection gives back what it does not fill for a second. Default:
	// 64 MiB.
	Memory int
	// Handshake is the longest that a peer may take to say who it is. Default: 10s.
	Handshake time.Duration
	// Unfinished is the longest that a message may take to come in, and that a peer may take
	// to read what it is sent. Default: 30s.
	Unfinished time.Duration
	// Heartbeat is after how long without a byte a peer is asked for a sign of life, and
	// Silence how long that may take. Peers that speak ZMTP 3.0 cannot be asked. Default: 30s
	// each.
	Heartbeat, Silence time.Duration
	// Queue is how many messages, and QueueBytes how many bytes, wait for one peer of a
	// Publisher. Default: 1000, and 4 MiB.
	Queue, QueueBytes int
}

func (l Limits) whole() Limits {
	number := func(v *int, otherwise int) {
		if *v <= 0 {
			*v = otherwise
		}
	}
	span := func(v *time.Duration, otherwise time.Duration) {
		if *v <= 0 {
			*v = otherwise
		}
	}
	number(&l.Message, 4<<20)
	number(&l.Parts, 256)
	number(&l.Connections, 1000)
	number(&l.Memory, 64<<20)
	number(&l.Queue, 1000)
	number(&l.QueueBytes, 4<<20)
	span(&l.Handshake, 10*time.Second)
	span(&l.Unfinished, 30*time.Second)
	span(&l.Heartbeat, 30*time.Second)
	span(&l.Silence, 30*time.Second)
	return l
}

// What happens to connections, for Options.Event.
const (
	Connected    = "peer connected"
	Disconnected = "peer disconnected"
	Refused      = "connection refused: address is not allowed"
	TooMany      = "connection refused: too many"
	NoFiles      = "accept failed"
	BadPeer      = "connection closed: not ZeroMQ's protocol"
	BadMechanism = "connection closed: another security mechanism"
	BadKey       = "connection closed: credentials refused"
	SlowPeer     = "connection closed: handshake took too long"
	Unfinished   = "connection closed: unfinished message"
	Silent       = "connection closed: silent"
	TooLong      = "connection closed: message too long"
	NoMemory     = "connection closed: no memory for long messages"
	NotReading   = "connection closed: peer does not read"
	QueueFull    = "message left out: queue of a peer is full"
)

// Peer is who is at the other end of a connection.
type Peer struct {
	// Addr is the address of a TCP connection; the zero Addr of a Unix socket.
	Addr netip.Addr
	// Name is that address in words, or "unix".
	Name string
	// Credentials are those that the peer has shown and that were admitted.
	Credentials zmtp.Credentials
}

// A Taker takes what comes over one connection. One goroutine calls it. The contexts end some
// seconds after that of Bind or Connect, so that what has come in can be written.
type Taker interface {
	// Message takes a message. Its parts are valid until it returns.
	Message(ctx context.Context, parts [][]byte) error
	// Flush is called when all that has come in was taken, and before anything is waited for.
	// An error of it or of Message ends the connection.
	Flush(ctx context.Context) error
	// Close is called when the connection has ended.
	Close(ctx context.Context)
}

// lastTime is how long a Taker may take after the end.
const lastTime = 5 * time.Second

// lasting returns a context that ends lastTime after ctx.
func lasting(ctx context.Context) (work context.Context, end func()) {
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastTime, abandon) })
	return work, func() { stop(); abandon() }
}

// socket is what all connections of a Receiver or a Publisher have in common.
type socket struct {
	Options
	typ  string
	used atomic.Int64 // of Limits.Memory
	// open makes what a connection that is ready talks to.
	open func(c *conn) Taker
}

func newSocket(o Options, typ string) (*socket, error) {
	o.Limits = o.Limits.whole()
	s := &socket{Options: o, typ: typ}
	for _, server := range []bool{true, false} {
		if o.Security.Mechanism == zmtp.Curve && !server && o.Security.ServerKey == (zmtp.Key{}) {
			continue // it only binds
		}
		if _, err := s.session(server); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// session returns the session of a new connection.
func (s *socket) session(server bool) (*zmtp.Session, error) {
	sec := &s.Security
	return zmtp.NewSession(zmtp.Config{
		Socket: s.typ, Mechanism: sec.Mechanism, Server: server, Keys: sec.Keys, ServerKey: sec.ServerKey,
		Credentials: zmtp.Credentials{User: sec.User, Password: sec.Password},
		Admit:       sec.admit, MaxFrame: s.Limits.Message,
	})
}

// allows tells whether an address may connect. Unix sockets have none: who may connect there
// is up to the file's mode.
func (s *Security) allows(a netip.Addr) bool {
	if len(s.Allow) == 0 || !a.IsValid() {
		return true
	}
	for _, p := range s.Allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (s *socket) event(what string) {
	if s.Event != nil && what != "" {
		s.Event(what)
	}
}

// take takes memory for buffers, give gives it back.
func (s *socket) take(n int) bool {
	for n > 0 {
		used := s.used.Load()
		if used+int64(n) > int64(s.Limits.Memory) {
			return false
		}
		if s.used.CompareAndSwap(used, used+int64(n)) {
			break
		}
	}
	return true
}

func (s *socket) give(n int) { s.used.Add(-int64(n)) }

// Receiver takes messages.
type Receiver struct{ socket *socket }

// NewReceiver returns a Receiver that asks open for the taker of each connection whose
// handshake is over.
func NewReceiver(o Options, open func(p Peer) Taker) (*Receiver, error) {
	if o.Type != zmtp.Pull && o.Type != zmtp.Sub {
		return nil, errors.New("zmq: a receiver is a PULL or a SUB")
	}
	s, err := newSocket(o, o.Type)
	if err != nil {
		return nil, err
	}
	s.open = func(c *conn) Taker { return open(c.peer) }
	return &Receiver{s}, nil
}

// Bind listens at an address and takes what connections bring until ctx ends; then what has
// come in already, or, at a reload, it returns what it leaves open.
func (r *Receiver) Bind(ctx context.Context, a Address) (*Left, error) {
	return r.socket.bind(ctx, a)
}

// Connect connects to an address, again whenever that fails or ends, until ctx ends. At a
// reload it returns what it leaves open.
func (r *Receiver) Connect(ctx context.Context, a Address) *Left {
	return r.socket.connect(ctx, a)
}
