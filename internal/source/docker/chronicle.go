package docker

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// chronicleID is the last part of the stream's identity: no container can be called so.
	chronicleID = "@events"
	// maxTold is how many events are known again: as many as an engine remembers.
	maxTold = 256
	// retold is from how far back events are asked for again, as their times are not quite
	// in order.
	retold = time.Second
)

// chronicle writes what happens to containers as records of a stream. It has a connection of
// its own, so that a line that does not take records holds up nothing else.
type chronicle struct {
	fleet *fleet
	line  flow.Line
	in    record.Stream
	text  []byte

	// The position: the latest time of an event, and the last ones by their hashes.
	latest int64
	told   []uint64 // the oldest first
	next   int64    // the logical position
}

// chronicle keeps one until ctx ends.
func (f *fleet) chronicle(ctx context.Context) {
	c := &chronicle{fleet: f}
	defer c.close()
	pause := retry.Backoff{Min: reconnectMin, Max: reconnectMax}
	for {
		told := c.next
		err := c.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		f.deps.Log.Debug("write down events", "error", err)
		if c.next > told {
			pause.Reset()
		}
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// forgetChronicle forgets the position of a chronicle that is not kept any more.
func (f *fleet) forgetChronicle() {
	for _, in := range f.known[""] {
		if line, err := f.lines.Open(in); err == nil {
			line.Close(true)
		}
	}
}

// open opens the line and takes its position; for one that was never read, where the source
// begins.
func (c *chronicle) open() error {
	if c.line != nil {
		return nil
	}
	f := c.fleet
	labels := map[string]string{"log": "events"}
	for k, v := range f.cfg.Labels {
		labels[k] = v
	}
	c.in = record.Stream{ID: f.deps.Name + "/" + chronicleID, Source: f.deps.Name, Labels: record.NewLabels(labels)}
	line, err := f.lines.Open(flow.Input{Stream: c.in, Whole: true})
	if err != nil {
		return err
	}
	c.line = line
	if pos := line.Position(); len(pos.Source) >= 8 && len(pos.Source)%8 == 0 {
		c.latest, c.told, c.next = int64(binary.LittleEndian.Uint64(pos.Source)), nil, pos.Resume[0]
		for rest := pos.Source[8:]; len(rest) > 0; rest = rest[8:] {
			c.told = append(c.told, binary.LittleEndian.Uint64(rest))
		}
		return nil
	}
	c.latest = f.began.UnixNano()
	if back, beginning, err := parseStart(f.cfg.Start); beginning {
		c.latest = 1
	} else if err == nil {
		c.latest -= int64(back)
	}
	return nil
}

// follow writes events until the engine fails.
func (c *chronicle) follow(ctx context.Context) error {
	if err := c.open(); err != nil {
		return err
	}
	client, err := c.fleet.engine()
	if err != nil {
		return err
	}
	floor, known := c.latest, c.latest
	if len(c.told) > 0 {
		floor = max(1, floor-int64(retold))
	}
	events, err := client.Events(ctx, time.Unix(0, floor))
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		e, err := events.Next()
		if err != nil {
			return err
		}
		if !c.wants(&e) || e.Time < floor {
			continue
		}
		hash := hashEvent(&e)
		if e.Time <= known && slices.Contains(c.told, hash) {
			continue
		}
		if err := c.write(ctx, &e, hash); err != nil {
			return err
		}
	}
}

// wants tells whether an event is worth a record: what is done within a container is not.
func (c *chronicle) wants(e *dockerapi.Event) bool {
	action, _, _ := strings.Cut(e.Action, ":")
	switch action {
	case "create", "start", "restart", "stop", "kill", "die", "oom", "pause", "unpause", "rename", "update", "destroy", "health_status":
		return c.fleet.cfg.wanted(eventDetails(e))
	}
	return false
}

// eventDetails is what an event tells of its container: labels are among its attributes.
func eventDetails(e *dockerapi.Event) *dockerapi.Details {
	return &dockerapi.Details{ID: e.ID, Name: e.Name, Image: e.Attributes["image"], Labels: e.Attributes}
}

// hashEvent is equal for an event that is told again, as good as never else.
func hashEvent(e *dockerapi.Event) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s", e.Time, e.ID, e.Action)
	return h.Sum64()
}

func (c *chronicle) write(ctx context.Context, e *dockerapi.Event, hash uint64) error {
	f := c.fleet
	b, err := f.deps.Batches.Get(ctx, &c.in)
	if err != nil {
		return err
	}
	defer f.deps.Batches.Put(b)
	told := append(slices.Clone(c.told), hash)
	if len(told) > maxTold {
		told = told[len(told)-maxTold:]
	}
	latest := max(c.latest, e.Time)
	c.text = appendEvent(c.text[:0], e)
	b.Records = append(b.Records, record.Record{Time: e.Time, Start: c.next, End: c.next + 1, Body: b.Append(c.text), Level: eventLevel(e)})
	pos := binary.LittleEndian.AppendUint64(b.Position.Source[:0], uint64(latest))
	for _, h := range told {
		pos = binary.LittleEndian.AppendUint64(pos, h)
	}
	b.Position = record.Position{Source: pos, Resume: [2]int64{c.next + 1, c.next + 1}}
	if err := c.line.Write(ctx, b); err != nil {
		c.close()
		return err
	}
	c.latest, c.told, c.next = latest, told, c.next+1
	return nil
}

func (c *chronicle) close() {
	if c.line != nil {
		c.line.Close(false)
		c.line = nil
	}
}

// appendEvent appends an event as logfmt.
func appendEvent(dst []byte, e *dockerapi.Event) []byte {
	action, health, _ := strings.Cut(e.Action, ":")
	for _, field := range [...]struct{ name, value string }{
		{"event", action}, {"container", displayName(eventDetails(e))}, {"health", strings.TrimSpace(health)},
		{"exit_code", e.Attributes["exitCode"]}, {"signal", e.Attributes["signal"]},
		{"old_name", strings.TrimPrefix(e.Attributes["oldName"], "/")}, {"image", e.Attributes["image"]}, {"id", dockerapi.Short(e.ID)},
	} {
		if field.value == "" {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(append(dst, field.name...), '=')
		if strings.ContainsFunc(field.value, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f || r == '\\' }) {
			dst = strconv.AppendQuote(dst, field.value)
		} else {
			dst = append(dst, field.value...)
		}
	}
	return dst
}

// eventLevel is an error for what ended badly.
func eventLevel(e *dockerapi.Event) record.Level {
	code := e.Attributes["exitCode"]
	switch {
	case e.Action == "oom", e.Action == "die" && code != "" && code != "0":
		return record.LevelError
	case strings.HasSuffix(e.Action, ": unhealthy"):
		return record.LevelWarn
	}
	return record.LevelInfo
}
