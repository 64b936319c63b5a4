package distlog

import (
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/peers"
)

func TestConfig(t *testing.T) {
	key := strings.Repeat("0", 40)
	good := func(change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Error(err)
			return
		}
		if _, err := c.ForSocket(); err != nil {
			t.Error(err)
		}
	}
	bad := func(want string, change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	good(func(*Config) {})
	good(func(c *Config) { c.Listen = []string{"tcp://[::1]:1", "ipc:///run/x", "tcp://localhost:5010"} })
	good(func(c *Config) { c.Listen = []string{"tcp://*:5010"}; c.Insecure = true })
	good(func(c *Config) {
		c.Listen = []string{"tcp://0.0.0.0:5010"}
		c.Allow = []string{"10.0.0.0/8", "192.0.2.1", "fe80::/10"}
	})
	good(func(c *Config) {
		c.Listen = []string{"tcp://*:5010"}
		c.Curve = &peers.Curve{SecretKey: config.Secret(key)}
	})
	good(func(c *Config) {
		c.Listen, c.Subscribe, c.Curve = nil, []string{"tcp://h:1"}, &peers.Curve{ServerKey: key}
	})
	good(func(c *Config) { c.Plain = &peers.Plain{Users: map[string]config.Secret{"a": "b"}} })
	for _, open := range []string{"tcp://*:5010", "tcp://0.0.0.0:5010", "tcp://[::]:5010", "tcp://10.0.0.1:5010", "tcp://logs:5010"} {
		bad("insecure: true", func(c *Config) { c.Listen = []string{open} })
		bad("insecure: true", func(c *Config) {
			c.Listen, c.Plain = []string{open}, &peers.Plain{Users: map[string]config.Secret{"a": "b"}}
		})
	}
	bad("listen[1]", func(c *Config) { c.Listen = append(c.Listen, "udp://127.0.0.1:1") })
	bad("from 1 to 64", func(c *Config) { c.Listen = nil })
	bad("connect[0]", func(c *Config) { c.Connect = []string{"h:1"} })
	bad("allow[0]", func(c *Config) { c.Allow = []string{"localhost"} })
	bad("curve.secret_key", func(c *Config) { c.Curve = &peers.Curve{} })
	bad("40 characters", func(c *Config) { c.Curve = &peers.Curve{SecretKey: "short"} })
	bad("40 characters", func(c *Config) { c.Curve = &peers.Curve{SecretKey: config.Secret(strings.Repeat("#", 40))} }) // more than 32 bits
	bad("curve.clients[0]", func(c *Config) { c.Curve = &peers.Curve{SecretKey: config.Secret(key), Clients: []string{"x"}} })
	bad("curve.server_key", func(c *Config) {
		c.Curve, c.Connect = &peers.Curve{SecretKey: config.Secret(key)}, []string{"tcp://127.0.0.1:1"}
	})
	bad("plain", func(c *Config) {
		c.Curve, c.Plain = &peers.Curve{SecretKey: config.Secret(key)}, &peers.Plain{Users: map[string]config.Secret{"a": "b"}}
	})
	bad("plain.users", func(c *Config) { c.Plain = &peers.Plain{} })
	bad("labels.a-b", func(c *Config) { c.Labels = map[string]string{"a-b": "c"} })
	bad("max_message", func(c *Config) { c.MaxMessage = 10 })
	bad("heartbeat", func(c *Config) { c.Heartbeat = 0 })
	if c := Default(); c.Validate() == nil {
		err := (&Config{Listen: []string{"tcp://*:1"}, Security: peers.Security{Curve: &peers.Curve{SecretKey: "topsecret"}}}).Validate()
		if strings.Contains(err.Error(), "topsecret") {
			t.Error("an error shows a secret")
		}
	}
}
