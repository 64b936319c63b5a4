package zmtp

import (
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"strings"
)

// z85 are the digits in which ZeroMQ's keys are written (RFC 32), five for four bytes.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

const keyDigits = 40

var errKey = errors.New("a key has 40 characters, as zmq_curve_keypair and zmq.curve_keypair() write them")

// ParseKey reads a key of 40 characters.
func ParseKey(text string) (k Key, err error) {
	if len(text) != keyDigits {
		return k, errKey
	}
	for i := range len(k) / 4 {
		v := uint64(0)
		for _, c := range text[5*i : 5*i+5] {
			n := strings.IndexRune(z85, c)
			if n < 0 {
				return Key{}, errKey
			}
			v = v*85 + uint64(n)
		}
		if v > 1<<32-1 {
			return Key{}, errKey
		}
		binary.BigEndian.PutUint32(k[4*i:], uint32(v))
	}
	return k, nil
}

// Text returns the 40 characters of k, of a secret key too: it is for tests and for tools
// that make keys, not for messages.
func (k Key) Text() string {
	var b strings.Builder
	for i := range len(k) / 4 {
		v := binary.BigEndian.Uint32(k[4*i:])
		for _, unit := range [...]uint32{85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1} {
			b.WriteByte(z85[v/unit%85])
		}
	}
	return b.String()
}

// PairOf returns the pair of a secret key.
func PairOf(secret Key) (KeyPair, error) {
	private, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{Public: Key(private.PublicKey().Bytes()), Secret: secret}, nil
}
