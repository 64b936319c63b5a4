package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/DataDog/datadog-go/v5/statsd"
	cactus "github.com/cactus/go-statsd-client/v5/statsd"
	smira "github.com/smira/go-statsd"
	weir "github.com/weirlog/weir/statsd"
)

// The metric that is counted.
const (
	metric     = "shop.requests.count"
	tag1, val1 = "status", "200"
	tag2, val2 = "method", "GET"
	pair1      = tag1 + ":" + val1
	pair2      = tag2 + ":" + val2
)

// counting counts. Close sends what is left, and returns how many calls the client says it
// dropped, or -1 if it does not say.
type counting interface {
	Incr()
	Close() (dropped int64)
}

// dial returns the client of a name for the server at a UDP address.
func dial(name, address string) (counting, error) {
	connect, ok := clients[name]
	if !ok {
		return nil, fmt.Errorf("unknown client %q", name)
	}
	return connect(address)
}

var clients = map[string]func(address string) (counting, error){
	"weir":       func(a string) (counting, error) { return newWeir(weir.Options{Address: "udp://" + a}) },
	"weir-lines": func(a string) (counting, error) { return newWeir(weir.Options{Address: "udp://" + a, Aggregate: -1}) },
	"weir-all": func(a string) (counting, error) {
		return newWeir(weir.Options{Address: "udp://" + a, Aggregate: -1, QueueLines: -1, QueueBytes: 256 << 20})
	},
	"datadog":      func(a string) (counting, error) { return newDatadog(a) },
	"datadog-line": func(a string) (counting, error) { return newDatadog(a, statsd.WithoutClientSideAggregation()) },
	"smira":        newSmira,
	"cactus":       newCactus,
	"plain":        newPlain,
}

type weirClient struct{ *weir.Client }

func newWeir(o weir.Options) (counting, error) {
	c, err := weir.New(o)
	return weirClient{c}, err
}

func (c weirClient) Incr() { c.Client.Incr(metric, 1, pair1, pair2) }

func (c weirClient) Close() int64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = c.Client.Close(ctx) // what it could not send is among the drops
	return int64(c.Stats().Dropped.Total())
}

type datadogClient struct{ *statsd.Client }

func newDatadog(address string, o ...statsd.Option) (counting, error) {
	c, err := statsd.New(address, append(o, statsd.WithoutTelemetry())...)
	return datadogClient{c}, err
}

func (c datadogClient) Incr() { _ = c.Count(metric, 1, []string{pair1, pair2}, 1) }

func (c datadogClient) Close() int64 {
	_ = c.Flush()
	dropped := c.GetTelemetry().TotalDroppedOnReceive
	_ = c.Client.Close()
	return int64(dropped) // before they are packed; what is dropped after that is counted in packets
}

type smiraClient struct{ *smira.Client }

func newSmira(address string) (counting, error) {
	return smiraClient{smira.NewClient(address, smira.TagStyle(smira.TagFormatDatadog))}, nil
}

func (c smiraClient) Incr() {
	c.Client.Incr(metric, 1, smira.StringTag(tag1, val1), smira.StringTag(tag2, val2))
}

func (c smiraClient) Close() int64 {
	_ = c.Client.Close()
	return -1 // it counts packets that were lost, not calls
}

type cactusClient struct{ cactus.Statter }

func newCactus(address string) (counting, error) {
	c, err := cactus.NewClientWithConfig(&cactus.ClientConfig{Address: address, UseBuffered: true, TagFormat: cactus.SuffixOctothorpe})
	return cactusClient{c}, err
}

func (c cactusClient) Incr() { _ = c.Inc(metric, 1, 1, cactus.Tag{tag1, val1}, cactus.Tag{tag2, val2}) }

func (c cactusClient) Close() int64 {
	_ = c.Statter.Close()
	return -1
}

// plain writes a line for every call.
type plain struct{ net.Conn }

func newPlain(address string) (counting, error) {
	conn, err := net.Dial("udp", address)
	return plain{conn}, err
}

func (c plain) Incr() { fmt.Fprintf(c.Conn, "%s:%d|c|#%s,%s", metric, 1, pair1, pair2) }

func (c plain) Close() int64 {
	_ = c.Conn.Close()
	return -1
}
