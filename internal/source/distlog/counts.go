package distlog

import (
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// counts are the numbers about messages. They are in the commits of the records.
type counts struct {
	source                 string
	messages, records, bad *metric.Family
	senders                *metric.Family // not in any commit
}

func newCounts(d flow.Deps) (c *counts, err error) {
	family := func(desc metric.Desc) *metric.Family {
		desc.Labels = append([]string{"source"}, desc.Labels...)
		desc.Owner = "distlog"
		f, failed := d.Metrics.Family(desc)
		if err == nil {
			err = failed
		}
		return f
	}
	c = &counts{
		source:   d.Name,
		messages: family(metric.Desc{Name: "weir_distlog_messages_total", Help: "Messages that became records, by encoding.", Labels: []string{"encoding"}, Durable: true}),
		records:  family(metric.Desc{Name: "weir_distlog_records_total", Help: "Records, by the system and the kind of their topic and by level.", Labels: []string{"system", "kind", "level"}, Durable: true}),
		bad:      family(metric.Desc{Name: "weir_distlog_bad_messages_total", Help: "Messages that make no sense.", Labels: []string{"reason"}, Durable: true}),
		senders:  family(metric.Desc{Name: "weir_distlog_sender_messages_total", Help: "Messages received, bad ones too, by the sender's address.", Labels: []string{"sender"}, Idle: time.Hour}),
	}
	return c, err
}

// tally is what the records of a batch add to the numbers of their stream.
type tally struct {
	json, pickle int
	levels       [record.LevelFatal + 1]int
}

// series are the durable numbers of a stream's series.
type series struct {
	json, pickle uint32
	levels       [record.LevelFatal + 1]uint32
}

// of returns the series of a system and a kind, without those of levels, which come when
// there is a record of one.
func (c *counts) of() series {
	return series{json: c.messages.Series(c.source, "json").ID(), pickle: c.messages.Series(c.source, "pickle").ID()}
}

// append appends what t has.
func (c *counts) append(dst []record.Delta, st *stream, t *tally) []record.Delta {
	add := func(id uint32, n int) {
		if n > 0 {
			dst = append(dst, record.Delta{Series: id, Add: float64(n)})
		}
	}
	add(st.series.json, t.json)
	add(st.series.pickle, t.pickle)
	for level, n := range t.levels {
		if n == 0 {
			continue
		}
		id := &st.series.levels[level]
		if *id == 0 {
			*id = c.records.Series(c.source, st.key.system, st.key.kind, record.Level(level).String()).ID()
		}
		add(*id, n)
	}
	return dst
}
