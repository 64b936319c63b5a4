package stats

import (
	"encoding/binary"
	"slices"
	"time"
)

// State keeps small values over restarts: what was stored is durable after the next commit.
type State interface {
	// Load returns what was stored under key, nil if nothing was.
	Load(key string) []byte
	// Store replaces it; an empty value removes it.
	Store(key string, value []byte)
}

// Heartbeats outlive weir, so that an alert fires for a container that was removed while weir
// was away, or just before. They are stored under two keys: heartbeats has every name, and the
// time of the last measurement of those whose container does not run; it changes as
// containers come and go. Round is the time of the last measurement of all that run; it is
// stored again and again.
const (
	keyHeartbeats = "heartbeats"
	keyRound      = "round"
)

// roundEvery is how often the round's time is stored at most: each time is a commit.
const roundEvery = 20 * time.Second

// heartbeat is what is stored of a name.
type heartbeat struct {
	name string
	// id is that of the container that had the name last.
	id      string
	started int64 // Unix seconds; 0: not known
	last    int64 // Unix seconds; 0: its container ran in the last round
}

// heartbeatFormat is the first byte of what is stored.
const heartbeatFormat = 1

// appendHeartbeats appends what is stored of all to dst.
func appendHeartbeats(dst []byte, all []heartbeat) []byte {
	dst = append(dst, heartbeatFormat)
	for i := range all {
		h := &all[i]
		for _, text := range []string{h.name, h.id} {
			dst = binary.AppendUvarint(dst, uint64(len(text)))
			dst = append(dst, text...)
		}
		dst = binary.AppendVarint(dst, h.started)
		dst = binary.AppendVarint(dst, h.last)
	}
	return dst
}

// parseHeartbeats reads what appendHeartbeats wrote. What is of another format, or damaged, is
// left out from there on: a heartbeat is no reason not to start.
func parseHeartbeats(text []byte) (all []heartbeat) {
	if len(text) == 0 || text[0] != heartbeatFormat {
		return nil
	}
	text = text[1:]
	word := func() (string, bool) {
		n, used := binary.Uvarint(text)
		if used <= 0 || n > uint64(len(text)-used) {
			return "", false
		}
		s := string(text[used : used+int(n)])
		text = text[used+int(n):]
		return s, true
	}
	number := func() (int64, bool) {
		n, used := binary.Varint(text)
		text = text[max(0, used):]
		return n, used > 0
	}
	for len(text) > 0 && len(all) < maxContainers+maxGone {
		var h heartbeat
		var ok [4]bool
		h.name, ok[0] = word()
		h.id, ok[1] = word()
		h.started, ok[2] = number()
		h.last, ok[3] = number()
		if slices.Contains(ok[:], false) {
			break
		}
		all = append(all, h)
	}
	return all
}

// restore brings back the heartbeats of the run before, as those of containers that are gone:
// whoever is there takes its own over.
func (c *Collector) restore() {
	if c.o.State == nil {
		return
	}
	round, used := binary.Varint(c.o.State.Load(keyRound))
	now := c.now()
	for _, h := range parseHeartbeats(c.o.State.Load(keyHeartbeats)) {
		if h.last == 0 && used > 0 {
			h.last = round
		}
		last := time.Unix(h.last, 0)
		if last.After(now) { // the clock was set back
			last = now
		}
		if h.name == "" || c.names[h.name] != nil || now.Sub(last) >= c.o.Retention {
			continue
		}
		n := &named{id: h.id, restored: true}
		c.names[h.name] = n
		n.beat(c.series.up, h.name, last)
		if h.started != 0 {
			n.start(c.series.started, h.name, time.Unix(h.started, 0))
		}
	}
}

// keep stores the heartbeats, if they are others than before, and at times, or where it is the
// last chance, when the round was.
func (c *Collector) keep(last bool) {
	if c.o.State == nil {
		return
	}
	c.beats = c.beats[:0]
	for name, n := range c.names {
		if n.up == nil {
			continue
		}
		h := heartbeat{name: name, id: n.id, started: n.began}
		if n.holder == nil || !n.holder.running || c.round.IsZero() || n.last.Before(c.round) {
			h.last = n.last.Unix()
		}
		c.beats = append(c.beats, h)
	}
	slices.SortFunc(c.beats, func(a, b heartbeat) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	c.text = appendHeartbeats(c.text[:0], c.beats)
	if string(c.text) != string(c.stored) {
		c.stored = append(c.stored[:0], c.text...)
		c.o.State.Store(keyHeartbeats, c.stored)
	}
	if !c.round.IsZero() && (last && c.round.After(c.roundStored) || c.round.Sub(c.roundStored) >= roundEvery) {
		c.roundStored = c.round
		c.o.State.Store(keyRound, binary.AppendVarint(nil, c.round.Unix()))
	}
}

// Forget takes away what was stored, where nothing is measured any more.
func Forget(s State) {
	for _, key := range []string{keyHeartbeats, keyRound} {
		if s != nil && len(s.Load(key)) > 0 {
			s.Store(key, nil)
		}
	}
}

// disown ends the restored heartbeat of a container that turns out to have another name now,
// or not to be wanted: nothing of the old name is down.
func (c *Collector) disown(id, name string) {
	for old, n := range c.names {
		if n.restored && n.holder == nil && n.id == id && old != name {
			n.drop()
			delete(c.names, old)
		}
	}
}
