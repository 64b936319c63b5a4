package statsd

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// The dialects.
const (
	// DogStatsD sends labels as tags: nginx.status_count:12|g|#status:200.
	DogStatsD = "dogstatsd"
	// Plain sends labels as parts of the name: nginx.status_count.status.200:12|g.
	Plain = "plain"
)

// Config says where windows are sent and how they are written.
type Config struct {
	// Address is the server: udp://host:port, tcp://host:port, unixgram:///path,
	// unix:///path (a stream of lines) or unixstream:///path (a stream of packets with a
	// length before each, as the Datadog Agent reads it). Default udp://127.0.0.1:8125,
	// and port 8125 where the address has none.
	Address string `yaml:"address"`
	// Dialect is how labels are written: `dogstatsd` (default) as tags,
	// nginx.status_count:12|g|#status:200; `plain` in the name, each as its name and its
	// value, nginx.status_count.status.200:12|g, for servers that know no tags.
	Dialect string `yaml:"dialect"`
	// Window is how often numbers are sent whose rule does not say. Windows begin at
	// whole multiples of it on the clock. At least 1s. Default 10s.
	Window time.Duration `yaml:"window"`
	// Expiry is how long a series without news is sent as 0 before it falls silent.
	// Default 15m; 0s sends no zeros.
	Expiry time.Duration `yaml:"expiry"`
	// Prefix stands before every name, with a dot. Default none.
	Prefix string `yaml:"prefix"`
	// Pack puts several metrics into a datagram, one a line; without it each has its
	// own. Default true.
	Pack bool `yaml:"pack"`
	// MaxPacketBytes bounds a datagram. Default 1432 for udp, which passes an Ethernet
	// unbroken, and 8192 for unix sockets.
	MaxPacketBytes config.Bytes `yaml:"max_packet_bytes"`
	// Sources are the statsd sources whose numbers are sent on beside those of rules, added up, by name;
	// `*` is all. Counters are sent as counts, histograms as the counts .count and .sum, gauges when they were
	// set, a set as the gauge .count. Never name a source that this sink sends to. Default: none.
	Sources []string `yaml:"sources"`

	port string // where the address has none; empty: 8125
}

const (
	defaultPort      = "8125"
	maxDatagramBytes = 65507 // of UDP over IPv4
	minWindow        = time.Second
)

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{Address: "udp://127.0.0.1:8125", Dialect: DogStatsD, Window: 10 * time.Second, Expiry: 15 * time.Minute, Pack: true}
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if _, err := c.endpoint(); err != nil {
		problem("address", err.Error())
	}
	if c.Dialect != DogStatsD && c.Dialect != Plain {
		problem("dialect", strconv.Quote(c.Dialect)+" is not known; use dogstatsd or plain")
	}
	if c.Window < minWindow {
		problem("window", "use at least 1s")
	}
	if c.Expiry < 0 {
		problem("expiry", "use 0s or more")
	}
	if c.MaxPacketBytes < 0 || c.MaxPacketBytes > maxDatagramBytes {
		problem("max_packet_bytes", "use at most 65507")
	}
	return config.Join(problems...)
}

// endpoint is a parsed address.
type endpoint struct {
	network string // as net.Dial has it
	address string
	framed  bool // a stream of packets with their lengths
	named   bool // a host name, which may get another address
}

func (e endpoint) stream() bool { return e.network == "tcp" || e.network == "unix" }

// packets tells whether metrics travel in packets, without a line end after the last.
func (e endpoint) packets() bool { return !e.stream() || e.framed }

func (c Config) endpoint() (endpoint, error) {
	errAddress := errors.New("use udp://host:port, tcp://host:port, unixgram:///path, unix:///path or unixstream:///path")
	u, err := url.Parse(c.Address)
	if err != nil {
		return endpoint{}, errAddress
	}
	if u.User != nil { // the address is shown wherever the sink is, so no password may be in it
		return endpoint{}, errors.New("leave out the user and password: StatsD has none")
	}
	e := endpoint{network: u.Scheme}
	switch u.Scheme {
	case "unixstream":
		e.network, e.framed = "unix", true
		fallthrough
	case "unix", "unixgram":
		e.address = u.Host + u.Path
		if e.address == "" {
			return endpoint{}, errAddress
		}
		return e, nil
	case "udp", "tcp":
		host, port := u.Hostname(), u.Port()
		if host == "" || u.Path != "" && u.Path != "/" {
			return endpoint{}, errAddress
		}
		if port == "" {
			port = cmp.Or(c.port, defaultPort)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return endpoint{}, errors.New("use a port from 1 to 65535")
		}
		_, err := netip.ParseAddr(host)
		e.named = err != nil
		e.address = net.JoinHostPort(host, port)
		return e, nil
	}
	return endpoint{}, errAddress
}

// packetBytes is the room in a packet. Without Pack it is none: every metric is alone.
func (c Config) packetBytes(e endpoint) int {
	switch {
	case !c.Pack:
		return 0
	case c.MaxPacketBytes > 0:
		return int(c.MaxPacketBytes)
	case e.network == "udp":
		return 1432
	}
	return 8192
}
