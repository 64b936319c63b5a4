package dockerapi

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// LogOptions say which part of a container's log is wanted.
type LogOptions struct {
	// Since leaves out messages whose time, in Unix nanoseconds, is before it; zero means
	// from the beginning.
	Since int64
	// Tail, if positive, leaves out all but the last so many messages.
	Tail int
	// Follow goes on with what is written from now on, until the container ends.
	Follow bool
	// TTY tells that the container has a terminal: its log is then not in frames. An
	// engine that says itself which it is (API 1.42) is believed instead.
	TTY bool
}

// Logs opens the log of a container, with the time of each message. It ends with ctx.
func (c *Client) Logs(ctx context.Context, id string, o LogOptions) (*Logs, error) {
	query := url.Values{"stdout": {"1"}, "stderr": {"1"}, "timestamps": {"1"}}
	if o.Since > 0 {
		query.Set("since", stamp(o.Since))
	}
	if o.Tail > 0 {
		query.Set("tail", strconv.Itoa(o.Tail))
	}
	if o.Follow {
		query.Set("follow", "1")
	}
	resp, err := c.get(ctx, "/containers/"+url.PathEscape(id)+"/logs", query)
	if err != nil {
		return nil, fmt.Errorf("read the log of container %s: %w", Short(id), err)
	}
	tty := o.TTY
	switch kind := resp.Header.Get("Content-Type"); {
	case strings.HasSuffix(kind, ".multiplexed-stream"):
		tty = false
	case strings.HasSuffix(kind, ".raw-stream") && c.atLeast(1, 42): // before, all was called raw
		tty = true
	}
	return newLogs(resp.Body, tty, id), nil
}

// stamp is a time as the engine takes it: seconds and nanoseconds.
func stamp(ns int64) string {
	const second = 1e9
	frac := strconv.FormatInt(ns%second+second, 10)[1:]
	return strconv.FormatInt(ns/second, 10) + "." + frac
}

// Message is one entry of a log: a line, or a piece of a long one.
type Message struct {
	// Time is the engine's, in Unix nanoseconds; zero when it could not be read.
	Time int64
	// Text has no line end. It is valid until the next call of Next.
	Text []byte
	// Stderr tells the sub-stream, where there are two.
	Stderr bool
	// Partial tells that there was no line end: the rest follows in a later message.
	Partial bool
	// Return tells that there was a \r before the line end. It is not part of Text.
	Return bool
	// Cut tells that the message was longer than maxMessageBytes and lost its end.
	Cut bool
}

// Logs is an open log.
type Logs struct {
	body io.Closer
	id   string
	dec  decoder
}

func newLogs(body io.ReadCloser, tty bool, id string) *Logs {
	return &Logs{body: body, id: id, dec: newDecoder(body, tty)}
}

// Next waits for the next message. At the end it returns io.EOF.
func (l *Logs) Next() (Message, error) {
	m, err := l.dec.next()
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read the log of container %s: %w", Short(l.id), err)
	}
	return m, err
}

// Ready tells whether Next will return without waiting.
func (l *Logs) Ready() bool { return l.dec.ready() }

// Close ends the stream. It may be called from another goroutine, and ends a Next.
func (l *Logs) Close() error { return l.body.Close() }
