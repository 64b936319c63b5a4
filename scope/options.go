package scope

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// A Local says which records the wrapped handler gets.
type Local uint8

// The choices.
const (
	// Fallback is those that find no connection or no room in the queue. The first wait for
	// the connection all the same, so they may be in both places.
	Fallback Local = iota
	// Always is all of them.
	Always
	// Never is none.
	Never
)

// Options are the settings of a Handler. The zero value sends nothing.
type Options struct {
	// Address is the server: tcp://host:port, or ipc:///path of its unix socket. The port,
	// where there is none, is 5010. Empty: nothing is sent.
	Address string
	// User and Password are shown to the server by ZeroMQ's mechanism PLAIN; anybody on the
	// way can read them. Without a User it is NULL. At most 255 bytes each.
	User, Password string
	// System is the first letter of the topic: P for production, S for staging, T for test.
	// Empty: P.
	System string
	// Name is the logger's name in the records that are sent. Empty: root.
	Name string
	// Level is from which level on records are sent. The wrapped handler has a level of its
	// own. Nil: slog.LevelInfo.
	Level slog.Leveler
	// Local says which records the wrapped handler gets. Zero: Fallback. Without an Address
	// it gets all of them.
	Local Local
	// Trace adds trace_id and span_id to each record that belongs to a scope.
	Trace bool
	// Took adds to the record that ends a scope its task, which is the message that the scope
	// began with, and took, how many seconds it took. So weir can make task_duration_seconds and
	// task_failures_total of the records.
	Took bool
	// Metrics counts the scopes that end, if their logger's handler is this Handler, or one
	// whose method Unwrap returns it. Nil: they are not counted.
	Metrics *Metrics
	// QueueRecords and QueueBytes bound what waits to be sent. Zero: 10,000 and 8 MiB.
	QueueRecords, QueueBytes int
	// Dial replaces net.Dialer. It is called for each connection, with net.Dial's network and
	// address, and must return when ctx is done.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger is told when the connection is lost and made again, once each time. It should
	// not be one of this Handler. Nil: nobody is.
	Logger *slog.Logger
}

const (
	defaultPort    = "5010"
	defaultRecords = 10_000
	defaultBytes   = 8 << 20
	maxCredential  = 255
)

// settings are Options that have been checked, with every default in its place.
type settings struct {
	Options
	network, address string // as net.Dial has them; empty if nothing is sent
	patience         time.Duration
}

// resolve checks o and fills in its defaults.
func (o Options) resolve() (settings, error) {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	network, address, err := parseAddress(o.Address)
	if err != nil {
		say("Address %q: %w", o.Address, err)
	}
	if len(o.User) > maxCredential || len(o.Password) > maxCredential {
		say("User and Password: use at most %d bytes each", maxCredential)
	}
	if o.User == "" && o.Password != "" {
		say("Password: it needs a User")
	}
	if o.System = orDefault(o.System, "P"); o.System != "P" && o.System != "S" && o.System != "T" {
		say("System %q: use P, S or T", o.System)
	}
	if o.Local > Never {
		say("Local %d is not known", o.Local)
	}
	if o.QueueRecords < 0 || o.QueueBytes < 0 {
		say("QueueRecords and QueueBytes: use 0 for the default, or more")
	}
	if len(problems) > 0 {
		return settings{}, fmt.Errorf("scope: %w", errors.Join(problems...))
	}
	o.Name = orDefault(o.Name, "root")
	o.QueueRecords = orDefault(o.QueueRecords, defaultRecords)
	o.QueueBytes = orDefault(o.QueueBytes, defaultBytes)
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return settings{o, network, address, patience}, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

var errAddress = errors.New("use tcp://host:port or ipc:///path")

func parseAddress(text string) (network, address string, err error) {
	if text == "" {
		return "", "", nil
	}
	scheme, rest, _ := strings.Cut(text, "://")
	switch {
	case rest == "":
		return "", "", errAddress
	case scheme == "ipc":
		return "unix", rest, nil
	case scheme != "tcp":
		return "", "", errAddress
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil { // there is no port, or it is wrong
		host, port = strings.Trim(rest, "[]"), defaultPort
		if strings.Contains(host, ":") && rest[0] != '[' {
			return "", "", errAddress
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/?@* ") {
		return "", "", errAddress
	}
	return "tcp", net.JoinHostPort(host, port), nil
}
