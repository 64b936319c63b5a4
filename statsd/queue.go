package statsd

import (
	"encoding/binary"
	"slices"
	"sync"
)

// headBytes is what stands before each line in the queue: its length and its weight.
const headBytes = 4

// queue holds lines that wait to be sent, in the order in which they came. It is bounded in
// lines and in bytes, and whoever adds a line never waits for more than another who does, or
// for the sender to copy a packet out.
//
// Lines are written into it in place: begin returns the buffer to append to, and end or
// give up follows, all under mu.
type queue struct {
	// wake has room for one: it is filled when the queue stops being empty, and when
	// there is a packet's worth in it.
	wake chan struct{}

	maxLines, maxBytes, enough int
	dropOldest                 bool

	mu       sync.Mutex
	chunks   [][]byte // lines with their heads; never none
	first    int      // where the oldest line is in the first chunk
	spare    []byte   // an empty chunk, or nil
	lines    int
	bytes    int // of the lines
	shutDown bool
	drops    [causes]uint64
}

const (
	// chunkBytes is from when on a chunk takes no further line.
	chunkBytes = 64 << 10
	// chunkRoom is what a chunk has for its last line without growing.
	chunkRoom = 1 << 10
)

// cause says why a metric was dropped.
type cause uint8

const (
	queueFull cause = iota
	oldest
	tooLong
	invalid
	closed
	causes
)

func newQueue(o settings) *queue {
	return &queue{
		wake:     make(chan struct{}, 1),
		maxLines: o.QueueLines, maxBytes: o.QueueBytes, dropOldest: o.DropOldest,
		enough: min(o.PacketSize, o.QueueBytes/2),
		chunks: make([][]byte, 1),
	}
}

// begin locks the queue and makes room for a line that stands for weight metrics. It returns
// the buffer to append the line to, or false, unlocked, if the line has been dropped.
func (q *queue) begin(weight uint16) ([]byte, bool) {
	q.mu.Lock()
	if q.shutDown {
		q.drops[closed] += uint64(weight)
		q.mu.Unlock()
		return nil, false
	}
	for q.lines >= q.maxLines || q.bytes >= q.maxBytes {
		if !q.dropOldest || q.lines == 0 {
			q.drops[queueFull] += uint64(weight)
			q.mu.Unlock()
			return nil, false
		}
		line, lost := q.front()
		q.drops[oldest] += uint64(lost)
		q.pop(len(line))
	}
	tail := q.chunks[len(q.chunks)-1]
	if len(tail) >= chunkBytes || tail == nil {
		tail = q.grow()
	}
	return append(tail, 0, 0, 0, 0), true
}

// grow adds a chunk, or makes the first.
func (q *queue) grow() (tail []byte) {
	if tail, q.spare = q.spare, nil; tail == nil {
		tail = make([]byte, 0, chunkBytes+chunkRoom)
	}
	if q.chunks[0] == nil {
		q.chunks[0] = tail
	} else {
		q.chunks = append(q.chunks, tail)
	}
	return tail
}

// end takes the line that has been appended to what begin returned, and unlocks the queue.
func (q *queue) end(buf []byte, weight uint16) {
	tail := &q.chunks[len(q.chunks)-1]
	head := buf[len(*tail):]
	line := head[headBytes:]
	if len(line) > maxLine {
		q.drops[tooLong] += uint64(weight)
		q.mu.Unlock()
		return
	}
	binary.LittleEndian.PutUint16(head, uint16(len(line)))
	binary.LittleEndian.PutUint16(head[2:], weight)
	was := q.lines == 0 || q.full()
	*tail = buf
	q.lines++
	q.bytes += len(line)
	tell := q.lines == 1 || !was && q.full()
	q.mu.Unlock()
	if tell {
		select {
		case q.wake <- struct{}{}:
		default: // it has been told
		}
	}
}

// full says whether there is a packet's worth, or half of what the queue takes.
func (q *queue) full() bool {
	return q.bytes >= q.enough || q.lines >= q.maxLines/2
}

// drop counts metrics that never became lines.
func (q *queue) drop(why cause, weight uint64) {
	q.mu.Lock()
	q.drops[why] += weight
	q.mu.Unlock()
}

// front returns the oldest line. The queue is locked and not empty.
func (q *queue) front() (line []byte, weight uint16) {
	head := q.chunks[0][q.first:]
	n := int(binary.LittleEndian.Uint16(head))
	return head[headBytes : headBytes+n], binary.LittleEndian.Uint16(head[2:])
}

// pop removes the oldest line, of n bytes.
func (q *queue) pop(n int) {
	q.first += headBytes + n
	q.lines--
	q.bytes -= n
	if q.first < len(q.chunks[0]) {
		return
	}
	q.first = 0
	if len(q.chunks) == 1 {
		q.chunks[0] = q.chunks[0][:0]
		return
	}
	q.spare = q.chunks[0][:0]
	q.chunks = slices.Delete(q.chunks, 0, 1)
}

// take moves lines to b until it is full or the queue is empty. It returns how many are left.
func (q *queue) take(b *batch) (left int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.lines > 0 {
		line, weight := q.front()
		if !b.add(line, weight) {
			break
		}
		q.pop(len(line))
	}
	return q.lines
}

// isFull is full for who does not hold mu.
func (q *queue) isFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full()
}

// waiting returns the lines and bytes in the queue.
func (q *queue) waiting() (lines, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines, q.bytes
}

// len returns the number of lines in the queue.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines
}

// shut lets no more lines in.
func (q *queue) shut() {
	q.mu.Lock()
	q.shutDown = true
	q.mu.Unlock()
}

// empty removes all that is left, and returns its weight.
func (q *queue) empty() (weight uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.lines > 0 {
		line, w := q.front()
		weight += uint64(w)
		q.pop(len(line))
	}
	return weight
}

// batch is what is sent in one write: a packet, or some lines of a stream.
type batch struct {
	room   int  // how many bytes may be in it; a line that is longer is alone
	stream bool // every line is followed by a newline; in a packet they have one between
	buf    []byte
	ends   []int // where each line ends, its newline included
	weigh  []uint16
}

// add appends a line, unless there is no room for it.
func (b *batch) add(line []byte, weight uint16) bool {
	if len(b.buf) > 0 && len(b.buf)+1+len(line) > b.room {
		return false
	}
	if !b.stream && len(b.buf) > 0 {
		b.buf = append(b.buf, '\n')
		b.ends[len(b.ends)-1]++
	}
	b.buf = append(b.buf, line...)
	if b.stream {
		b.buf = append(b.buf, '\n')
	}
	b.ends, b.weigh = append(b.ends, len(b.buf)), append(b.weigh, weight)
	return true
}

// cut takes away the lines that are wholly within the first n bytes, and returns their weight.
func (b *batch) cut(n int) (weight uint64) {
	whole, end := 0, 0
	for whole < len(b.ends) && b.ends[whole] <= n {
		weight += uint64(b.weigh[whole])
		end = b.ends[whole]
		whole++
	}
	if whole == len(b.ends) {
		b.buf, b.ends, b.weigh = b.buf[:0], b.ends[:0], b.weigh[:0]
		return weight
	}
	b.buf = b.buf[:copy(b.buf, b.buf[end:])]
	b.ends = b.ends[:copy(b.ends, b.ends[whole:])]
	b.weigh = b.weigh[:copy(b.weigh, b.weigh[whole:])]
	for i := range b.ends {
		b.ends[i] -= end
	}
	return weight
}

func (b *batch) weight() (w uint64) {
	for _, one := range b.weigh {
		w += uint64(one)
	}
	return w
}
