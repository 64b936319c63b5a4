package statsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Dialect says how tags are written and what a gauge with a sign means.
type Dialect uint8

// The dialects.
const (
	// StatsD is etsy's meaning with the tags that most servers read today:
	// name:1|c|#key:value. A gauge with a sign is a change, so a negative value is set as
	// two lines in one datagram, first 0 and then the value.
	StatsD Dialect = iota
	// DogStatsD is the Datadog Agent's: the same tags, events and service checks; a
	// gauge with a sign is a value, and there are no changes of gauges.
	DogStatsD
	// Graphite has tags in the name, name;key=value:1|c, and StatsD's gauges.
	Graphite
	// Influx has tags in the name, name,key=value:1|c, and StatsD's gauges.
	Influx
)

// A Naming says what stands before a metric's name, after the prefix.
type Naming uint8

// The ways of naming.
const (
	// Plain names are as the caller says.
	Plain Naming = iota
	// Sprockets is the naming of sprockets-statsd: counters are called counters.name,
	// gauges gauges.name and timers timers.name, and timers are written as Python writes
	// floats (12340.0). Sets, histograms and distributions stay plain, and so does Inject.
	Sprockets
)

// Options are the settings of a client. The zero value is a client of
// udp://127.0.0.1:8125 with every default.
type Options struct {
	// Address is the server: udp://host:port, tcp://host:port, unixgram:///path,
	// unix:///path (a stream of lines) or unixstream:///path (a stream of packets with a
	// length before each, as the Datadog Agent reads it). Empty: udp://127.0.0.1:8125;
	// the port, where there is none, is 8125.
	Address string
	// Prefix stands before every name, with a dot between. Empty: none.
	Prefix string
	// Tags are added to every metric: "key:value", or "key" alone.
	Tags []string
	// Dialect is the server's; zero: StatsD.
	Dialect Dialect
	// Naming is what is put before names; zero: Plain.
	Naming Naming
	// Aggregate is how long counters, gauges and sets are added up before one line of
	// each series is sent; at most 10 s. Zero: 1 s. Negative: every call is a line.
	Aggregate time.Duration
	// PackTimers sends the values of a timer, histogram or distribution of one Aggregate
	// time in common lines. No value is lost by it. The server has to read several values
	// a line: name:1|ms:2|ms as etsy's does, or, in the DogStatsD dialect, name:1:2|ms.
	PackTimers bool
	// MaxSeries bounds the series that are added up; calls for further ones become lines
	// of their own. Zero: 10,000.
	MaxSeries int
	// QueueLines bounds the lines that wait to be sent. Zero: 1,000. Negative: QueueBytes
	// alone bounds them.
	QueueLines int
	// QueueBytes bounds the bytes of these lines. Zero: 1 MiB.
	QueueBytes int
	// DropOldest makes room for a new line in a full queue by dropping the oldest ones.
	// Without it the new line is dropped.
	DropOldest bool
	// PacketSize is how many bytes of lines are packed into a datagram; a longer line is
	// alone in its own. Zero: 1,432 over UDP, which passes an Ethernet unbroken, and
	// 8,192 over unix sockets. 1: every line is alone.
	PacketSize int
	// FlushInterval is the longest that a line waits for others to share its packet.
	// Zero: 100 ms.
	FlushInterval time.Duration
	// Dial replaces net.Dialer. It is called for each connection, and over UDP once a
	// minute if the address has a host name, so the name is looked up again. It must
	// return when ctx is done. It gets net.Dial's network and address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger is told when the connection is lost and made again, and when lines are
	// dropped, once each time. Nil: nobody is.
	Logger *slog.Logger
	// Off makes New return a nil client, which does nothing.
	Off bool
}

const (
	defaultAddress  = "udp://127.0.0.1:8125"
	defaultPort     = "8125"
	defaultLines    = 1000
	defaultBytes    = 1 << 20
	defaultSeries   = 10_000
	defaultPacket   = 8192
	etherPacket     = 1432  // what is left of 1,500 bytes after IPv6, UDP and a tunnel's headers
	streamBatch     = 65536 // what a stream is given in one write
	maxDatagram     = 65507 // of UDP over IPv4
	maxLine         = 8192  // what the Datadog Agent reads; longer lines are dropped
	maxAggregate    = 10 * time.Second
	defaultInterval = 100 * time.Millisecond
)

// settings are Options that have been checked, with every default in its place.
type settings struct {
	Options
	endpoint
	patience time.Duration
}

// resolve checks o and fills in its defaults.
func (o Options) resolve() (settings, error) {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	o.Address = orDefault(o.Address, defaultAddress)
	e, err := parseAddress(o.Address)
	if err != nil {
		say("Address %q: %w", o.Address, err)
	}
	if o.Dialect > Influx {
		say("Dialect %d is not known", o.Dialect)
	}
	if o.Naming > Sprockets {
		say("Naming %d is not known", o.Naming)
	}
	if o.Aggregate > maxAggregate {
		say("Aggregate %s: use at most %s", o.Aggregate, maxAggregate)
	}
	if o.MaxSeries < 0 || o.QueueBytes < 0 || o.FlushInterval < 0 {
		say("MaxSeries, QueueBytes and FlushInterval: use 0 for the default, or more")
	}
	if o.PacketSize < 0 || o.PacketSize > maxDatagram {
		say("PacketSize %d: use 1 to %d, or 0 for the default", o.PacketSize, maxDatagram)
	}
	if len(problems) > 0 {
		return settings{}, fmt.Errorf("statsd: %w", errors.Join(problems...))
	}
	o.Aggregate = orDefault(o.Aggregate, time.Second)
	o.MaxSeries = orDefault(o.MaxSeries, defaultSeries)
	o.QueueLines = orDefault(o.QueueLines, defaultLines)
	if o.QueueLines < 0 {
		o.QueueLines = math.MaxInt
	}
	o.QueueBytes = orDefault(o.QueueBytes, defaultBytes)
	o.FlushInterval = orDefault(o.FlushInterval, defaultInterval)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	switch {
	case e.stream():
		o.PacketSize = streamBatch
	case o.PacketSize == 0 && e.network == "udp":
		o.PacketSize = etherPacket
	case o.PacketSize == 0:
		o.PacketSize = defaultPacket
	}
	return settings{o, e, patience}, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// endpoint is a parsed address.
type endpoint struct {
	network string // as net.Dial has it
	address string
	framed  bool // a stream of packets with their lengths
	named   bool // a host name, which may get another address
}

// stream says whether lines travel one after the other, without packets.
func (e endpoint) stream() bool { return !e.framed && (e.network == "tcp" || e.network == "unix") }

// datagram says whether the system keeps packets apart.
func (e endpoint) datagram() bool { return e.network == "udp" || e.network == "unixgram" }

var errAddress = errors.New("use udp://host:port, tcp://host:port, unixgram:///path, unix:///path or unixstream:///path")

func parseAddress(address string) (endpoint, error) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.RawQuery != "" {
		return endpoint{}, errAddress
	}
	e := endpoint{network: u.Scheme}
	switch u.Scheme {
	case "unixstream", "unix", "unixgram":
		if u.Scheme == "unixstream" {
			e.network, e.framed = "unix", true
		}
		if e.address = u.Host + u.Path; e.address == "" {
			return endpoint{}, errAddress
		}
		return e, nil
	case "udp", "tcp":
		host, port := u.Hostname(), orDefault(u.Port(), defaultPort)
		if host == "" || strings.Trim(u.Path, "/") != "" {
			return endpoint{}, errAddress
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return endpoint{}, fmt.Errorf("port %q: use 1 to 65535", port)
		}
		_, err := netip.ParseAddr(host)
		e.named = err != nil
		e.address = net.JoinHostPort(host, port)
		return e, nil
	}
	return endpoint{}, errAddress
}
