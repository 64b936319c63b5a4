package statsd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/statsd"
)

func TestOptions(t *testing.T) {
	for _, address := range []string{
		"", "udp://a", "udp://a:1", "tcp://127.0.0.1:8125", "tcp://[::1]", "udp://[::1]:9/", "unix:///run/s", "unixgram:///run/s", "unixstream:///run/s", "unixgram://relative/s",
	} {
		start(t, statsd.Options{Address: address})
	}
	bad := map[string]statsd.Options{
		"udp://host:port":                     {Address: "127.0.0.1:8125"},
		"tcp://host:port":                     {Address: "http://127.0.0.1"},
		"unix:///path":                        {Address: "unix://"},
		"use udp":                             {Address: "udp://user:password@a"},
		`port "0"`:                            {Address: "udp://a:0"},
		`port "70000"`:                        {Address: "udp://a:70000"},
		"unixgram:///path":                    {Address: "udp://"},
		"Dialect 9":                           {Dialect: 9},
		"Naming 9":                            {Naming: 9},
		"Aggregate 11s":                       {Aggregate: 11 * time.Second},
		"PacketSize 65508":                    {PacketSize: 65508},
		"PacketSize -1":                       {PacketSize: -1},
		"MaxSeries, QueueBytes and":           {MaxSeries: -1},
		"Interval: use 0":                     {FlushInterval: -1},
		"Dialect 8 is not known\nNaming 7 is": {Dialect: 8, Naming: 7},
	}
	for want, o := range bad {
		if c, err := statsd.New(o); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v, %v; want %q", o, c, err, want)
		}
	}
}
