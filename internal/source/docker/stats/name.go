package stats

import (
	"slices"
	"strings"
)

// claim makes x the holder of its name, and tells whether it is: where two containers have
// one name, as while one replaces the other, the one that runs has it, then the younger.
func (c *Collector) claim(x *container) bool {
	n := c.names[x.name]
	if n == nil {
		n = &named{}
		c.names[x.name] = n
	}
	h := n.holder
	if h == x {
		return true
	}
	if h != nil {
		younger := x.details.Created.After(h.details.Created)
		if h.running && !x.running || h.running == x.running && !younger {
			return false
		}
		c.release(h)
	}
	n.holder, n.id = x, x.id
	return true
}

// release takes from x what it has by its name alone.
func (c *Collector) release(x *container) {
	drop(x.own.ours)
	x.own.dropFacts()
	if n := c.names[x.name]; n != nil && n.holder == x {
		n.holder = nil
	}
}

// rename gives x its name. The series of the one it had go, heartbeat and all: nothing of
// that name is down.
func (c *Collector) rename(x *container, name string) {
	if x.name != "" {
		held := c.names[x.name]
		was := held != nil && held.holder == x
		c.release(x)
		x.own.dropAll()
		if was {
			held.drop()
			delete(c.names, x.name)
		}
	} else {
		c.disown(x.id, name)
	}
	x.name = name
}

// forget takes away a container that was removed. Its heartbeat stays.
func (c *Collector) forget(x *container) {
	c.release(x)
	x.own.dropAll()
	delete(c.containers, x.id)
}

// expire takes away the heartbeats of containers that have been gone for long, and the oldest
// of too many. That of a container that exists but does not run goes as well: its state says
// that it is there.
func (c *Collector) expire() {
	limit := c.now().Add(-c.o.Retention)
	var gone []string
	for name, n := range c.names {
		if n.holder != nil && n.holder.running {
			continue
		}
		if n.last.Before(limit) {
			n.drop()
			n.up, n.started = nil, nil
			if n.holder == nil {
				delete(c.names, name)
			}
			continue
		}
		if n.holder == nil && !n.restored { // their number was bounded when they were read
			gone = append(gone, name)
		}
	}
	if len(gone) <= maxGone {
		return
	}
	slices.SortFunc(gone, func(a, b string) int {
		if d := c.names[a].last.Compare(c.names[b].last); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range gone[:len(gone)-maxGone] {
		c.names[name].drop()
		delete(c.names, name)
		c.o.Ledger.Event("heartbeat given up")
	}
}

// dropAll takes all series away.
func (c *Collector) dropAll() {
	for _, x := range c.containers {
		x.own.dropAll()
	}
	for _, n := range c.names {
		n.drop()
	}
	clear(c.containers)
	clear(c.names)
}
