package zmtp

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/crypto/nacl/box"
)

// Key is a public or a secret key of CURVE.
type Key [32]byte

// KeyPair is a secret key and the public one that goes with it.
type KeyPair struct{ Public, Secret Key }

// NewKeyPair returns a new pair.
func NewKeyPair() (KeyPair, error) {
	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{Key(*public), Key(*secret)}, nil
}

// curve is what a session of CURVE has: the first letters of the variables' names are those
// of RFC 26. The short keys are of this connection alone, so that who finds a long one later
// cannot read what was sent before.
type curve struct {
	server bool
	long   KeyPair // ours
	short  KeyPair // ours, of this connection
	peer   Key     // the long key of the server, for a client
	theirs Key     // the short key of the peer
	shared [32]byte
	cookie [96]byte // what a server gives and wants back

	sent, got uint64 // counters in nonces
	sealed    []byte
	opened    []byte
}

const (
	// curveOverhead is how much longer an encrypted frame is.
	curveOverhead = len("\x07MESSAGE") + 8 + box.Overhead + 1
	helloPadding  = 72
	helloSigned   = 64 // zeros whose encryption shows that the client has the server's key
)

func newCurve(c *Config) (*curve, error) {
	if c.Keys == (KeyPair{}) {
		return nil, errors.New("zmtp: CURVE needs a pair of keys")
	}
	if !c.Server && c.ServerKey == (Key{}) {
		return nil, errors.New("zmtp: CURVE needs the server's public key")
	}
	short, err := NewKeyPair()
	if err != nil {
		return nil, err
	}
	v := &curve{server: c.Server, long: c.Keys, short: short, peer: c.ServerKey, sent: 1}
	if _, err := rand.Read(v.cookie[:]); err != nil {
		return nil, err
	}
	return v, nil
}

// nonce is a text, and a number or random bytes that are never used again with the same keys.
func nonce(prefix string, rest []byte) *[24]byte {
	var n [24]byte
	copy(n[copy(n[:], prefix):], rest)
	return &n
}

// number takes the next of our numbers.
func (v *curve) number() []byte {
	b := binary.BigEndian.AppendUint64(nil, v.sent)
	v.sent++
	return b
}

// follows tells whether a number of the peer is larger than those before, so that nothing
// can be sent again by somebody else.
func (v *curve) follows(number []byte) bool {
	n := binary.BigEndian.Uint64(number)
	ok := n > v.got
	v.got = max(v.got, n)
	return ok
}

// hello is the client's first command: its short key, and zeros that are sealed for the
// server.
func (v *curve) hello() []byte {
	number := v.number()
	b := append([]byte{1, 0}, make([]byte, helloPadding)...)
	b = append(append(b, v.short.Public[:]...), number...)
	return box.Seal(b, make([]byte, helloSigned), nonce("CurveZMQHELLO---", number), (*[32]byte)(&v.peer), (*[32]byte)(&v.short.Secret))
}

const helloLen = 2 + helloPadding + 32 + 8 + helloSigned + box.Overhead

// welcome answers hello: our short key and the cookie.
func (v *curve) welcome(hello []byte) ([]byte, error) {
	if len(hello) != helloLen || hello[0] != 1 || hello[1] != 0 {
		return nil, ErrFormat
	}
	rest := hello[2+helloPadding:]
	copy(v.theirs[:], rest)
	number := rest[32:40]
	zeros, ok := box.Open(nil, rest[40:], nonce("CurveZMQHELLO---", number), (*[32]byte)(&v.theirs), (*[32]byte)(&v.long.Secret))
	if !ok || subtle.ConstantTimeCompare(zeros, make([]byte, helloSigned)) != 1 || !v.follows(number) {
		return nil, ErrKeys
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	body := append(slices.Clone(v.short.Public[:]), v.cookie[:]...)
	return box.Seal(random[:], body, nonce("WELCOME-", random[:]), (*[32]byte)(&v.theirs), (*[32]byte)(&v.long.Secret)), nil
}

const welcomeLen = 16 + 32 + 96 + box.Overhead

// initiate answers welcome: the cookie, our long key, which the short one is signed with, and
// what we say of our socket.
func (v *curve) initiate(welcome, metadata []byte) ([]byte, error) {
	if len(welcome) != welcomeLen {
		return nil, ErrFormat
	}
	body, ok := box.Open(nil, welcome[16:], nonce("WELCOME-", welcome[:16]), (*[32]byte)(&v.peer), (*[32]byte)(&v.short.Secret))
	if !ok {
		return nil, ErrKeys
	}
	copy(v.theirs[:], body)
	copy(v.cookie[:], body[32:])
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	signed := append(slices.Clone(v.short.Public[:]), v.peer[:]...)
	vouch := box.Seal(random[:], signed, nonce("VOUCH---", random[:]), (*[32]byte)(&v.theirs), (*[32]byte)(&v.long.Secret))
	box.Precompute(&v.shared, (*[32]byte)(&v.theirs), (*[32]byte)(&v.short.Secret))
	number := v.number()
	b := append(slices.Clone(v.cookie[:]), number...)
	return box.SealAfterPrecomputation(b, slices.Concat(v.long.Public[:], vouch, metadata), nonce("CurveZMQINITIATE", number), &v.shared), nil
}

// initiated reads initiate. The client owns the key that is returned.
func (v *curve) initiated(initiate []byte) (client Key, metadata []byte, err error) {
	const vouchLen = 16 + 64 + box.Overhead
	if len(initiate) < 96+8+32+vouchLen+box.Overhead {
		return client, nil, ErrFormat
	}
	if subtle.ConstantTimeCompare(initiate[:96], v.cookie[:]) != 1 {
		return client, nil, ErrKeys
	}
	box.Precompute(&v.shared, (*[32]byte)(&v.theirs), (*[32]byte)(&v.short.Secret))
	number := initiate[96:104]
	body, ok := box.OpenAfterPrecomputation(nil, initiate[104:], nonce("CurveZMQINITIATE", number), &v.shared)
	if !ok || !v.follows(number) {
		return client, nil, ErrKeys
	}
	copy(client[:], body)
	vouch := body[32 : 32+vouchLen]
	signed, ok := box.Open(nil, vouch[16:], nonce("VOUCH---", vouch[:16]), (*[32]byte)(&client), (*[32]byte)(&v.short.Secret))
	if !ok || !bytes.Equal(signed, slices.Concat(v.theirs[:], v.long.Public[:])) {
		return client, nil, ErrKeys
	}
	return client, body[32+vouchLen:], nil
}

// curved takes a command of CURVE: HELLO, WELCOME, INITIATE, READY.
func (s *Session) curved(name string, data, out []byte) (sent []byte, err error) {
	v := s.curve
	var answer []byte
	switch {
	case s.stage == stageHello && name == "HELLO":
		if answer, err = v.welcome(data); err != nil {
			return out, err
		}
		s.stage = stageInitiate
		return appendCommand(out, "WELCOME", answer), nil
	case s.stage == stageWelcome && name == "WELCOME":
		if answer, err = v.initiate(data, s.metadata()); err != nil {
			return out, err
		}
		s.stage = stageReady
		return appendCommand(out, "INITIATE", answer), nil
	case s.stage == stageInitiate && name == "INITIATE":
		client, metadata, err := v.initiated(data)
		if err == nil {
			err = s.admit(Credentials{Key: client})
		}
		if err == nil {
			err = s.meet(metadata)
		}
		if err != nil {
			return out, err
		}
		s.stage = stageOpen
		number := v.number()
		return appendCommand(out, "READY", box.SealAfterPrecomputation(number, s.metadata(), nonce("CurveZMQREADY---", number), &v.shared)), nil
	case s.stage == stageReady && name == "READY":
		if len(data) < 8+box.Overhead {
			return out, ErrFormat
		}
		metadata, ok := box.OpenAfterPrecomputation(nil, data[8:], nonce("CurveZMQREADY---", data[:8]), &v.shared)
		if !ok || !v.follows(data[:8]) {
			return out, ErrKeys
		}
		s.stage = stageOpen
		return out, s.meet(metadata)
	}
	return out, ErrFormat
}

// Texts of the nonces of messages, by who has sent them.
const (
	fromClient = "CurveZMQMESSAGEC"
	fromServer = "CurveZMQMESSAGES"
)

// seal appends a frame that has another in it.
func (v *curve) seal(dst []byte, f frame) []byte {
	prefix := fromClient
	if v.server {
		prefix = fromServer
	}
	var flags byte
	if f.more {
		flags |= flagMore
	}
	if f.command {
		flags |= flagLong // where the flag of a command is in here
	}
	v.sealed = append(append(v.sealed[:0], flags), f.body...)
	number := v.number()
	dst = appendHead(dst, frame{}, len("\x07MESSAGE")+len(number)+len(v.sealed)+box.Overhead)
	dst = append(appendShort(dst, "MESSAGE"), number...)
	return box.SealAfterPrecomputation(dst, v.sealed, nonce(prefix, number), &v.shared)
}

// open returns the frame in a frame, which is valid until the next.
func (v *curve) open(body []byte) (f frame, err error) {
	name, data, ok := cutCommand(body)
	if !ok || name != "MESSAGE" || len(data) < 8+box.Overhead+1 {
		return f, ErrFormat
	}
	prefix := fromServer
	if v.server {
		prefix = fromClient
	}
	v.opened, ok = box.OpenAfterPrecomputation(v.opened[:0], data[8:], nonce(prefix, data[:8]), &v.shared)
	if !ok || !v.follows(data[:8]) {
		return f, ErrKeys
	}
	flags := v.opened[0]
	if flags&^(flagMore|flagLong) != 0 {
		return f, ErrFormat
	}
	return frame{command: flags&flagLong != 0, more: flags&flagMore != 0, body: v.opened[1:]}, nil
}
