// Package zmtp is the protocol of ZeroMQ's sockets, ZMTP 3.0 and 3.1, for sockets of the types
// PUSH, PULL, PUB and SUB, with the mechanisms NULL, PLAIN and CURVE. It turns bytes into frames
// and back, and reads and writes nothing itself:
//
//	s, err := zmtp.NewSession(zmtp.Config{Socket: zmtp.Pull, Server: true})
//	out := s.Greet(nil)
//	for {
//		item, n, more, err := s.Receive(in, nil) // what is to be sent is appended to more
//		in = in[n:]
//		...
//	}
//
// Sources: RFC 23 and 37 of ZeroMQ for the protocol, 24 for PLAIN, 25 and 26 for CURVE, at
// https://rfc.zeromq.org. Sockets, their queues, and when a peer is too slow are not the
// package's business; a session only refuses what no peer of good will sends.
package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// Types of sockets.
const (
	Push = "PUSH"
	Pull = "PULL"
	Pub  = "PUB"
	Sub  = "SUB"
)

// peers are the types that each may talk to.
var peers = map[string][]string{Push: {Pull}, Pull: {Push}, Pub: {Sub, "XSUB"}, Sub: {Pub, "XPUB"}}

// Mechanism is how peers make sure of each other.
type Mechanism string

// The mechanisms.
const (
	Null  Mechanism = "NULL"  // not at all
	Plain Mechanism = "PLAIN" // by name and password, which anybody on the way can read
	Curve Mechanism = "CURVE" // by keys, and all is encrypted
)

// Config is what one side of a connection is.
type Config struct {
	// Socket is the type of ours.
	Socket string
	// Mechanism is Null where it is empty. Both sides must have the same.
	Mechanism Mechanism
	// Server is whether this side asks the other for its credentials: for Plain and Curve,
	// one side must and the other must not.
	Server bool
	// Credentials are those of a client of Plain.
	Credentials Credentials
	// Keys are ours with Curve.
	Keys KeyPair
	// ServerKey is the public key of the server, which clients of Curve need.
	ServerKey Key
	// Admit decides on a client that has shown its credentials. Nil admits every one. It is
	// called once a session.
	Admit func(c Credentials) bool
	// MaxFrame is the longest body of a frame, in bytes. Zero is 16 MiB.
	MaxFrame int
}

// Credentials are what a client shows. Of an authenticated one just those of the mechanism are
// set.
type Credentials struct {
	User, Password string // Plain
	Key            Key    // Curve: the client's public key, which it has proved to own
}

const (
	defaultMaxFrame = 16 << 20
	// maxHandshake is the longest command before a session is ready.
	maxHandshake = 4 << 10
	// maxCommand is the longest one after that. Topics of subscriptions can be long.
	maxCommand = 64 << 10
)

// Errors of a session. After one nothing more can be received.
var (
	ErrOld       = errors.New("zmtp: the peer does not speak ZMTP 3")
	ErrMechanism = errors.New("zmtp: the peer has another security mechanism")
	ErrRole      = errors.New("zmtp: both peers are servers")
	ErrSocket    = errors.New("zmtp: the type of the peer's socket does not go with ours")
	ErrFormat    = errors.New("zmtp: the peer does not follow the protocol")
	ErrTooLong   = errors.New("zmtp: a frame is longer than allowed")
	ErrRefused   = errors.New("zmtp: the peer's credentials are refused")
	ErrKeys      = errors.New("zmtp: what the peer has encrypted cannot be read with our keys")
	ErrPeer      = errors.New("zmtp: the peer has refused us") // what it says of that is Reason
)

// Kind is what Receive came to.
type Kind uint8

// The kinds.
const (
	Nothing   Kind = iota // more bytes are needed, or a command was dealt with
	Ready                 // the handshake is over: messages may be sent
	Frame                 // a part of a message
	Subscribe             // the peer wants messages that begin with Body
	Cancel                // it wants them no longer
	Pong                  // it has answered a ping
)

// Item is what Receive came to. Body refers to what was received, or with Curve to memory of
// the session, and is valid until the next call.
type Item struct {
	Kind Kind
	Body []byte
	More bool // another frame of the same message follows
}

// Session is one side of one connection. It belongs to one goroutine.
type Session struct {
	c     Config
	stage stage
	minor uint8 // of the peer's version
	curve *curve

	// Peer is what the peer has said of its socket, when it is Ready.
	Peer Peer
	// Reason is what a peer says that has refused us.
	Reason string
}

// Peer is what a peer says of itself.
type Peer struct {
	Socket   string
	Identity []byte
	// Credentials are those that were admitted.
	Credentials Credentials
}

// stage is how far a session has come.
type stage uint8

const (
	stageGreeting stage = iota
	stageHello          // servers wait for the client to begin; with NULL, both for READY
	stageWelcome        // clients wait for the server's answer
	stageInitiate       // servers
	stageReady          // clients
	stageOpen
	stageFailed
)

// NewSession returns a session of a side that has no bytes yet. It fails if c is not whole.
func NewSession(c Config) (*Session, error) {
	if c.MaxFrame <= 0 {
		c.MaxFrame = defaultMaxFrame
	}
	s := &Session{c: c}
	if peers[c.Socket] == nil {
		return nil, errors.New("zmtp: " + c.Socket + " is no type of socket that is known here")
	}
	switch c.Mechanism {
	case "":
		s.c.Mechanism = Null
	case Null:
	case Plain:
		if len(c.Credentials.User) > 255 || len(c.Credentials.Password) > 255 {
			return nil, errors.New("zmtp: a name or a password is longer than 255 bytes")
		}
	case Curve:
		var err error
		if s.curve, err = newCurve(&s.c); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("zmtp: " + string(c.Mechanism) + " is no mechanism that is known here")
	}
	return s, nil
}

// Pings tells whether the peer answers pings, which version 3.0 does not know.
func (s *Session) Pings() bool { return s.minor >= 1 }

// SetMaxFrame changes the longest body of a frame, for those that are not begun yet.
func (s *Session) SetMaxFrame(n int) {
	if n > 0 {
		s.c.MaxFrame = n
	}
}

// Held returns how much memory the session has for what was decrypted: as much as the longest
// frame that came, and nothing but with Curve.
func (s *Session) Held() int {
	if s.curve == nil {
		return 0
	}
	return cap(s.curve.opened)
}

// Trim gives memory back where that for frames in one direction, what is to be encrypted or
// was, is more than most. The last Item is not valid any more.
func (s *Session) Trim(most int) {
	if v := s.curve; v != nil {
		v.opened, v.sealed = trimmed(v.opened, most), trimmed(v.sealed, most)
	}
}

func trimmed(b []byte, most int) []byte {
	if cap(b) > most {
		return nil
	}
	return b
}

const greetingLen = 64

// Greet appends what every connection begins with.
func (s *Session) Greet(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, greetingLen)...)
	g := dst[at:]
	g[0], g[9] = 0xff, 0x7f
	g[10], g[11] = 3, 1
	copy(g[12:32], s.c.Mechanism)
	if s.c.Server && s.c.Mechanism != Null {
		g[32] = 1
	}
	return dst
}

// Receive takes the next greeting, command or frame off the front of in, whose length is n,
// and appends to out what is to be sent because of it. If n is 0 and there is no error, more
// bytes are needed: as many as a greeting or a frame may have, no more than MaxFrame and some.
// With an error, out may have what tells the peer.
func (s *Session) Receive(in, out []byte) (item Item, n int, sent []byte, err error) {
	switch s.stage {
	case stageFailed:
		return item, 0, out, ErrFormat
	case stageGreeting:
		n, out, err = s.greeting(in, out)
	default:
		var f frame
		if f, n, err = s.frame(in); n == 0 || err != nil {
			break
		}
		if s.stage != stageOpen {
			item, out, err = s.handshake(f, out)
			break
		}
		if s.curve != nil {
			if f, err = s.curve.open(f.body); err != nil {
				break
			}
		}
		if f.command {
			item, out, err = s.command(f.body, out)
		} else {
			item = s.part(f)
		}
	}
	if err != nil {
		s.stage = stageFailed
	}
	return item, n, out, err
}

// greeting reads the peer's. A peer that speaks an older version is known by less than all.
func (s *Session) greeting(in, out []byte) (n int, sent []byte, err error) {
	switch {
	case len(in) > 0 && in[0] != 0xff, len(in) > 9 && in[9]&1 == 0, len(in) > 10 && in[10] < 3:
		return 0, out, ErrOld
	case len(in) < greetingLen:
		return 0, out, nil
	case string(bytes.TrimRight(in[12:32], "\x00")) != string(s.c.Mechanism):
		return 0, out, ErrMechanism
	case s.c.Mechanism != Null && in[32] == 1 && s.c.Server:
		return 0, out, ErrRole // libzmq's servers do not say that they are, so a client cannot ask
	}
	s.minor = in[11]
	s.stage = stageHello
	switch {
	case s.c.Mechanism == Null:
		out = appendCommand(out, "READY", s.metadata())
	case s.c.Server:
	case s.c.Mechanism == Plain:
		out = appendCommand(out, "HELLO", appendShort(appendShort(nil, s.c.Credentials.User), s.c.Credentials.Password))
		s.stage = stageWelcome
	default:
		out = appendCommand(out, "HELLO", s.curve.hello())
		s.stage = stageWelcome
	}
	return greetingLen, out, nil
}

// frame is what the stream is made of.
type frame struct {
	command, more bool
	body          []byte
}

const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// frame takes a frame off the front of in.
func (s *Session) frame(in []byte) (f frame, n int, err error) {
	if len(in) < 2 {
		return f, 0, nil
	}
	flags := in[0]
	if flags&^(flagMore|flagLong|flagCommand) != 0 || flags&flagCommand != 0 && flags&flagMore != 0 {
		return f, 0, ErrFormat
	}
	size, head := uint64(in[1]), 2
	if flags&flagLong != 0 {
		if head = 9; len(in) < head {
			return f, 0, nil
		}
		size = binary.BigEndian.Uint64(in[1:])
	}
	f.command, f.more = flags&flagCommand != 0, flags&flagMore != 0
	if size > s.longest(f.command) {
		return f, 0, ErrTooLong
	}
	if n = head + int(size); len(in) < n {
		return f, 0, nil
	}
	f.body = in[head:n:n]
	return f, n, nil
}

// longest is how long a frame may be at this stage.
func (s *Session) longest(command bool) uint64 {
	switch {
	case s.stage != stageOpen:
		return maxHandshake
	case command:
		return maxCommand
	case s.curve != nil:
		return uint64(s.c.MaxFrame + curveOverhead)
	}
	return uint64(s.c.MaxFrame)
}

// part is a frame of a message. Before version 3.1 subscriptions are such as well.
func (s *Session) part(f frame) Item {
	if s.c.Socket == Pub && len(f.body) > 0 && f.body[0] <= 1 && !f.more {
		kind := Cancel
		if f.body[0] == 1 {
			kind = Subscribe
		}
		return Item{Kind: kind, Body: f.body[1:]}
	}
	return Item{Kind: Frame, Body: f.body, More: f.more}
}

// command is one of an open session. One that is not known is passed over.
func (s *Session) command(body, out []byte) (item Item, sent []byte, err error) {
	name, data, ok := cutCommand(body)
	if !ok {
		return item, out, ErrFormat
	}
	switch name {
	case "PING":
		if len(data) < 2 || len(data) > 2+16 {
			return item, out, ErrFormat
		}
		return item, s.appendSealed(out, frame{command: true, body: data[2:]}, appendShort(nil, "PONG")), nil
	case "PONG":
		return Item{Kind: Pong, Body: data}, out, nil
	case "SUBSCRIBE":
		return Item{Kind: Subscribe, Body: data}, out, nil
	case "CANCEL":
		return Item{Kind: Cancel, Body: data}, out, nil
	}
	return item, out, nil
}

// AppendFrame appends a frame of a message; more says that another follows.
func (s *Session) AppendFrame(dst, body []byte, more bool) []byte {
	return s.appendSealed(dst, frame{more: more, body: body}, nil)
}

// AppendPing appends a ping. A peer that gets nothing more in ttl tenths of a second may take
// the connection for broken; 0 leaves that to it.
func (s *Session) AppendPing(dst []byte, ttl uint16) []byte {
	return s.appendSealed(dst, frame{command: true, body: binary.BigEndian.AppendUint16(nil, ttl)}, appendShort(nil, "PING"))
}

// AppendSubscription appends that a Sub wants messages that begin with topic, or no longer.
func (s *Session) AppendSubscription(dst, topic []byte, wanted bool) []byte {
	switch {
	case s.minor >= 1 && wanted:
		return s.appendSealed(dst, frame{command: true, body: topic}, appendShort(nil, "SUBSCRIBE"))
	case s.minor >= 1:
		return s.appendSealed(dst, frame{command: true, body: topic}, appendShort(nil, "CANCEL"))
	case wanted:
		return s.appendSealed(dst, frame{body: topic}, []byte{1})
	}
	return s.appendSealed(dst, frame{body: topic}, []byte{0})
}

// appendSealed appends a frame with something before its body, encrypted if the session is.
func (s *Session) appendSealed(dst []byte, f frame, first []byte) []byte {
	if s.curve != nil {
		f.body = slices.Concat(first, f.body)
		return s.curve.seal(dst, f)
	}
	dst = appendHead(dst, f, len(first)+len(f.body))
	return append(append(dst, first...), f.body...)
}

func appendHead(dst []byte, f frame, size int) []byte {
	var flags byte
	if f.command {
		flags |= flagCommand
	}
	if f.more {
		flags |= flagMore
	}
	if size < 256 {
		return append(dst, flags, byte(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, flags|flagLong), uint64(size))
}
