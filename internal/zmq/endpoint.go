package zmq

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Endpoint is where a socket binds or connects to.
type Endpoint struct {
	network string // as package net has it
	address string
}

// ParseEndpoint reads tcp://host:port or ipc:///path, and ipc://@name for a name in Linux'
// abstract namespace. The host may be *, which is every address of the machine.
func ParseEndpoint(text string) (e Endpoint, err error) {
	if path, ok := strings.CutPrefix(text, "ipc://"); ok {
		if len(path) < 2 || path[0] != '/' && path[0] != '@' {
			return e, errors.New("use a whole path, as ipc:///run/weir.sock, or ipc://@name")
		}
		if len(path) > maxPath {
			return e, errors.New("the path has more than 107 bytes, which is the most that a socket's can have")
		}
		return Endpoint{"unix", path}, nil
	}
	rest, ok := strings.CutPrefix(text, "tcp://")
	if !ok {
		return e, errors.New("it begins with neither tcp:// nor ipc://")
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return e, errors.New("use tcp://host:port, as tcp://127.0.0.1:5010")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || strings.ContainsAny(host, "/;@ ") {
		return e, errors.New("use tcp://host:port, with a port up to 65535")
	}
	if host == "*" {
		host = ""
	}
	return Endpoint{"tcp", net.JoinHostPort(host, port)}, nil
}

// maxPath is the longest path of a Unix socket.
const maxPath = 107

// String returns the endpoint as it is written.
func (e Endpoint) String() string {
	if e.network == "unix" {
		return "ipc://" + e.address
	}
	if strings.HasPrefix(e.address, ":") {
		return "tcp://*" + e.address
	}
	return "tcp://" + e.address
}

// Local tells whether nobody but this machine's users can connect to it.
func (e Endpoint) Local() bool {
	if e.network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(e.address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
