// Package statsd sends metrics to a StatsD server: etsy's, weir's, the Datadog Agent's, or
// any other that speaks one of the dialects.
//
//	client, err := statsd.New(statsd.Options{Address: "udp://127.0.0.1:8125", Prefix: "shop"})
//	if err != nil {
//		return err // the options are wrong; a server that is down is no error
//	}
//	defer client.Close(ctx)
//
//	client.Incr("orders", 1, "country:fr")
//	client.Gauge("queue.length", 17)
//	defer client.StartTimer("checkout").Stop()
//
// It owns the connection, which heals itself, and what waits to be sent, which is bounded.
// No call blocks for the server, none panics, and a nil Client is off.
//
// # What is promised
//
// Counters, gauges and sets are added up for a second and then sent as one line each, so
// that no rate of calls is too much, and while the server is away they go on adding up:
// nothing of them is dropped before Close. Everything else (all, with a negative
// Options.Aggregate) becomes a line of its own in a queue that takes 1,000 lines or 1 MiB.
// What finds it full is dropped, and Stats says how much was dropped and why.
//
// Lines leave in the order in which their calls came to the queue, so those of one
// goroutine arrive in its order, and so do those of several goroutines that wait for each
// other. Lines of one series are in order also when they are added up; added-up series
// keep no order among each other or with other lines.
//
// A line is sent once. What a broken stream had not taken is sent again over the next one,
// in whole lines. What it had taken may have arrived or not, nothing tells: it is not sent
// again, since a counter would count twice, and Stats has it as Uncertain. Over UDP, sent is
// all that can be known.
//
// # Concurrency
//
// Everything may be called at the same time by any number of goroutines.
//
// What is left out on purpose: nothing here reads metrics, and there are no callbacks or
// registries of metrics. Package statsdhttp measures HTTP handlers.
package statsd
