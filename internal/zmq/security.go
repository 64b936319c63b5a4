package zmq

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

// admit decides on a client by what it shows.
func (s *Security) admit(c zmtp.Credentials) bool {
	switch s.Mechanism {
	case zmtp.Plain:
		want, known := s.Users[c.User]
		// Hashes are as long as each other, so that the time tells nothing of the password.
		a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(c.Password))
		return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known
	case zmtp.Curve:
		return len(s.Clients) == 0 || s.Clients[c.Key]
	}
	return true
}
