// Package peers is the part of a configuration that says who may talk to a ZeroMQ socket, and
// how the two make sure of each other. Sources and sinks have it inlined:
//
//	type Config struct {
//		Listen         []string `yaml:"listen"`
//		peers.Security `yaml:",inline"`
//	}
//	problems := c.Check(peers.Addresses{Listen: c.Listen}, "write records")
//	security, err := c.ForSocket()
//
// A value is not changed by its methods. The package opens nothing.
package peers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/zmq"
)

// Security says who may connect.
type Security struct {
	// Curve encrypts all and makes sure who the peers are, by keys. Default: none.
	Curve *Curve `yaml:"curve"`
	// Plain asks for names and passwords, which are not encrypted. Default: none.
	Plain *Plain `yaml:"plain"`
	// Allow is from which addresses one may connect, as 10.1.0.0/16 or 192.0.2.7. Default: all.
	Allow []string `yaml:"allow"`
	// Insecure permits to listen where others can reach it without curve and without allow: then whoever reaches the port can
	// write records to a source, or read those of a sink. The original distlogd always does that. Default: false.
	Insecure bool `yaml:"insecure"`
}

// Curve has the keys of CURVE, 40 characters each, as zmq.curve_keypair() makes them.
type Curve struct {
	// SecretKey is weir's own. Those who connect need the public key that belongs to it. Needed to listen.
	SecretKey config.Secret `yaml:"secret_key"`
	// Clients are the public keys of those who may connect. Default: all who know weir's public key.
	Clients []string `yaml:"clients"`
	// ServerKey is the public key of those to whom weir connects.
	ServerKey string `yaml:"server_key"`
}

// Plain has names and passwords.
type Plain struct {
	// Users are those who may connect: names, and the password of each.
	Users map[string]config.Secret `yaml:"users"`
	// User is the name that weir shows where it connects.
	User string `yaml:"user"`
	// Password is what belongs to it.
	Password config.Secret `yaml:"password"`
}

const (
	maxAddresses = 64
	maxPassword  = 255
)

// Addresses are where a component listens and connects.
type Addresses struct {
	Listen []string
	// Connect are those of each key of the configuration.
	Connect map[string][]string
}

// problems collects what is wrong.
type problems []error

func (p *problems) need(ok bool, key, message string) {
	if !ok {
		*p = append(*p, &config.Problem{Key: key, Message: message})
	}
}

// Check returns what is wrong with addresses and with s. harm is what others could do where
// they can connect to a component, as in "write records".
func (s *Security) Check(a Addresses, harm string) []error {
	var p problems
	s.addresses(&p, a, harm)
	connects := false
	for _, list := range a.Connect {
		connects = connects || len(list) > 0
	}
	s.curve(&p, len(a.Listen) > 0, connects)
	s.plain(&p, len(a.Listen) > 0, connects)
	return p
}

func (s *Security) addresses(p *problems, a Addresses, harm string) {
	n := len(a.Listen)
	guarded := s.Curve != nil || len(s.Allow) > 0 || s.Insecure
	for i, text := range a.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		e, err := zmq.ParseEndpoint(text)
		if err != nil {
			p.need(false, key, err.Error())
			continue
		}
		p.need(e.Local() || guarded, key, "others can reach this address and "+harm+": give the keys of curve, or list the addresses that may connect in allow, "+
			"or set insecure: true, which is how distlogd itself has always listened")
	}
	keys := slices.Sorted(maps.Keys(a.Connect))
	for _, name := range keys {
		n += len(a.Connect[name])
		for i, text := range a.Connect[name] {
			if _, err := zmq.ParseEndpoint(text); err != nil {
				p.need(false, fmt.Sprintf("%s[%d]", name, i), err.Error())
			}
		}
	}
	all := "listen"
	for i, name := range keys {
		if i == len(keys)-1 {
			all += " and " + name
		} else {
			all += ", " + name
		}
	}
	p.need(n > 0 && n <= maxAddresses, "listen", "give from 1 to 64 addresses, of "+all+" together")
	for i, text := range s.Allow {
		_, ok := parsePrefix(text)
		p.need(ok, fmt.Sprintf("allow[%d]", i), "use an address or a network, as 192.0.2.7 or 10.1.0.0/16")
	}
}

func (s *Security) curve(p *problems, listens, connects bool) {
	c := s.Curve
	if c == nil {
		return
	}
	p.need(s.Plain == nil, "plain", "curve is given already: use one of the two")
	p.need(!listens || c.SecretKey != "", "curve.secret_key", "to listen with curve needs weir's secret key, as ${file:/run/secrets/weir.key}")
	p.need(!connects || c.ServerKey != "", "curve.server_key", "to connect with curve needs the public key of the other side")
	_, err := zmtp.ParseKey(string(c.SecretKey))
	p.need(c.SecretKey == "" || err == nil, "curve.secret_key", fmt.Sprint(err))
	_, err = zmtp.ParseKey(c.ServerKey)
	p.need(c.ServerKey == "" || err == nil, "curve.server_key", fmt.Sprint(err))
	for i, text := range c.Clients {
		_, err := zmtp.ParseKey(text)
		p.need(err == nil, fmt.Sprintf("curve.clients[%d]", i), fmt.Sprint(err))
	}
}

func (s *Security) plain(p *problems, listens, connects bool) {
	if s.Plain == nil {
		return
	}
	p.need(!listens || len(s.Plain.Users) > 0, "plain.users", "to listen with plain needs at least one user")
	p.need(!connects || s.Plain.User != "", "plain.user", "to connect with plain needs a user")
	p.need(len(s.Plain.User) <= maxPassword && len(s.Plain.Password) <= maxPassword, "plain.user", "use at most 255 bytes for a name or a password")
}

func parsePrefix(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}

// ForSocket returns s as sockets have it. It has been checked.
func (s *Security) ForSocket() (made zmq.Security, err error) {
	for _, text := range s.Allow {
		prefix, _ := parsePrefix(text)
		made.Allow = append(made.Allow, prefix)
	}
	if p := s.Plain; p != nil {
		made.Mechanism, made.User, made.Password, made.Users = zmtp.Plain, p.User, string(p.Password), map[string]string{}
		for name, password := range p.Users {
			made.Users[name] = string(password)
		}
	}
	if c := s.Curve; c != nil {
		made.Mechanism = zmtp.Curve
		if made.ServerKey, err = optionalKey(c.ServerKey); err != nil {
			return made, err
		}
		if c.SecretKey == "" {
			made.Keys, err = zmtp.NewKeyPair()
		} else if secret, wrong := zmtp.ParseKey(string(c.SecretKey)); wrong == nil {
			made.Keys, err = zmtp.PairOf(secret)
		}
		if err != nil {
			return made, err
		}
		if len(c.Clients) > 0 {
			made.Clients = map[zmtp.Key]bool{}
		}
		for _, text := range c.Clients {
			key, _ := zmtp.ParseKey(text)
			made.Clients[key] = true
		}
	}
	return made, nil
}

func optionalKey(text string) (zmtp.Key, error) {
	if text == "" {
		return zmtp.Key{}, nil
	}
	return zmtp.ParseKey(text)
}

// Digest tells whether peers have made sure of each other in the same way: it is another one where
// anything of s is different but Allow and Insecure, which are asked for again.
func (s *Security) Digest() string {
	var all struct {
		Secret, Server  string
		Clients         []string
		Users           map[string]string
		User, Password  string
		HasCurve, Plain bool
	}
	if c := s.Curve; c != nil {
		all.HasCurve, all.Secret, all.Server, all.Clients = true, string(c.SecretKey), c.ServerKey, c.Clients
	}
	if p := s.Plain; p != nil {
		all.Plain, all.User, all.Password, all.Users = true, p.User, string(p.Password), map[string]string{}
		for name, password := range p.Users {
			all.Users[name] = string(password)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic("peers: texts do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
