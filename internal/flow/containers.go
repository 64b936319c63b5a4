package flow

import (
	"net/netip"
	"sync"
)

// Containers are the addresses of containers, as those sources know them that attend to containers, for
// sources whose senders may be in one. A nil Containers knows none. It may be used concurrently.
type Containers struct {
	mu sync.RWMutex // guards below
	at map[netip.Addr]string
	of map[string][]netip.Addr
}

// Set says at which addresses a container is now; none when it does not run, or is gone.
func (c *Containers) Set(id string, at []netip.Addr) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at, c.of = map[netip.Addr]string{}, map[string][]netip.Addr{}
	}
	for _, a := range c.of[id] {
		if c.at[a] == id { // else another has got it
			delete(c.at, a)
		}
	}
	if delete(c.of, id); len(at) == 0 {
		return
	}
	c.of[id] = at
	for _, a := range at {
		c.at[a] = id
	}
}

// At returns the id of the container at an address, empty if none is known there.
func (c *Containers) At(a netip.Addr) (id string) {
	if c == nil {
		return ""
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at[a]
}
