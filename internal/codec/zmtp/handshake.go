package zmtp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// cutCommand takes the name off a command.
func cutCommand(body []byte) (name string, data []byte, ok bool) {
	text, data, ok := cutShort(body)
	return string(text), data, ok && len(text) > 0
}

// cutShort takes a text off the front of b that has its length in a byte before it.
func cutShort(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	return b[1 : 1+b[0]], b[1+b[0]:], true
}

func appendShort(dst []byte, text string) []byte {
	return append(append(dst, byte(len(text))), text...)
}

func appendCommand(dst []byte, name string, data []byte) []byte {
	dst = appendHead(dst, frame{command: true}, 1+len(name)+len(data))
	return append(appendShort(dst, name), data...)
}

// refusal appends the command that tells a peer why it is refused.
func refusal(dst []byte, why string) []byte {
	return appendCommand(dst, "ERROR", appendShort(nil, why))
}

// metadata is what we say of our socket.
func (s *Session) metadata() []byte {
	b := appendShort(nil, "Socket-Type")
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.c.Socket)))
	return append(b, s.c.Socket...)
}

// meet reads what the peer says of its socket.
func (s *Session) meet(metadata []byte) error {
	for len(metadata) > 0 {
		name, rest, ok := cutShort(metadata)
		if !ok || len(name) == 0 || len(rest) < 4 {
			return ErrFormat
		}
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return ErrFormat
		}
		switch value := rest[:size]; strings.ToLower(string(name)) {
		case "socket-type":
			s.Peer.Socket = string(value)
		case "identity":
			s.Peer.Identity = bytes.Clone(value)
		}
		metadata = rest[size:]
	}
	if !slices.Contains(peers[s.c.Socket], s.Peer.Socket) {
		return ErrSocket
	}
	return nil
}

// handshake takes a command of the handshake.
func (s *Session) handshake(f frame, out []byte) (item Item, sent []byte, err error) {
	name, data, ok := cutCommand(f.body)
	if !f.command || !ok {
		return item, out, ErrFormat
	}
	if name == "ERROR" {
		reason, _, _ := cutShort(data)
		s.Reason = string(reason)
		return item, out, ErrPeer
	}
	switch s.c.Mechanism {
	case Null:
		if name != "READY" {
			return item, out, ErrFormat
		}
		err = s.meet(data)
		s.stage = stageOpen
	case Plain:
		out, err = s.plain(name, data, out)
	default:
		out, err = s.curved(name, data, out)
	}
	switch {
	case err == ErrSocket:
		out = refusal(out, "Invalid socket type")
	case err == ErrRefused:
		out = refusal(out, "Access denied")
	case err == nil && s.stage == stageOpen:
		item.Kind = Ready
	}
	return item, out, err
}

// admit asks about a client.
func (s *Session) admit(c Credentials) error {
	if s.c.Admit != nil && !s.c.Admit(c) {
		return ErrRefused
	}
	s.Peer.Credentials = c
	return nil
}

// plain takes a command of PLAIN: HELLO with name and password, WELCOME, INITIATE, READY.
func (s *Session) plain(name string, data, out []byte) (sent []byte, err error) {
	switch {
	case s.stage == stageHello && name == "HELLO":
		user, rest, ok := cutShort(data)
		password, rest, ok2 := cutShort(rest)
		if !ok || !ok2 || len(rest) > 0 {
			return out, ErrFormat
		}
		if err := s.admit(Credentials{User: string(user), Password: string(password)}); err != nil {
			return out, err
		}
		s.Peer.Credentials.Password = ""
		s.stage = stageInitiate
		return appendCommand(out, "WELCOME", nil), nil
	case s.stage == stageWelcome && name == "WELCOME" && len(data) == 0:
		s.stage = stageReady
		return appendCommand(out, "INITIATE", s.metadata()), nil
	case s.stage == stageInitiate && name == "INITIATE":
		if err := s.meet(data); err != nil {
			return out, err
		}
		s.stage = stageOpen
		return appendCommand(out, "READY", s.metadata()), nil
	case s.stage == stageReady && name == "READY":
		s.stage = stageOpen
		return out, s.meet(data)
	}
	return out, ErrFormat
}
