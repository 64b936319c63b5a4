package statsd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
)

// Config says where lines are taken, and what becomes of them.
type Config struct {
	// Listen is where lines are taken: udp://host:port, tcp://host:port, unixgram:///path (datagrams),
	// unix:///path (a stream of lines, or of packets with a length before each, as DogStatsD's
	// clients send them: the first bytes tell). Port 8125 where there is none. ?dialect=dogstatsd
	// behind an address is the dialect of that one. Default: udp and tcp on 127.0.0.1:8125.
	Listen []string `yaml:"listen"`
	// Dialect is how lines are read: `statsd` as etsy's server does, where -3|g takes 3 from a
	// gauge, or `dogstatsd` as Datadog's agent does, where it sets it to -3. Default: statsd.
	Dialect Dialect `yaml:"dialect"`
	// Preset is `sprockets` for the names of the clients sprockets-statsd and sprockets.mixins.statsd: counters., gauges.
	// and timers. go, what stands before becomes the label prefix, and timers.Handler.GET.204 is http_request_seconds
	// with the labels handler, method and status. Default: none.
	Preset Preset `yaml:"preset"`
	// Mapping is a mapping file of statsd_exporter, read as it is. Default: none.
	Mapping string `yaml:"mapping"`
	// Mappings are the same kind of mappings, tried before those of the file. Default: none.
	Mappings []Mapping `yaml:"mappings"`
	// OriginLabel is the label that gets the id of the container a line comes from, if its client says that (DogStatsD's
	// |c:). Default: none.
	OriginLabel string `yaml:"origin_label"`
	// FlushInterval is over what the values of a set are counted, and percentiles made. Default: 10s.
	FlushInterval time.Duration `yaml:"flush_interval"`
	// Buckets are the upper limits of histograms: of timers in seconds, of histograms and
	// distributions in whatever their clients send. Default: 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10.
	Buckets []float64 `yaml:"buckets"`
	// Native makes timers, histograms and distributions native histograms, whose buckets come by
	// themselves where there are values: {} or {factor: 1.1, max_buckets: 160}. Buckets counts for
	// nothing then; a mapping that has buckets has them all the same. Default: none.
	Native *Native `yaml:"native"`
	// Percentiles asks for what etsy's server makes of each timer's values in an interval, beside
	// the histogram: count, lower, upper, sum, mean, median, std, and for each percentile upper_90 and the like. They
	// are gauges in the client's unit with the label stat: rt_timer{stat="upper_90"}. A negative one is
	// of the largest values. Default: none.
	Percentiles []float64 `yaml:"percentiles"`
	// MaxSeries is how many series there may be of all names together. Lines of further ones are
	// dropped and counted. Default: 200000.
	MaxSeries int `yaml:"max_series"`
	// MaxSeriesPerName is how many of them may have one name. Counters and timers beyond it are counted in
	// a series with the label overflow, gauges and sets are dropped and counted. Default: 10000.
	MaxSeriesPerName int `yaml:"max_series_per_name"`
	// Expiry is after how long without a line a series goes; 0s is never. A counter that comes
	// back begins at zero. Default: 24h.
	Expiry time.Duration `yaml:"expiry"`
	// Sockets is how many sockets each UDP address has, between which the kernel divides the senders. A reload
	// opens more; fewer there are after a restart.
	// Default: 1.
	Sockets int `yaml:"sockets"`
	// ReceiveBuffer is what the kernel is asked to hold of datagrams that were not read yet, a socket. It gives more
	// than net.core.rmem_max only to who has CAP_NET_ADMIN; what it refuses is logged. Default: 8MiB.
	ReceiveBuffer config.Bytes `yaml:"receive_buffer"`
	// MaxLine is the longest line taken of a stream; of a longer one nothing is. Default: 16KiB.
	MaxLine config.Bytes `yaml:"max_line"`
	// Relay is where lines are passed on to as they came, each at most once: udp://host:port, tcp://host:port,
	// unixgram:///path or unix:///path. Lines of which everything is bad are not; those that could not be passed on are counted. Default: nowhere.
	Relay []string `yaml:"relay"`
	// Management is where the management commands of etsy's server are answered (help, stats, counters, timers, gauges,
	// delcounters, deltimers, delgauges, health, config, quit), as tcp://127.0.0.1:8126. Who reaches it can
	// delete series. Default: nowhere.
	Management string `yaml:"management"`
	// MaxConnections is how many streams may be open at once, of each address; a further one is closed and
	// counted. Default: 1000.
	MaxConnections int `yaml:"max_connections"`
	// IdleTimeout is after how long without a byte a stream is closed. Default: 1h.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// LineTimeout is how long a line may take to come in; then its stream is closed. Default: 30s.
	LineTimeout time.Duration `yaml:"line_timeout"`
}

// Native says how fine the buckets of native histograms are.
type Native struct {
	// Factor is how much larger the end of a bucket is than where it begins, at most. Buckets
	// have fixed limits, so what comes next below it is taken: 1.09 for 1.1. From 1.003 to 65536.
	// Default: 1.1.
	Factor float64 `yaml:"factor"`
	// MaxBuckets bounds the buckets of a series; beyond it they become twice as wide, as often as
	// it takes. From 1 to 10000. Default: 160.
	MaxBuckets int `yaml:"max_buckets"`
}

// SetDefaults implements config.Defaulter.
func (n *Native) SetDefaults() { *n = Native{Factor: 1.1, MaxBuckets: metric.DefaultMaxBuckets} }

// The bounds of native histograms, and what to do about others.
const (
	leastFactor       = 1.003
	mostFactor        = 65536
	mostNativeBuckets = 10_000
	needFactor        = "use a number from 1.003 to 65536, as 1.1"
	needMaxBuckets    = "use 1 to 10000"
)

// Validate returns what is wrong with n.
func (n *Native) Validate() error {
	var problems []error
	if !(n.Factor >= leastFactor && n.Factor <= mostFactor) {
		problems = append(problems, &config.Problem{Key: "factor", Message: needFactor})
	}
	if n.MaxBuckets < 1 || n.MaxBuckets > mostNativeBuckets {
		problems = append(problems, &config.Problem{Key: "max_buckets", Message: needMaxBuckets})
	}
	return config.Join(problems...)
}

// Dialect is how lines are read.
type Dialect string

// The dialects.
const (
	// StatsD is that of etsy's server.
	StatsD Dialect = "statsd"
	// DogStatsD is that of Datadog's agent, with events and service checks.
	DogStatsD Dialect = "dogstatsd"
)

// Values implements config.Enum.
func (Dialect) Values() []string { return []string{string(StatsD), string(DogStatsD)} }

// Preset is a set of mappings for a client.
type Preset string

// The presets.
const (
	// None leaves names as they are.
	None Preset = "none"
	// Sprockets is for the names of sprockets' clients.
	Sprockets Preset = "sprockets"
)

// Values implements config.Enum.
func (Preset) Values() []string { return []string{string(None), string(Sprockets)} }

func (d Dialect) wire() wire.Dialect {
	if d == DogStatsD {
		return wire.DogStatsD
	}
	return wire.StatsD
}

// Default returns the settings of a source that says nothing.
func Default() Config {
	return Config{
		Listen:        []string{"udp://127.0.0.1:8125", "tcp://127.0.0.1:8125"},
		Dialect:       StatsD,
		Preset:        None,
		FlushInterval: 10 * time.Second,
		Buckets:       []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		MaxSeries:     200_000, MaxSeriesPerName: 10_000, Expiry: 24 * time.Hour,
		Sockets: 1, ReceiveBuffer: 8 << 20,
		MaxLine: 16 << 10, MaxConnections: 1000, IdleTimeout: time.Hour, LineTimeout: 30 * time.Second,
	}
}

// Bounds of settings.
const (
	maxSockets    = 64
	minLine       = 256
	maxLine       = 1 << 20
	mostSeries    = 5_000_000
	mostBuckets   = 100
	mostListeners = 64

	mostPercentiles = 20
	leastExpiry     = time.Minute
	defaultPort     = "8125"
)

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	var problems []error
	need := func(ok bool, key, message string) {
		if !ok {
			problems = append(problems, &config.Problem{Key: key, Message: message})
		}
	}
	need(len(c.Listen) > 0 && len(c.Listen) <= mostListeners, "listen", "give from 1 to 64 addresses")
	for i, text := range c.Listen {
		if _, err := c.address(text); err != nil {
			need(false, fmt.Sprintf("listen[%d]", i), err.Error())
		}
	}
	need(len(c.Relay) <= mostListeners, "relay", "give at most 64 addresses")
	for i, text := range c.Relay {
		a, err := c.address(text)
		switch {
		case err != nil:
			need(false, fmt.Sprintf("relay[%d]", i), err.Error())
		case a.name != text && a.name != text+":"+defaultPort:
			need(false, fmt.Sprintf("relay[%d]", i), "give an address alone, as udp://10.0.0.1:8125")
		case slices.ContainsFunc(c.Listen, func(text string) bool { l, err := c.address(text); return err == nil && l.takes(a) }):
			need(false, fmt.Sprintf("relay[%d]", i), "lines would come back from it again and again: the source listens there")
		}
	}
	need(c.OriginLabel == "" || metric.ValidName(c.OriginLabel) && !strings.Contains(c.OriginLabel, ":"), "origin_label", "use letters, digits and '_', not a digit first")
	if c.Management != "" {
		a, err := c.address(c.Management)
		need(err == nil && a.network == "tcp" && a.name == c.Management, "management", "use tcp://host:port, as tcp://127.0.0.1:8126")
	}
	need(c.FlushInterval >= time.Second && c.FlushInterval <= time.Hour, "flush_interval", "use a time from 1s to 1h")
	need(ascending(c.Buckets), "buckets", "give at most 100 limits, each above the one before")
	need(percents(c.Percentiles), "percentiles", "give at most 20 different numbers from -100 to 100, without 0")
	need(c.MaxSeries >= 1 && c.MaxSeries <= mostSeries, "max_series", "use a number from 1 to 5000000")
	need(c.MaxSeriesPerName >= 1 && c.MaxSeriesPerName <= mostSeries, "max_series_per_name", "use a number from 1 to 5000000")
	need(c.Expiry == 0 || c.Expiry >= leastExpiry, "expiry", "use 1m or more, or 0s for never")
	need(c.Sockets >= 1 && c.Sockets <= maxSockets, "sockets", "use a number from 1 to 64")
	need(c.ReceiveBuffer >= 4<<10 && c.ReceiveBuffer <= 1<<30, "receive_buffer", "use a size from 4KiB to 1GiB")
	need(c.MaxLine >= minLine && c.MaxLine <= maxLine, "max_line", "use a size from 256B to 1MiB")
	need(c.MaxConnections >= 1 && c.MaxConnections <= 100_000, "max_connections", "use a number from 1 to 100000")
	need(c.IdleTimeout >= time.Second, "idle_timeout", "use 1s or more")
	need(c.LineTimeout >= time.Second, "line_timeout", "use 1s or more")
	return config.Join(problems...)
}

func ascending(limits []float64) bool {
	for i := range limits {
		if limits[i]-limits[i] != 0 || i > 0 && limits[i] <= limits[i-1] {
			return false // no number, or none that is larger
		}
	}
	return len(limits) <= mostBuckets
}

func percents(list []float64) bool {
	for i, p := range list {
		if !(p >= -100 && p <= 100) || p == 0 || slices.Contains(list[:i], p) {
			return false
		}
	}
	return len(list) <= mostPercentiles
}

// address is one of Config.Listen.
type address struct {
	name    string // scheme and address, as in the configuration
	network string // as package net has it
	host    string // host and port, or a path
	dialect wire.Dialect
}

func (c *Config) address(text string) (a address, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return a, errors.New("it is no address; use udp://127.0.0.1:8125, tcp://127.0.0.1:8125, unixgram:///path or unix:///path")
	}
	a = address{network: u.Scheme, dialect: c.Dialect.wire()}
	for key, values := range u.Query() {
		d := Dialect(values[0])
		if key != "dialect" || !slices.Contains(d.Values(), values[0]) {
			return a, fmt.Errorf("behind ? stands %q; only dialect=statsd or dialect=dogstatsd can", u.RawQuery)
		}
		a.dialect = d.wire()
	}
	switch u.Scheme {
	case "udp", "tcp":
		port := u.Port()
		if port == "" {
			port = defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || u.Path != "" {
			return a, fmt.Errorf("use %s://host:port, with a port up to 65535 (not %d)", u.Scheme, n)
		}
		a.host = net.JoinHostPort(u.Hostname(), port)
	case "unixstream":
		a.network = "unix"
		fallthrough
	case "unix", "unixgram":
		if a.host = u.Path; u.Host != "" || len(a.host) < 2 {
			return a, fmt.Errorf("use three slashes and a whole path, %s:///run/statsd.sock", u.Scheme)
		}
	default:
		return a, errors.New("it begins with none of udp://, tcp://, unixgram://, unix://")
	}
	a.name = u.Scheme + "://" + a.host
	return a, nil
}

// takes tells whether what is sent to another address comes in here, as far as an address tells that.
func (a address) takes(to address) bool {
	if a.network != to.network || a.host == to.host {
		return a.network == to.network
	}
	host, port, err := net.SplitHostPort(a.host)
	toHost, toPort, failed := net.SplitHostPort(to.host)
	return err == nil && failed == nil && port == toPort && isHere(host) && isHere(toHost)
}

// isHere tells whether a host is this machine, or all of its addresses.
func isHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}
