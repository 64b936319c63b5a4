package dockerapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"time"
)

// maxEventBytes bounds one event; its labels are the large part.
const maxEventBytes = 1 << 20

// Event is something that happened to a container.
type Event struct {
	// Action is "create", "start", "die", "destroy", "rename", and others.
	Action string
	ID     string // the container's
	Name   string // its name then
	Time   int64  // Unix nanoseconds by the engine's clock
	// Attributes are what else the engine tells: "image", "exitCode", "signal", the
	// container's labels and others.
	Attributes map[string]string
}

// Events is the stream of what happens to containers.
type Events struct {
	body io.ReadCloser
	in   *bufio.Reader
	line []byte
}

// Events opens the stream. Past events since then are told first, as far as the engine
// remembers them; the zero time means from now on. The stream ends with ctx.
func (c *Client) Events(ctx context.Context, since time.Time) (*Events, error) {
	query := url.Values{"filters": {`{"type":["container"]}`}}
	if !since.IsZero() {
		query.Set("since", stamp(since.UnixNano()))
	}
	resp, err := c.get(ctx, "/events", query)
	if err != nil {
		return nil, fmt.Errorf("follow events: %w", err)
	}
	return &Events{body: resp.Body, in: bufio.NewReaderSize(resp.Body, 4096)}, nil
}

// Next waits for the next event. Other events than those of containers, and what cannot be
// decoded, are left out.
func (e *Events) Next() (Event, error) {
	for {
		if err := e.readLine(); err != nil {
			return Event{}, fmt.Errorf("follow events: %w", err)
		}
		if v, ok := decodeEvent(e.line); ok {
			return v, nil
		}
	}
}

// Close ends the stream.
func (e *Events) Close() error { return e.body.Close() }

// readLine reads one event; of one that is too long nothing remains.
func (e *Events) readLine() error {
	e.line = e.line[:0]
	long := false
	for {
		piece, err := e.in.ReadSlice('\n')
		if long = long || len(e.line)+len(piece) > maxEventBytes; long {
			e.line = e.line[:0]
		} else {
			e.line = append(e.line, piece...)
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

func decodeEvent(line []byte) (Event, bool) {
	var raw struct {
		Type, Action string
		Actor        struct {
			ID         string
			Attributes map[string]string
		}
		Time     int64 `json:"time"`
		TimeNano int64 `json:"timeNano"`
	}
	if json.Unmarshal(line, &raw) != nil || raw.Type != "container" || raw.Actor.ID == "" {
		return Event{}, false
	}
	if raw.TimeNano == 0 {
		raw.TimeNano = raw.Time * int64(time.Second)
	}
	return Event{Action: raw.Action, ID: raw.Actor.ID, Name: raw.Actor.Attributes["name"], Time: raw.TimeNano, Attributes: raw.Actor.Attributes}, true
}
