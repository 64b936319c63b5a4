package scope

import (
	"encoding/binary"
	"slices"
	"sync"
)

// queue holds messages that wait to be sent, in the order in which they came, as they go over
// the wire. It is bounded in records and in bytes, those that are being sent included, and
// whoever adds one waits no longer than another takes to copy his in.
type queue struct {
	// wake has room for one: it is filled when the queue stops being empty, and when
	// something is urgent.
	wake chan struct{}

	maxRecords, maxBytes int

	mu      sync.Mutex
	chunks  []*chunk // oldest first; the last takes what comes
	spare   []*chunk // empty ones, not many
	records int
	bytes   int
	urgent  bool // something wants to be sent at once
	awaited bool // the sender looks by itself before long
	shut    bool
	drops   [causes]uint64
}

// chunk is what is written at once: whole messages.
type chunk struct {
	data    []byte
	sent    int // how many bytes of data, in whole messages, need not be sent any more
	records int // in the rest
}

const (
	chunkBytes = 64 << 10 // from when on a chunk takes no further message
	chunkRoom  = 4 << 10  // what it has for its last one without growing
	maxSpare   = 16       // how many are kept after a burst
	enough     = 8        // from how many on they do not wait for more
)

// cause says why a record was dropped.
type cause uint8

const (
	queueFull cause = iota
	tooLong
	closed
	causes
)

func newQueue(o settings) *queue {
	return &queue{wake: make(chan struct{}, 1), maxRecords: o.QueueRecords, maxBytes: o.QueueBytes}
}

// put adds a copy of a message, or says that it was dropped.
func (q *queue) put(message []byte, urgent bool) bool {
	q.mu.Lock()
	why := causes
	switch {
	case q.shut:
		why = closed
	case len(message) > maxRecord:
		why = tooLong
	case q.records >= q.maxRecords || q.bytes+len(message) > q.maxBytes:
		why = queueFull
	}
	if why != causes {
		q.drops[why]++
		q.mu.Unlock()
		return false
	}
	c := q.tail()
	c.data = append(c.data, message...)
	c.records++
	q.records++
	q.bytes += len(message)
	tell := !q.awaited && len(q.chunks) == 1 && c.records == 1
	if !q.urgent && (urgent || len(q.chunks) >= enough || q.bytes >= q.maxBytes/2 || q.records >= q.maxRecords/2) {
		q.urgent, tell = true, true
	}
	q.mu.Unlock()
	if tell {
		select {
		case q.wake <- struct{}{}:
		default: // it has been told
		}
	}
	return true
}

// tail returns the chunk that takes the next message.
func (q *queue) tail() *chunk {
	if n := len(q.chunks); n > 0 && len(q.chunks[n-1].data) < chunkBytes {
		return q.chunks[n-1]
	}
	var c *chunk
	if n := len(q.spare); n > 0 {
		c, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		c = &chunk{data: make([]byte, 0, chunkBytes+chunkRoom)}
	}
	q.chunks = append(q.chunks, c)
	return c
}

// take removes the oldest chunk, or returns nil. Its records count as waiting until gone.
func (q *queue) take() *chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) == 0 {
		q.urgent = false
		return nil
	}
	c := q.chunks[0]
	q.chunks = slices.Delete(q.chunks, 0, 1)
	return c
}

// gone says that records wait no longer.
func (q *queue) gone(records, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records -= records
	q.bytes -= bytes
}

// free takes a chunk back that is empty.
func (q *queue) free(c *chunk) {
	if cap(c.data) > 2*chunkBytes {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.spare) < maxSpare {
		c.data, c.sent, c.records = c.data[:0], 0, 0
		q.spare = append(q.spare, c)
	}
}

// drop counts records that were dropped.
func (q *queue) drop(why cause, records uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drops[why] += records
}

func (q *queue) isUrgent() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.urgent
}

// await says whether the sender will look by itself. With nothing to look for, it will not.
func (q *queue) await(will bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.awaited = will && q.records > 0
	return q.awaited
}

// waiting returns what has not been sent.
func (q *queue) waiting() (records, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.records, q.bytes
}

// close lets no more messages in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = true
}

// A message is two frames of ZMTP: the topic, and the record, which always has its length in
// eight bytes.
const (
	headBytes = 1 + 1 + 3 + 1 + 8
	topicAt   = 2
	lengthAt  = headBytes - 8
)

// head is a message's, without its length. The topic is a system, L for log, and J for JSON.
func head(system string) [headBytes]byte {
	h := [headBytes]byte{0: flagMore, 1: 3, topicAt + 1: 'L', topicAt + 2: 'J', lengthAt - 1: flagLong}
	copy(h[topicAt:topicAt+1], system)
	return h
}

// finish writes the length into a message's head.
func finish(message []byte) {
	binary.BigEndian.PutUint64(message[lengthAt:], uint64(len(message)-headBytes))
}

// whole returns how many messages are whole in the first n bytes of data, and their length.
func whole(data []byte, n int) (messages, length int) {
	for length+headBytes <= n {
		next := length + headBytes + int(binary.BigEndian.Uint64(data[length+lengthAt:]))
		if next > n {
			break
		}
		messages, length = messages+1, next
	}
	return messages, length
}
