package scope

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What a PUSH socket of ZMTP 3.0 needs to know: RFC 23 and 24 of ZeroMQ. The peer is not
// trusted: nothing it announces is allocated before it is known to be short.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4

	greetingLen = 64
	// maxFrame is the longest frame that is read. A PULL socket has little to say.
	maxFrame = 4 << 10
	// maxFrames bounds what is said before the peer is ready.
	maxFrames = 8
)

var (
	errFormat = errors.New("the server does not speak ZMTP 3")
	errSocket = errors.New("the server's socket is not of type PULL")
)

// greeting is what every connection begins with.
func greeting(mechanism string) []byte {
	g := make([]byte, greetingLen)
	g[0], g[8], g[9], g[10] = 0xff, 1, 0x7f, 3
	copy(g[12:32], mechanism)
	return g
}

// handshake makes sure that the server is a PULL socket, and of who we are, if there is a user.
func handshake(out io.Writer, in *bufio.Reader, user, password string) error {
	mechanism := "NULL"
	if user != "" {
		mechanism = "PLAIN"
	}
	if _, err := out.Write(greeting(mechanism)); err != nil {
		return err
	}
	var g [greetingLen]byte
	if _, err := io.ReadFull(in, g[:]); err != nil {
		return err
	}
	if err := checkGreeting(g[:], mechanism); err != nil {
		return err
	}
	first := command("READY", metadata())
	if user != "" {
		first = command("HELLO", short(short(nil, user), password))
	}
	if _, err := out.Write(first); err != nil {
		return err
	}
	for range maxFrames {
		f, err := readFrame(in)
		if err != nil {
			return err
		}
		name, data, ok := cutShort(f.body)
		switch {
		case f.flags&flagCommand == 0 || !ok:
			return errFormat
		case string(name) == "ERROR":
			reason, _, _ := cutShort(data)
			return fmt.Errorf("the server refuses us: %q", reason)
		case string(name) == "WELCOME" && user != "":
			if _, err := out.Write(command("INITIATE", metadata())); err != nil {
				return err
			}
		case string(name) == "READY":
			return checkMetadata(data)
		}
	}
	return errFormat
}

func checkGreeting(g []byte, mechanism string) error {
	theirs := bytes.TrimRight(g[12:32], "\x00")
	switch {
	case g[0] != 0xff || g[9]&1 == 0 || g[10] < 3:
		return errFormat
	case string(theirs) != mechanism:
		return fmt.Errorf("the server's mechanism is %q, ours is %s", theirs, mechanism)
	}
	return nil
}

// frame is what the stream is made of.
type frame struct {
	flags byte
	body  []byte
}

// readFrame reads the next frame, whose body is valid for as long as one wants.
func readFrame(in *bufio.Reader) (f frame, err error) {
	if f.flags, err = in.ReadByte(); err != nil {
		return f, err
	}
	if f.flags > flagMore|flagLong|flagCommand {
		return f, errFormat
	}
	var size [8]byte
	width := size[7:]
	if f.flags&flagLong != 0 {
		width = size[:]
	}
	if _, err = io.ReadFull(in, width); err != nil {
		return f, err
	}
	n := binary.BigEndian.Uint64(size[:])
	if n > maxFrame {
		return f, errFormat
	}
	f.body = make([]byte, n)
	_, err = io.ReadFull(in, f.body)
	return f, err
}

// pong answers a ping, or returns nil for what is none.
func pong(f frame) []byte {
	const ttl, maxContext = 2, 16
	name, data, ok := cutShort(f.body)
	if f.flags&flagCommand == 0 || !ok || string(name) != "PING" || len(data) < ttl || len(data) > ttl+maxContext {
		return nil
	}
	return command("PONG", data[ttl:])
}

// command returns a frame; name and data together have less than 256 bytes, or it is a long one.
func command(name string, data []byte) []byte {
	body := append(short(nil, name), data...)
	if len(body) < 256 {
		return append([]byte{flagCommand, byte(len(body))}, body...)
	}
	return append(binary.BigEndian.AppendUint64([]byte{flagCommand | flagLong}, uint64(len(body))), body...)
}

// metadata is what we say of our socket.
func metadata() []byte {
	const socket = "PUSH"
	return append(binary.BigEndian.AppendUint32(short(nil, "Socket-Type"), uint32(len(socket))), socket...)
}

// checkMetadata reads what the server says of its socket.
func checkMetadata(data []byte) error {
	for len(data) > 0 {
		name, rest, ok := cutShort(data)
		if !ok || len(rest) < 4 {
			return errFormat
		}
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return errFormat
		}
		if bytes.EqualFold(name, []byte("Socket-Type")) && string(rest[:size]) != "PULL" {
			return errSocket
		}
		data = rest[size:]
	}
	return nil
}

// short appends a text with its length in a byte before it.
func short(dst []byte, text string) []byte { return append(append(dst, byte(len(text))), text...) }

func cutShort(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	return b[1 : 1+b[0]], b[1+b[0]:], true
}
