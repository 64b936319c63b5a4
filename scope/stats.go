package scope

import "time"

// Stats are what a Handler has done so far, with all those that came from it by WithAttrs and
// WithGroup. Once nothing waits, each record that was to be sent is in Sent or in Dropped.
type Stats struct {
	// Sent are the records that the system took.
	Sent uint64
	// Uncertain are those of Sent that may not have arrived: what a connection took in the
	// 10 s before it broke, or before it was closed without a server's goodbye, since nothing
	// tells what of that the server has read.
	Uncertain uint64
	// Dropped are the records that were not sent and never will be, by cause.
	Dropped Drops
	// Local are the records that the wrapped handler got because there was no connection, or
	// because they were dropped.
	Local uint64
	// QueuedRecords and QueuedBytes wait to be sent.
	QueuedRecords, QueuedBytes int
	// Connections counts the connections that were made; Connected says whether there is one.
	Connections uint64
	Connected   bool
	// LastError is why the last connection, or attempt at one, failed; nil if none has.
	LastError error
	// LastErrorTime is when that was.
	LastErrorTime time.Time
}

// Drops are the records that were dropped, by cause. Of each that has a task a number is
// missing from then on, so that a reader sees it too.
type Drops struct {
	// QueueFull are those that found the queue full.
	QueueFull uint64
	// TooLong are those of more than 1 MiB.
	TooLong uint64
	// Closed are those that came after Close, or that Close had no time to send.
	Closed uint64
}

// Total is the sum of all causes.
func (d Drops) Total() uint64 { return d.QueueFull + d.TooLong + d.Closed }
