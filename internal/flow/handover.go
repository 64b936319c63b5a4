package flow

import (
	"io"
	"sync"
)

// Handover keeps open what a source or sink of the old configuration leaves to the one that follows it:
// sockets, so that nothing is lost that comes while there is no source. A nil Handover keeps
// nothing. It may be used concurrently.
type Handover struct {
	mu   sync.Mutex           // guards held
	held map[string]io.Closer // by what it is: an address, and all that it was opened with
}

// Leave keeps what is open under a key; what is there already is closed. It is for a part whose context has
// ended with ErrReload.
func (h *Handover) Leave(key string, what io.Closer) {
	if h == nil {
		_ = what.Close()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[string]io.Closer{}
	}
	if other := h.held[key]; other != nil {
		_ = other.Close()
	}
	h.held[key] = what
}

// Take returns what was left under a key, nil if nothing was. It is for a part that is made.
func (h *Handover) Take(key string) io.Closer {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	what := h.held[key]
	delete(h.held, key)
	return what
}

// Close closes what nobody has taken, once all parts of the new configuration are made.
func (h *Handover) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, what := range h.held {
		_ = what.Close()
	}
	clear(h.held)
}
