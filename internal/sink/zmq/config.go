package zmq

import (
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/peers"
	"github.com/weirlog/weir/internal/zmq"
)

// System is the part of an organisation that a record is from, as distlog's topics say it.
type System string

// The letters of topics stand for these.
const (
	Production System = "production" // P
	Staging    System = "staging"    // S
	Test       System = "test"       // T
)

// Values lists them, for the configuration.
func (System) Values() []string { return []string{string(Production), string(Staging), string(Test)} }

// Config says where subscribers connect, and which records there are for them.
type Config struct {
	// Listen is where subscribers connect to (SUB): tcp://host:port, with * for every address of the machine, ipc:///path
	// or ipc://@name. An address that others can reach needs curve, or allow, or insecure: true. Default: tcp://127.0.0.1:5011.
	Listen []string `yaml:"listen"`
	// Connect is where weir connects to subscribers that listen themselves (SUB), or to a proxy (XSUB). Default: none.
	Connect []string `yaml:"connect"`

	deliver.Selection `yaml:",inline"`
	peers.Security    `yaml:",inline"`

	// System is what the topic says of records whose stream has no label system: production, staging or test. Default: production.
	System System `yaml:"system"`
	// Queue is how many messages wait for a subscriber that does not read as fast; further ones it loses. Default: 100000.
	Queue int `yaml:"queue"`
	// QueueBytes is how many bytes they may have; subscribers that want the same share them. Default: 32MiB.
	QueueBytes config.Bytes `yaml:"queue_bytes"`
	// MaxConnections is how many subscribers may be connected to each address. Default: 1000.
	MaxConnections int `yaml:"max_connections"`
	// HandshakeTimeout is how long a subscriber may take to say who it is. Default: 10s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// WriteTimeout is how long a subscriber may read nothing while there is something for it; then its connection is closed. Default: 30s.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// Heartbeat is after how long without a byte a subscriber is asked for a sign of life, and for how long weir waits
	// for it. Those of ZMTP 3.0 (libzmq before 4.2) are not asked. Default: 30s.
	Heartbeat time.Duration `yaml:"heartbeat"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{
		Listen: []string{"tcp://127.0.0.1:5011"}, Selection: deliver.SelectAll(), System: Production,
		Queue: 100_000, QueueBytes: 32 << 20, MaxConnections: 1000,
		HandshakeTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, Heartbeat: 30 * time.Second,
	}
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	problems := c.Check(peers.Addresses{Listen: c.Listen, Connect: map[string][]string{"connect": c.Connect}}, "read records")
	need := func(ok bool, key, message string) {
		if !ok {
			problems = append(problems, &config.Problem{Key: key, Message: message})
		}
	}
	need(c.Queue >= 1 && c.Queue <= 10_000_000, "queue", "use a number from 1 to 10000000")
	need(c.QueueBytes >= 64<<10 && c.QueueBytes <= 4<<30, "queue_bytes", "use a size from 64KiB to 4GiB")
	need(c.MaxConnections >= 1 && c.MaxConnections <= 100_000, "max_connections", "use a number from 1 to 100000")
	need(c.HandshakeTimeout >= time.Second, "handshake_timeout", "use 1s or more")
	need(c.WriteTimeout >= time.Second, "write_timeout", "use 1s or more")
	need(c.Heartbeat >= time.Second, "heartbeat", "use 1s or more")
	return config.Join(append(problems, c.Selection.Validate())...)
}

// maxFromSubscriber is the longest of what a subscriber may send, which is the topics it wants.
const maxFromSubscriber = 64 << 10

func (c Config) limits() zmq.Limits {
	return zmq.Limits{
		Message: maxFromSubscriber, Connections: c.MaxConnections, Handshake: c.HandshakeTimeout, Unfinished: c.WriteTimeout,
		Heartbeat: c.Heartbeat, Silence: c.Heartbeat, Queue: c.Queue, QueueBytes: int(c.QueueBytes),
	}
}
