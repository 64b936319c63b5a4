package statsd

import (
	"bytes"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/record"
)

// maxEvents and maxEventBytes bound the events and service checks of a second, a worker.
const (
	maxEvents     = 10_000
	maxEventBytes = 1 << 20
)

// maxFields is how many fields a record keeps.
const maxFields = 128

// events are events and service checks as records, until the next commit.
type events struct{ batch record.Batch }

// add takes the line of an event or a service check, from a container unless it says another.
func (e *events) add(line, container []byte) fate {
	b := &e.batch
	if len(b.Records) >= maxEvents || len(b.Arena)+2*len(line) > maxEventBytes {
		return noEvents
	}
	if wire.IsEvent(line) {
		v, bad := wire.ParseEvent(line)
		if bad != wire.Good {
			return fate(bad)
		}
		if len(v.Container) == 0 {
			v.Container = container
		}
		e.event(&v)
		return counted
	}
	v, bad := wire.ParseCheck(line)
	if bad != wire.Good {
		return fate(bad)
	}
	if len(v.Container) == 0 {
		v.Container = container
	}
	e.check(&v)
	return counted
}

func (e *events) event(v *wire.Event) {
	body := unescape(v.Title)
	if len(v.Text) > 0 {
		body = append(append(body, '\n'), unescape(v.Text)...)
	}
	level := record.LevelInfo
	switch string(v.Alert) {
	case "error":
		level = record.LevelError
	case "warning":
		level = record.LevelWarn
	}
	e.record(v.Time, level, body)
	e.field("kind", []byte("event"))
	e.field("alert_type", v.Alert)
	e.field("aggregation_key", v.Key)
	e.field("source_type", v.Source)
	if v.Low {
		e.field("priority", []byte("low"))
	}
	e.origin(v.Host, v.Tags, v.Origin)
}

func (e *events) check(v *wire.Check) {
	status := [...]string{"ok", "warning", "critical", "unknown"}[v.Status]
	level := [...]record.Level{record.LevelInfo, record.LevelWarn, record.LevelError, record.LevelWarn}[v.Status]
	body := append(append(bytes.Clone(v.Name), " is "...), status...)
	if len(v.Message) > 0 {
		body = append(append(body, ": "...), bytes.ReplaceAll(unescape(v.Message), []byte(`m\:`), []byte("m:"))...)
	}
	e.record(v.Time, level, body)
	e.field("kind", []byte("service_check"))
	e.field("check", v.Name)
	e.field("status", []byte(status))
	e.origin(v.Host, v.Tags, v.Origin)
}

func (e *events) record(seconds int64, level record.Level, body []byte) {
	at := time.Now().UnixNano()
	if seconds > 0 && seconds < at/int64(time.Second)*2 { // else the nanoseconds may overflow
		at = seconds * int64(time.Second)
	}
	e.batch.Records = append(e.batch.Records, record.Record{Time: at, Level: level, Body: e.batch.Append(body)})
}

// origin adds where the last record comes from, and its tags; a tag does not replace a field.
func (e *events) origin(host []byte, tags wire.Tags, o wire.Origin) {
	e.field("host", host)
	e.field("container_id", o.Container)
	for {
		k, v, ok := tags.Next()
		if !ok {
			return
		}
		if len(v) == 0 {
			v = []byte("true")
		}
		if len(k) > 0 {
			e.field(metricName(k), v)
		}
	}
}

// field adds a field of the last record, unless it has one of that name or there is no value.
func (e *events) field(name string, value []byte) {
	if len(value) == 0 {
		return
	}
	b := &e.batch
	last := len(b.Records) - 1
	if n := len(b.Fields); n >= maxFields && b.Fields[n-maxFields].Record == last {
		return
	}
	for i := len(b.Fields) - 1; i >= 0 && b.Fields[i].Record == last; i-- {
		if string(b.Bytes(b.Fields[i].Name)) == name {
			return
		}
	}
	b.Fields = append(b.Fields, record.Field{
		Record: last, Name: b.Append([]byte(name)), Value: b.Append(bytes.ToValidUTF8(unescape(value), []byte("\uFFFD"))),
	})
}

// unescape returns text with its line feeds.
func unescape(text []byte) []byte { return bytes.ReplaceAll(text, []byte(`\n`), []byte("\n")) }
