package distlog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/peers"
	"github.com/weirlog/weir/internal/zmq"
)

// Config says where records are taken, and of whom.
type Config struct {
	// Listen is where senders connect to (PUSH): tcp://host:port, with * for every address of the machine, ipc:///path
	// or ipc://@name. An address that others can reach needs curve, or allow, or insecure: true. Default:
	// tcp://127.0.0.1:5010.
	Listen []string `yaml:"listen"`
	// Connect is where weir connects to senders that listen themselves (PUSH). Default: none.
	Connect []string `yaml:"connect"`
	// Subscribe is where weir connects to publishers (PUB), as those that distlogd sends records on with. A publisher leaves
	// out what it cannot send at once. Default: none.
	Subscribe []string `yaml:"subscribe"`
	// Topics are what is wanted of publishers: messages whose topic begins with one of these, as PL or T. Default: all.
	Topics []string `yaml:"topics"`

	peers.Security `yaml:",inline"`

	// MaxMessage is the longest message; a sender of a longer one is cut off, and the message is lost. Default: 4MiB.
	MaxMessage config.Bytes `yaml:"max_message"`
	// MaxConnections is how many senders may be connected to each address; a further one is closed and counted.
	// Default: 1000.
	MaxConnections int `yaml:"max_connections"`
	// MaxMemory is what all connections may use for long messages. Default: 64MiB.
	MaxMemory config.Bytes `yaml:"max_memory"`
	// HandshakeTimeout is how long a sender may take to say who it is. Default: 10s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// MessageTimeout is how long a message may take to come in; then its connection is closed. Default: 30s.
	MessageTimeout time.Duration `yaml:"message_timeout"`
	// Heartbeat is after how long without a byte a sender is asked for a sign of life, and for how long weir waits
	// for it. Senders of ZMTP 3.0 (libzmq before 4.2) are not asked. Default: 30s.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// MaxStreams is how many streams there may be, which are the different hosts with each system and kind. Records of
	// further hosts share a stream with the label overflow. Default: 1000.
	MaxStreams int `yaml:"max_streams"`
	// Labels are added to all streams.
	Labels map[string]string `yaml:"labels"`
	// KeepWire keeps each message also as it came, so that a zmq sink can send the same two frames on. It doubles the text. What
	// rules redact is still in a pickle. Default: false.
	KeepWire bool `yaml:"keep_wire"`
	// Quarantine is how much of messages that make no sense is kept an hour, in a stream with the label log="quarantine"; of each
	// the first 16 KiB. Default: 0, none.
	Quarantine config.Bytes `yaml:"quarantine"`
}

// Default returns the settings of a source that says nothing.
func Default() Config {
	return Config{
		Listen: []string{"tcp://127.0.0.1:5010"}, Topics: []string{""},
		MaxMessage: 4 << 20, MaxConnections: 1000, MaxMemory: 64 << 20, MaxStreams: 1000,
		HandshakeTimeout: 10 * time.Second, MessageTimeout: 30 * time.Second, Heartbeat: 30 * time.Second,
	}
}

// Bounds of settings.
const (
	maxStreams    = 100_000
	maxQuarantine = 1 << 30
)

// problems collects what is wrong.
type problems []error

func (p *problems) need(ok bool, key, message string) {
	if !ok {
		*p = append(*p, &config.Problem{Key: key, Message: message})
	}
}

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	var p problems
	p = append(p, c.Security.Check(peers.Addresses{Listen: c.Listen, Connect: map[string][]string{"connect": c.Connect, "subscribe": c.Subscribe}}, "write records")...)
	p.need(len(c.Subscribe) == 0 || len(c.Topics) > 0, "topics", `give at least one; "" is all`)
	p.need(c.MaxMessage >= 1<<10 && c.MaxMessage <= 64<<20, "max_message", "use a size from 1KiB to 64MiB")
	p.need(c.MaxMemory >= 1<<20 && c.MaxMemory <= 4<<30, "max_memory", "use a size from 1MiB to 4GiB")
	p.need(c.MaxConnections >= 1 && c.MaxConnections <= 100_000, "max_connections", "use a number from 1 to 100000")
	p.need(c.MaxStreams >= 1 && c.MaxStreams <= maxStreams, "max_streams", "use a number from 1 to 100000")
	p.need(c.HandshakeTimeout >= time.Second, "handshake_timeout", "use 1s or more")
	p.need(c.MessageTimeout >= time.Second, "message_timeout", "use 1s or more")
	p.need(c.Heartbeat >= time.Second, "heartbeat", "use 1s or more")
	p.need(c.Quarantine <= maxQuarantine, "quarantine", "use at most 1GiB")
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		p.need(metric.ValidName(name) && !strings.Contains(name, ":"), "labels."+name, fmt.Sprintf("%q is no name of a label: use letters, digits and _, and no digit first", name))
	}
	return config.Join(p...)
}

func (c *Config) limits() zmq.Limits {
	return zmq.Limits{
		Message: int(c.MaxMessage), Connections: c.MaxConnections, Memory: int(c.MaxMemory), Handshake: c.HandshakeTimeout,
		Unfinished: c.MessageTimeout, Heartbeat: c.Heartbeat, Silence: c.Heartbeat,
	}
}
