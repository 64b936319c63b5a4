package statsd

import (
	"strings"
	"testing"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
)

func TestAddresses(t *testing.T) {
	c := Default()
	for text, want := range map[string]address{
		"udp://127.0.0.1:8125":              {"udp://127.0.0.1:8125", "udp", "127.0.0.1:8125", wire.StatsD},
		"tcp://127.0.0.1":                   {"tcp://127.0.0.1:8125", "tcp", "127.0.0.1:8125", wire.StatsD},
		"udp://:9125?dialect=dogstatsd":     {"udp://:9125", "udp", ":9125", wire.DogStatsD},
		"udp://[::1]:8125":                  {"udp://[::1]:8125", "udp", "[::1]:8125", wire.StatsD},
		"unix:///run/s.sock":                {"unix:///run/s.sock", "unix", "/run/s.sock", wire.StatsD},
		"unixstream:///s?dialect=dogstatsd": {"unixstream:///s", "unix", "/s", wire.DogStatsD},
		"unixgram:///run/d.sock":            {"unixgram:///run/d.sock", "unixgram", "/run/d.sock", wire.StatsD},
	} {
		if got, err := c.address(text); err != nil || got != want {
			t.Errorf("address(%q) = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "127.0.0.1:8125", "http://x", "udp://a:99999", "udp://a:b", "tcp://a:1/b", "unix://run/s", "unix:///", "udp://a?x=y", "udp://a?dialect=x", "%"} {
		if got, err := c.address(text); err == nil {
			t.Errorf("address(%q) = %+v", text, got)
		}
	}
}

// TestValidate: each setting out of bounds is told at its key.
func TestValidate(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatalf("the default: %v", err)
	}
	nan := 0.0
	nan /= nan
	for key, change := range map[string]func(*Config){
		"listen":              func(c *Config) { c.Listen = nil },
		"listen[1]":           func(c *Config) { c.Listen[1] = "x" },
		"flush_interval":      func(c *Config) { c.FlushInterval = time.Millisecond },
		"buckets":             func(c *Config) { c.Buckets = []float64{1, nan} },
		"percentiles":         func(c *Config) { c.Percentiles = []float64{90, 90} },
		"max_series":          func(c *Config) { c.MaxSeries = 0 },
		"max_series_per_name": func(c *Config) { c.MaxSeriesPerName = -1 },
		"expiry":              func(c *Config) { c.Expiry = time.Second },
		"sockets":             func(c *Config) { c.Sockets = 100 },
		"receive_buffer":      func(c *Config) { c.ReceiveBuffer = 1 },
		"max_line":            func(c *Config) { c.MaxLine = 1 },
		"max_connections":     func(c *Config) { c.MaxConnections = 0 },
		"origin_label":        func(c *Config) { c.OriginLabel = "a-b" },
		"management":          func(c *Config) { c.Management = "127.0.0.1:8126" },
		"idle_timeout":        func(c *Config) { c.IdleTimeout = 0 },
		"line_timeout":        func(c *Config) { c.LineTimeout = 0 },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
