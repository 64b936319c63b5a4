package statsd

import "time"

// Stats are what a client has done so far. A metric is what one call records. Where calls
// are added up, the line that is sent for them counts as one metric, from when it is sent.
//
// Once nothing waits (after Flush or Close without an error), and where nothing is added
// up, every call is in Sent or in Dropped, exactly once.
type Stats struct {
	// Sent are the metrics that the system took.
	Sent uint64
	// Uncertain are those of Sent that may not have arrived: what had been written to a
	// stream in the 10 s before it broke, since nothing tells what of that the server has
	// read; and over UDP a datagram after which the system said that nobody listens.
	Uncertain uint64
	// Dropped are the metrics that were not sent and never will be, by cause.
	Dropped Drops
	// QueuedLines and QueuedBytes wait to be sent.
	QueuedLines, QueuedBytes int
	// Series are those that are being added up.
	Series int
	// Connections counts the connections that were made. Connected says whether there is
	// one; of UDP it means no more than that the address is known and nobody has refused.
	Connections uint64
	Connected   bool
	// LastError is why the last connection, or attempt at one, failed; nil if none has.
	LastError error
	// LastErrorTime is when that was.
	LastErrorTime time.Time
}

// Drops are the metrics that were dropped, by cause. A metric is what one call records; a
// line of aggregated values counts as one.
type Drops struct {
	// QueueFull are new metrics that found the queue full, and members of a set beyond
	// what is kept of it while the server is away.
	QueueFull uint64
	// Oldest are those that made room for new ones, with Options.DropOldest.
	Oldest uint64
	// TooLong are those whose line would have been longer than 8 KiB, or than the system
	// takes in a datagram.
	TooLong uint64
	// Invalid are those without a name, with a value that is no number (or, of a
	// timer, below zero), or that the
	// dialect does not have.
	Invalid uint64
	// Closed are those that came after Close, or that Close had no time to send.
	Closed uint64
}

// Total is the sum of all causes.
func (d Drops) Total() uint64 { return d.QueueFull + d.Oldest + d.TooLong + d.Invalid + d.Closed }
