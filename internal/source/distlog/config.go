package distlog

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
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
	// Curve encrypts all and makes sure who the peers are, by keys. Default: none.
	Curve *Curve `yaml:"curve"`
	// Plain asks for names and passwords, which are not encrypted. Default: none.
	Plain *Plain `yaml:"plain"`
	// Allow is from which addresses senders may connect, as 10.1.0.0/16 or 192.0.2.7. Default: all.
	Allow []string `yaml:"allow"`
	// Insecure permits to listen where others can reach it without curve and without allow: then whoever reaches the port can write
	// records. The original distlogd always does that. Default: false.
	Insecure bool `yaml:"insecure"`
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

// Curve has the keys of CURVE, 40 characters each, as zmq.curve_keypair() makes them.
type Curve struct {
	// SecretKey is weir's own. Senders need the public key that belongs to it. Needed to listen.
	SecretKey config.Secret `yaml:"secret_key"`
	// Clients are the public keys of the senders that may connect. Default: all who know weir's public key.
	Clients []string `yaml:"clients"`
	// ServerKey is the public key of those to whom weir connects.
	ServerKey string `yaml:"server_key"`
}

// Plain has names and passwords.
type Plain struct {
	// Users are the senders that may connect: names, and the password of each.
	Users map[string]config.Secret `yaml:"users"`
	// User is the name that weir shows where it connects.
	User string `yaml:"user"`
	// Password is what belongs to it.
	Password config.Secret `yaml:"password"`
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
	maxAddresses  = 64
	maxStreams    = 100_000
	maxPassword   = 255
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
	c.validateAddresses(&p)
	c.validateSecurity(&p)
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

func (c *Config) validateAddresses(p *problems) {
	n := len(c.Listen) + len(c.Connect) + len(c.Subscribe)
	p.need(n > 0 && n <= maxAddresses, "listen", "give from 1 to 64 addresses, of listen, connect and subscribe together")
	guarded := c.Curve != nil || len(c.Allow) > 0 || c.Insecure
	for i, text := range c.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		e, err := zmq.ParseEndpoint(text)
		if err != nil {
			p.need(false, key, err.Error())
			continue
		}
		p.need(e.Local() || guarded, key, "others can reach this address and write records: give the keys of curve, or list the senders' addresses in allow, "+
			"or set insecure: true, which is how distlogd itself has always listened")
	}
	for name, list := range map[string][]string{"connect": c.Connect, "subscribe": c.Subscribe} {
		for i, text := range list {
			if _, err := zmq.ParseEndpoint(text); err != nil {
				p.need(false, fmt.Sprintf("%s[%d]", name, i), err.Error())
			}
		}
	}
	for i, text := range c.Allow {
		_, ok := parsePrefix(text)
		p.need(ok, fmt.Sprintf("allow[%d]", i), "use an address or a network, as 192.0.2.7 or 10.1.0.0/16")
	}
}

func (c *Config) validateSecurity(p *problems) {
	connects := len(c.Connect)+len(c.Subscribe) > 0
	if c.Curve != nil {
		p.need(c.Plain == nil, "plain", "curve is given already: a source has one of the two")
		p.need(len(c.Listen) == 0 || c.Curve.SecretKey != "", "curve.secret_key", "to listen with curve needs weir's secret key, as ${file:/run/secrets/weir.key}")
		p.need(!connects || c.Curve.ServerKey != "", "curve.server_key", "to connect with curve needs the public key of the other side")
		_, err := zmtp.ParseKey(string(c.Curve.SecretKey))
		p.need(c.Curve.SecretKey == "" || err == nil, "curve.secret_key", fmt.Sprint(err))
		_, err = zmtp.ParseKey(c.Curve.ServerKey)
		p.need(c.Curve.ServerKey == "" || err == nil, "curve.server_key", fmt.Sprint(err))
		for i, text := range c.Curve.Clients {
			_, err := zmtp.ParseKey(text)
			p.need(err == nil, fmt.Sprintf("curve.clients[%d]", i), fmt.Sprint(err))
		}
	}
	if c.Plain != nil {
		p.need(len(c.Listen) == 0 || len(c.Plain.Users) > 0, "plain.users", "to listen with plain needs at least one user")
		p.need(!connects || c.Plain.User != "", "plain.user", "to connect with plain needs a user")
		p.need(len(c.Plain.User) <= maxPassword && len(c.Plain.Password) <= maxPassword, "plain.user", "use at most 255 bytes for a name or a password")
	}
}

func parsePrefix(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}

// security returns how peers make sure of each other. c is valid.
func (c *Config) security() (s zmq.Security, err error) {
	for _, text := range c.Allow {
		prefix, _ := parsePrefix(text)
		s.Allow = append(s.Allow, prefix)
	}
	if p := c.Plain; p != nil {
		s.Mechanism, s.User, s.Password, s.Users = zmtp.Plain, p.User, string(p.Password), map[string]string{}
		for name, password := range p.Users {
			s.Users[name] = string(password)
		}
	}
	if v := c.Curve; v != nil {
		s.Mechanism = zmtp.Curve
		if s.ServerKey, err = optionalKey(v.ServerKey); err != nil {
			return s, err
		}
		if v.SecretKey == "" {
			s.Keys, err = zmtp.NewKeyPair()
		} else if secret, wrong := zmtp.ParseKey(string(v.SecretKey)); wrong == nil {
			s.Keys, err = zmtp.PairOf(secret)
		}
		if err != nil {
			return s, err
		}
		if len(v.Clients) > 0 {
			s.Clients = map[zmtp.Key]bool{}
		}
		for _, text := range v.Clients {
			key, _ := zmtp.ParseKey(text)
			s.Clients[key] = true
		}
	}
	return s, nil
}

func optionalKey(text string) (zmtp.Key, error) {
	if text == "" {
		return zmtp.Key{}, nil
	}
	return zmtp.ParseKey(text)
}

func (c *Config) limits() zmq.Limits {
	return zmq.Limits{
		Message: int(c.MaxMessage), Connections: c.MaxConnections, Memory: int(c.MaxMemory), Handshake: c.HandshakeTimeout,
		Unfinished: c.MessageTimeout, Heartbeat: c.Heartbeat, Silence: c.Heartbeat,
	}
}
