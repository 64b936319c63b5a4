package statsd

import (
	"bytes"
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// relayPacket is how many bytes of lines go out together: what passes an Ethernet unbroken.
	relayPacket = 1432
	// relayQueue is how many of these wait while their receiver is slow or away.
	relayQueue = 1024
	// relayTimeout bounds an attempt to connect, or to write.
	relayTimeout = 5 * time.Second
	// relayLast bounds what is sent when weir stops.
	relayLast = 2 * time.Second
)

// Why a line was not passed on.
const (
	relayFull    = "queue full"
	relayRefused = "refused"
	relayBroken  = "connection broken"
	relayStopped = "weir stops"
)

// bundle is some lines, each with its line feed.
type bundle struct {
	text  []byte
	lines int
}

// relay passes lines on to another server as they came: each at most once, and each that is not
// passed on is counted.
type relay struct {
	address
	queue         chan bundle // closed when no more lines come
	sent, dropped *metric.Family
	source        string
	dial          func(ctx context.Context, network, address string) (net.Conn, error)

	// Of the one goroutine that sends.
	conn    net.Conn
	backoff retry.Backoff
}

func newRelay(s *Source, a address) *relay {
	return &relay{
		address: a, queue: make(chan bundle, relayQueue), sent: s.counts.relayed, dropped: s.counts.relayDropped, source: s.deps.Name,
		dial: new(net.Dialer).DialContext, backoff: retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second},
	}
}

// give queues lines that have come in. It does not wait, and keeps text.
func (r *relay) give(b bundle) {
	select {
	case r.queue <- b:
	default:
		r.drop(relayFull, b.lines)
	}
}

func (r *relay) drop(why string, lines int) {
	if lines > 0 {
		r.dropped.Series(r.source, r.name, why).Add(float64(lines))
	}
}

// run sends what is queued until the queue is closed, and then what is left of it for a short time.
// Problem is told what is in the way, nil when that is over.
func (r *relay) run(stopped context.Context, problem func(error)) {
	defer func() {
		if r.conn != nil {
			_ = r.conn.Close()
		}
	}()
	for b := range r.queue {
		for r.conn == nil && stopped.Err() == nil {
			err := r.connect(stopped)
			problem(err)
			if err != nil {
				_ = r.backoff.Wait(stopped)
			}
		}
		if r.conn == nil {
			r.drop(relayStopped, b.lines)
			continue
		}
		if err := r.send(b); err != nil {
			problem(err)
		}
	}
}

func (r *relay) connect(stopped context.Context) (err error) {
	ctx, cancel := context.WithTimeout(stopped, relayTimeout)
	defer cancel()
	if r.conn, err = r.dial(ctx, r.network, r.host); err == nil {
		r.backoff.Reset()
		return nil
	}
	r.conn = nil
	return err
}

// send sends lines. Of a stream that breaks those count as sent that the system has taken whole.
func (r *relay) send(b bundle) error {
	text := b.text
	datagrams := r.network == "udp" || r.network == "unixgram"
	if datagrams {
		text = text[:len(text)-1]
	}
	if err := r.conn.SetWriteDeadline(time.Now().Add(relayTimeout)); err != nil {
		return err
	}
	n, err := r.conn.Write(text)
	if errors.Is(err, syscall.ECONNREFUSED) && datagrams {
		n, err = r.conn.Write(text) // the error was about an earlier one, and this one did not go
	}
	sent := b.lines
	switch {
	case err == nil:
	case datagrams:
		sent = 0
		r.drop(relayRefused, b.lines)
	default:
		sent = bytes.Count(text[:n], []byte{'\n'})
		r.drop(relayBroken, b.lines-sent)
	}
	if sent > 0 {
		r.sent.Series(r.source, r.name).Add(float64(sent))
	}
	if err != nil && (r.network != "udp" || !errors.Is(err, syscall.ECONNREFUSED)) {
		_ = r.conn.Close()
		r.conn = nil
	}
	return err
}

// pass notes a line for the relays.
func (w *worker) pass(line []byte) {
	if len(w.source.relays) == 0 {
		return
	}
	if len(w.passing.text)+len(line) >= relayPacket {
		w.passOn()
	}
	if w.passing.text == nil {
		w.passing.text = make([]byte, 0, relayPacket)
	}
	w.passing.text = append(append(w.passing.text, line...), '\n')
	w.passing.lines++
}

// passOn gives the relays what was noted since it was last called.
func (w *worker) passOn() {
	if w.passing.lines == 0 {
		return
	}
	for _, r := range w.source.relays {
		r.give(w.passing)
	}
	w.passing = bundle{}
}
