package statsd

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/weirlog/weir/internal/flow"
)

// kept is what a listener leaves open for a reload: all that has its address, and was opened in the
// same way. What comes in until it is taken waits in the kernel.
type kept struct {
	sockets   []*socket    // of datagrams
	accepting net.Listener // of streams
	streams   []*stream
}

// Close closes all of it: there is no such listener any more.
func (k *kept) Close() (err error) {
	for _, s := range k.sockets {
		err = errors.Join(err, s.conn.Close())
	}
	for _, s := range k.streams {
		err = errors.Join(err, s.conn.Close())
	}
	if k.accepting != nil {
		err = errors.Join(err, k.accepting.Close())
	}
	return err
}

// key tells what is opened, and how.
func (l *listener) key() string {
	if l.network == "udp" || l.network == "unixgram" {
		return fmt.Sprintf("statsd %s %d %v", l.name, l.source.cfg.ReceiveBuffer, l.asksProcesses())
	}
	return "statsd " + l.name
}

// reloads tells whether ctx has ended for a reload.
func reloads(ctx context.Context) bool { return errors.Is(context.Cause(ctx), flow.ErrReload) }

// interrupt calls f when ctx ends. Once the returned function has returned f is not called any more,
// and does not run.
func interrupt(ctx context.Context, f func()) (settle func()) {
	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		f()
		close(called)
	})
	return func() {
		if !stop() {
			<-called
		}
	}
}
