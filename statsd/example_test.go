package statsd_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/statsd"
)

// server is a StatsD server for the examples, that prints lines it got, sorted.
func server() (address string, show func(lines int)) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", func(int) { fmt.Println(err) }
	}
	return "udp://" + conn.LocalAddr().String(), func(lines int) {
		defer func() { _ = conn.Close() }()
		var all []string
		for buf := make([]byte, 65536); len(all) < lines; {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				fmt.Println(err)
				return
			}
			all = append(all, strings.Split(string(buf[:n]), "\n")...)
		}
		slices.Sort(all)
		fmt.Println(strings.Join(all, "\n"))
	}
}

func Example() {
	address, show := server()

	client, err := statsd.New(statsd.Options{Address: address, Prefix: "shop"})
	if err != nil {
		fmt.Println(err) // the options are wrong
		return
	}
	for range 3 {
		client.Incr("orders", 1, "country:fr")
	}
	client.Gauge("queue.length", 17)
	client.Timing("checkout", 250*time.Millisecond)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := client.Close(ctx); err != nil {
		fmt.Println(err) // not all metrics were sent
	}
	show(3)
	// Output:
	// shop.checkout:250|ms
	// shop.orders:3|c|#country:fr
	// shop.queue.length:17|g
}

func ExampleClient() {
	address, show := server()
	client, err := statsd.New(statsd.Options{Address: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	db := client.WithPrefix("db").WithTags("pool:main")
	db.Incr("queries", 1)
	db.Set("users", "anna")
	db.GaugeDelta("open", 1)
	if err := client.Inject("raw.path", "abc", "s"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(client.Inject("raw\npath", "1", "c") != nil)

	var off *statsd.Client
	off.Incr("nothing", 1) // a nil client is off

	_ = client.Close(context.Background())
	show(4)
	// Output:
	// true
	// db.open:+1|g|#pool:main
	// db.queries:1|c|#pool:main
	// db.users:anna|s|#pool:main
	// raw.path:abc|s
}

func ExampleOptions() {
	address, show := server()
	client, err := statsd.New(statsd.Options{
		Address:   address,
		Naming:    statsd.Sprockets, // counters.…, gauges.…, timers.…
		Aggregate: -1,               // every call is a line
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Incr("hits", 1)
	client.Incr("hits", 1)
	client.Timing("query", 12*time.Millisecond)
	_ = client.Close(context.Background())
	show(3)
	// Output:
	// counters.hits:1|c
	// counters.hits:1|c
	// timers.query:12.0|ms
}

func ExampleTimer() {
	address, _ := server()
	client, err := statsd.New(statsd.Options{Address: address, Prefix: "app"})
	if err != nil {
		fmt.Println(err)
		return
	}
	timer := client.StartTimer("import")
	rows := 0 // the work
	took := timer.Stop("table:users")
	client.Gauge("import.rows", float64(rows))
	fmt.Println(took > 0)
	_ = client.Close(context.Background())
	// Output: true
}

func ExampleEvent() {
	address, show := server()
	client, err := statsd.New(statsd.Options{Address: address, Dialect: statsd.DogStatsD})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.Event(statsd.Event{Title: "deployed", Text: "version 1.2", Alert: "success", Tags: []string{"env:prod"}})
	if err != nil {
		fmt.Println(err)
	}
	_ = client.Close(context.Background())
	show(1)
	// Output: _e{8,11}:deployed|version 1.2|t:success|#env:prod
}

func ExampleServiceCheck() {
	address, show := server()
	client, err := statsd.New(statsd.Options{Address: address, Dialect: statsd.DogStatsD})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.ServiceCheck(statsd.ServiceCheck{Name: "db.up", Status: statsd.Critical, Message: "no answer"})
	if err != nil {
		fmt.Println(err)
	}
	_ = client.Close(context.Background())
	show(1)
	// Output: _sc|db.up|2|m:no answer
}

func ExampleFromEnvironment() {
	variables := map[string]string{"STATSD_HOST": "stats", "STATSD_PROTOCOL": "udp", "STATSD_PREFIX": "shop"}
	options, err := statsd.FromEnvironment(func(name string) (string, bool) {
		value, set := variables[name]
		return value, set
	})
	fmt.Println(options.Address, options.Prefix, options.Off, err)
	// Output: udp://stats:8125 shop false <nil>
}

func ExampleStats() {
	client, err := statsd.New(statsd.Options{Address: "unix:///nobody/listens/here", Aggregate: -1, QueueLines: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 5 {
		client.Incr("n", 1)
	}
	stats := client.Stats()
	fmt.Println(stats.QueuedLines, "wait,", stats.Dropped.QueueFull, "were dropped")
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(client.Close(ctx))
	fmt.Println(client.Stats().Dropped.Total(), "were dropped in all")
	// Output:
	// 2 wait, 3 were dropped
	// statsd: close: 2 metrics were not sent
	// 5 were dropped in all
}

func ExampleDialect() {
	for _, dialect := range []statsd.Dialect{statsd.StatsD, statsd.Graphite, statsd.Influx} {
		address, show := server()
		client, err := statsd.New(statsd.Options{Address: address, Dialect: dialect})
		if err != nil {
			fmt.Println(err)
			return
		}
		client.Incr("hits", 1, "status:200", "cached")
		_ = client.Close(context.Background())
		show(1)
	}
	// Output:
	// hits:1|c|#status:200,cached
	// hits;status=200;cached=true:1|c
	// hits,status=200,cached=true:1|c
}

func ExampleDrops() {
	client, err := statsd.New(statsd.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Gauge("ratio", math.NaN())
	client.Incr(strings.Repeat("x", 10_000), 1)
	drops := client.Stats().Dropped
	fmt.Println(drops.Invalid, "invalid,", drops.TooLong, "too long,", drops.Total(), "in all")
	_ = client.Close(context.Background())
	// Output: 1 invalid, 1 too long, 2 in all
}
