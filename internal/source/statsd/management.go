package statsd

import (
	"bufio"
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/metric"
)

const (
	// maxConsoles is how many connections of management are open at once.
	maxConsoles = 16
	// consoleTimeout is after how long without a command one is closed.
	consoleTimeout = 10 * time.Minute
	// maxCommand is how long a command may be.
	maxCommand = 64 << 10
)

// console answers the management commands of etsy's server.
type console struct {
	source  *Source
	started time.Time

	mu    sync.Mutex // guards below
	bound net.Addr
	down  bool // what "health" says; nothing else changes
}

// run answers until ctx ends.
func (c *console) run(ctx context.Context) error {
	var lc net.ListenConfig
	accepting, err := lc.Listen(ctx, "tcp", strings.TrimPrefix(c.source.cfg.Management, "tcp://"))
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.bound = accepting.Addr()
	c.mu.Unlock()
	c.source.problem("management", nil, "")
	c.source.deps.Log.Info("listening", "management", accepting.Addr().String())
	stop := context.AfterFunc(ctx, func() { _ = accepting.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	free := make(chan struct{}, maxConsoles)
	for {
		conn, err := accepting.Accept()
		if err != nil {
			return err
		}
		select {
		case free <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		open.Go(func() {
			defer func() { <-free }()
			c.serve(ctx, conn)
		})
	}
}

func (c *console) serve(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxCommand)
	for {
		_ = conn.SetDeadline(time.Now().Add(consoleTimeout))
		if !lines.Scan() {
			return
		}
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "quit" {
			return
		}
		if _, err := conn.Write([]byte(c.answer(words[0], words[1:]))); err != nil {
			return
		}
	}
}

// end ends the answers that have several lines.
const end = "END\n\n"

func (c *console) answer(command string, names []string) string {
	switch command {
	case "help":
		return "Commands: stats, counters, timers, gauges, delcounters, deltimers, delgauges, health, config, quit\n\n"
	case "health":
		return c.health(names)
	case "stats":
		return c.stats()
	case "config":
		return "flushInterval: " + strconv.FormatInt(c.source.cfg.FlushInterval.Milliseconds(), 10) +
			"\nlisten: " + strings.Join(c.source.cfg.Listen, " ") + "\ndialect: " + string(c.source.cfg.Dialect) + "\n" + end
	case "counters":
		return c.values(wire.Counter)
	case "gauges":
		return c.values(wire.Gauge)
	case "timers":
		return c.values(wire.Timer)
	case "delcounters":
		return c.remove(wire.Counter, names)
	case "delgauges":
		return c.remove(wire.Gauge, names)
	case "deltimers":
		return c.remove(wire.Timer, names)
	}
	return "ERROR\n"
}

func (c *console) health(words []string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(words) > 0 {
		switch strings.ToLower(words[0]) {
		case "up":
			c.down = false
		case "down":
			c.down = true
		}
	}
	if c.down {
		return "health: down\n"
	}
	return "health: up\n"
}

// stats tells what the source's own numbers say.
func (c *console) stats() string {
	total := func(f *metric.Family) string {
		sum := 0.0
		f.Each(func(s *metric.Series) bool {
			if !s.IsOverflow() && s.Values()[0] == c.source.deps.Name {
				sum += s.Value()
			}
			return true
		})
		return string(metric.AppendValue(nil, sum)) + "\n"
	}
	n := c.source.counts
	return "uptime: " + strconv.Itoa(int(time.Since(c.started).Seconds())) + "\nmessages.received: " + total(n.lines) +
		"messages.bad_lines_seen: " + total(n.bad) + "messages.dropped: " + total(n.dropped) + end
}

// values lists what is committed of the names that lines have had since the start, as Node
// prints an object; a timer as its count.
func (c *console) values(typ wire.Type) string {
	found := map[string]float64{}
	for _, l := range c.source.listeners {
		for _, w := range l.workers {
			w.mu.Lock()
			for i := range w.table.n {
				if s := w.table.at(i); s.typ == typ && s.fate == counted {
					name, behind := w.table.parts(s)
					if behind != "" {
						name += "#" + behind
					}
					found[name] = s.series.Count()
				}
			}
			w.mu.Unlock()
		}
	}
	var b strings.Builder
	b.WriteString("{")
	for i, name := range slices.Sorted(maps.Keys(found)) {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(strings.ToValidUTF8(name, "\uFFFD")) + "': ")
		b.Write(metric.AppendValue(nil, found[name]))
	}
	return b.String() + "\n}\n" + end
}

// remove retires the series of names, which may end in .* for all that begin so.
func (c *console) remove(typ wire.Type, names []string) string {
	var b strings.Builder
	for _, name := range names {
		gone := map[string]bool{}
		var series []*metric.Series
		for _, l := range c.source.listeners {
			for _, w := range l.workers {
				w.mu.Lock()
				w.table.expire(func(s *slot) bool {
					head, _ := w.table.parts(s)
					if s.typ != typ || s.fate != counted || !named(head, name) {
						return false
					}
					gone[head] = true
					series = append(series, s.series)
					return true
				})
				w.mu.Unlock()
			}
		}
		c.source.names.release(series, time.Now())
		c.source.names.retire(series)
		for _, one := range slices.Sorted(maps.Keys(gone)) {
			b.WriteString("deleted: " + strings.ToValidUTF8(one, "\uFFFD") + "\n")
		}
		if len(gone) == 0 {
			b.WriteString("metric " + strings.ToValidUTF8(name, "\uFFFD") + " not found\n")
		}
	}
	return b.String() + end
}

func named(name, wanted string) bool {
	folder, all := strings.CutSuffix(wanted, "*")
	return name == wanted || all && strings.HasSuffix(folder, ".") && strings.HasPrefix(name, folder)
}
