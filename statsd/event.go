package statsd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event is something that happened, for servers of the DogStatsD dialect. All texts may
// hold anything; a line end is sent as one where the protocol has it, else as underscore.
type Event struct {
	// Title says what happened, shortly. It must not be empty.
	Title string
	// Text is the whole story. It may be empty.
	Text string
	// Time is when it happened; zero: when the server hears of it.
	Time time.Time
	// Host is where; empty: where the server sees the sender.
	Host string
	// AggregationKey groups events that belong together; empty: none.
	AggregationKey string
	// LowPriority is for events that nobody has to see.
	LowPriority bool
	// Source is the type of program that tells it, as the server knows it; empty: none.
	Source string
	// Alert is "error", "warning", "info" or "success"; empty: info.
	Alert string
	// Tags are added to those of the client.
	Tags []string
}

// Status is the result of a service check.
type Status uint8

// The results.
const (
	OK       Status = iota // the service works
	Warning                // it works, but
	Critical               // it does not
	Unknown                // nobody can tell
)

// ServiceCheck is the state of a service, for servers of the DogStatsD dialect.
type ServiceCheck struct {
	// Name of the check. It must not be empty.
	Name string
	// Status is how the service is; zero: OK.
	Status Status
	// Time is when that was found; zero: when the server hears of it.
	Time time.Time
	// Host is where; empty: where the server sees the sender.
	Host string
	// Message explains the status; empty: none.
	Message string
	// Tags are added to those of the client.
	Tags []string
}

var errDialect = errors.New("statsd: only the DogStatsD dialect has events and service checks")

// Event sends an event. It is never aggregated or sampled. The error says what is wrong
// with e, which then is dropped as invalid, and not whether it will arrive.
func (c *Client) Event(e Event) error {
	if c == nil {
		return nil
	}
	var err error
	switch {
	case c.scope.dialect != DogStatsD:
		err = errDialect
	case e.Title == "":
		err = errors.New("statsd: an event needs a title")
	case e.Alert != "" && e.Alert != "error" && e.Alert != "warning" && e.Alert != "info" && e.Alert != "success":
		err = fmt.Errorf("statsd: event: alert %q: use error, warning, info or success", e.Alert)
	}
	if err != nil {
		return c.refuse(invalid, err)
	}
	title, text := appendText(nil, e.Title), appendText(nil, e.Text)
	line := fmt.Appendf(nil, "_e{%d,%d}:%s|%s", len(title), len(text), title, text)
	line = appendWhen(line, e.Time, e.Host)
	if e.AggregationKey != "" {
		line = appendSafe(append(line, "|k:"...), e.AggregationKey, inField)
	}
	if e.LowPriority {
		line = append(line, "|p:low"...)
	}
	if e.Source != "" {
		line = appendSafe(append(line, "|s:"...), e.Source, inField)
	}
	if e.Alert != "" {
		line = append(append(line, "|t:"...), e.Alert...)
	}
	return c.send(c.appendAllTags(line, e.Tags))
}

// ServiceCheck sends the state of a service. It is never aggregated or sampled. The error
// says what is wrong with s, which then is dropped as invalid, and not whether it will arrive.
func (c *Client) ServiceCheck(s ServiceCheck) error {
	if c == nil {
		return nil
	}
	var err error
	switch {
	case c.scope.dialect != DogStatsD:
		err = errDialect
	case s.Name == "":
		err = errors.New("statsd: a service check needs a name")
	case s.Status > Unknown:
		err = fmt.Errorf("statsd: service check: status %d is not known", s.Status)
	}
	if err != nil {
		return c.refuse(invalid, err)
	}
	line := append(appendSafe([]byte("_sc|"), s.Name, inField), '|', '0'+byte(s.Status))
	line = c.appendAllTags(appendWhen(line, s.Time, s.Host), s.Tags)
	if s.Message != "" {
		// The message is the last field, and "m:" in it would begin it anew.
		message := string(appendText(nil, s.Message))
		line = append(append(line, "|m:"...), strings.ReplaceAll(message, "m:", `m\:`)...)
	}
	return c.send(line)
}

func appendWhen(line []byte, at time.Time, host string) []byte {
	if !at.IsZero() {
		line = strconv.AppendInt(append(line, "|d:"...), at.Unix(), 10)
	}
	if host != "" {
		line = appendSafe(append(line, "|h:"...), host, inField)
	}
	return line
}

// appendAllTags appends the client's tags and more.
func (c *Client) appendAllTags(line []byte, tags []string) []byte {
	line = append(line, c.scope.tags...)
	return c.scope.appendTags(line, tags, c.scope.tags != "")
}

// send puts a line into the queue.
func (c *Client) send(line []byte) error {
	if len(line) > maxLine {
		return c.refuse(tooLong, fmt.Errorf("statsd: %d bytes are too long for a line; %d are allowed", len(line), maxLine))
	}
	if buf, ok := c.core.queue.begin(1); ok {
		c.core.queue.end(append(buf, line...), 1)
	}
	return nil
}

// refuse counts a metric that is dropped and returns err.
func (c *Client) refuse(why cause, err error) error {
	c.core.queue.drop(why, 1)
	return err
}
