package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/measure"
)

const (
	// serverLines is how many lines each StatsD server gets in one run.
	serverLines = 1_000_000
	// serverSeries is how many series these are of.
	serverSeries = 10_000
	// serverPacket is how long datagrams are at most.
	serverPacket = 1432
	// serverMany is with how many series memory and a scrape are measured.
	serverMany = 200_000
	// serverBuffer is how much of a socket's receive buffer may be full before the sender waits.
	// Etsy's server and statsd_exporter have the system's default, 212,992 bytes.
	serverBuffer = 100_000
)

// statsdServer is a StatsD server that is measured.
type statsdServer struct {
	name, skip string
	udp, tcp   bool // it has such a listener worth measuring
	many       bool // memory and scrapes are measured
	// command starts it with its addresses.
	command func(ctx context.Context, dir string, at serverAddresses) (*exec.Cmd, error)
	// lines asks it how many lines it has taken.
	lines func(ctx context.Context, at serverAddresses) (int, error)
	// scrape has it show all that it has, once; nil: it sends that by itself, every flush.
	scrape func(ctx context.Context, at serverAddresses) error
	flush  time.Duration
}

// serverAddresses are where a server takes lines, over UDP and TCP, and where it answers.
type serverAddresses struct{ statsd, web, graphite string }

// statsdServers measures what the lines of StatsD's clients cost servers that add them up.
func (b *bench) statsdServers(ctx context.Context) error {
	all := b.servers(ctx)
	lines := serverLines
	many := serverMany
	if b.quick {
		lines, many = lines/10, many/10
	}
	for _, network := range []string{"udp", "tcp"} {
		ours := time.Duration(0)
		for _, s := range all {
			if !b.wants(s.name) || network == "udp" && !s.udp || network == "tcp" && !s.tcp {
				continue
			}
			r := row{name: s.name, work: fmt.Sprintf("take %s StatsD lines of %s series over %s, as fast as nothing is lost", number(lines), number(serverSeries), map[string]string{"udp": "UDP, in datagrams of 1,432 bytes", "tcp": "TCP"}[network])}
			ours = b.serverRounds(ctx, &r, s, serverLoad{network, lines, ours})
			b.table.add(r)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	for _, s := range all {
		if b.wants(s.name) && s.many {
			r := row{name: s.name, work: fmt.Sprintf("hold %s series of 20 names, and show them", number(many))}
			if err := b.serverMany(ctx, &r, s, many); err != nil {
				b.fail(&r, err)
			}
			b.table.add(r)
		}
	}
	return ctx.Err()
}

// serverLoad is what a server gets. Ours is the processor time of the first server for it, 0 if
// this is the first.
type serverLoad struct {
	network string
	lines   int
	ours    time.Duration
}

// serverRounds fills r with the runs of one server, and returns what others are compared with.
func (b *bench) serverRounds(ctx context.Context, r *row, s statsdServer, load serverLoad) (ours time.Duration) {
	if s.skip != "" {
		r.counts = "SKIP: " + s.skip
		return load.ours
	}
	var cpu, wall []time.Duration
	var peak []int64
	lost := 0
	for round := range min(b.rounds, 3) {
		b.say("round %d: %s over %s", round+1, s.name, load.network)
		cost, taken, err := b.serverRun(ctx, s, load)
		if err != nil {
			b.fail(r, err)
			return load.ours
		}
		cpu, wall, peak = append(cpu, cost.CPU), append(wall, cost.Wall), append(peak, cost.Peak)
		lost = max(lost, load.lines-taken)
	}
	ours = load.ours
	if ours == 0 {
		ours = median(cpu)
	}
	r.cpu, r.ratio, r.wall, r.peak, r.runs = seconds(median(cpu)), times(median(cpu), ours), seconds(median(wall)), mebibytes(median(peak)), strconv.Itoa(len(cpu))
	r.counts = number(int(float64(load.lines)/median(cpu).Seconds())) + " lines a CPU second, all counted"
	if lost > 0 {
		r.counts = fmt.Sprintf("%s lines a CPU second, %s lost", number(int(float64(load.lines)/median(cpu).Seconds())), number(lost))
		b.table.wrong = true
	}
	return ours
}

// serverStarted runs a server while use lasts.
func (b *bench) serverStarted(ctx context.Context, s statsdServer, use func(at serverAddresses, pid int) error) error {
	dir, err := os.MkdirTemp(b.scratch, "server-")
	if err != nil {
		return err
	}
	var at serverAddresses
	if at.statsd, err = freeAddress(); err == nil {
		at.web, err = freeAddress()
	}
	if err != nil {
		return err
	}
	graphite, err := net.Listen("tcp", "127.0.0.1:0") // for servers that send
	if err != nil {
		return err
	}
	defer graphite.Close()
	go swallow(graphite)
	at.graphite = graphite.Addr().String()
	cmd, err := s.command(ctx, dir, at)
	if err != nil {
		return err
	}
	said, err := os.Create(filepath.Join(dir, "messages"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Cancel()
	for end := time.Now().Add(settle); ; {
		if _, err = s.lines(ctx, at); err == nil && listensUDP(at.statsd) {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not answer: %v: %s", s.name, err, messages(said.Name()))
		}
		pauseFor(ctx, 50*time.Millisecond)
	}
	return use(at, cmd.Process.Pid)
}

// serverRun sends a load to a server, and returns what that cost it and how many lines it took.
func (b *bench) serverRun(ctx context.Context, s statsdServer, load serverLoad) (cost measure.Cost, taken int, err error) {
	err = b.serverStarted(ctx, s, func(at serverAddresses, pid int) error {
		packets := serverPackets(load.lines)
		warm := packets[:len(packets)/10] // so that the series are there
		if err := sendAll(ctx, load.network, at.statsd, warm); err != nil {
			return err
		}
		if err := calm(ctx, pid); err != nil {
			return err
		}
		before, err := s.lines(ctx, at)
		if err != nil {
			return err
		}
		from, err := measure.CPU(pid)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := sendAll(ctx, load.network, at.statsd, packets); err != nil {
			return err
		}
		cost.Wall = time.Since(start)
		if err := calm(ctx, pid); err != nil {
			return err
		}
		to, err := measure.CPU(pid)
		if err != nil {
			return err
		}
		memory, err := measure.Memory(pid)
		if err != nil {
			return err
		}
		cost.CPU, cost.Peak = to-from, memory.Peak
		taken, err = takenOf(ctx, s, at, before+load.lines)
		taken -= before
		return err
	})
	return cost, taken, err
}

// takenOf returns how many lines a server has taken, and waits a little for so many: it may show them late.
func takenOf(ctx context.Context, s statsdServer, at serverAddresses, want int) (taken int, err error) {
	for range 50 {
		if taken, err = s.lines(ctx, at); err != nil || taken >= want {
			return taken, err
		}
		pauseFor(ctx, 100*time.Millisecond)
	}
	return taken, ctx.Err()
}

// serverMany measures memory and what showing all costs.
func (b *bench) serverMany(ctx context.Context, r *row, s statsdServer, series int) error {
	if s.skip != "" {
		r.counts = "SKIP: " + s.skip
		return nil
	}
	b.say("%s with %s series", s.name, number(series))
	return b.serverStarted(ctx, s, func(at serverAddresses, pid int) error {
		var packets [][]byte
		var p []byte
		for i := range series {
			p = fmt.Appendf(p, "shop.requests.number%d:1|c|#path:/some/path/%d,method:GET\n", i%20, i/20)
			if len(p) > serverPacket-100 {
				packets, p = append(packets, p), nil
			}
		}
		if err := sendAll(ctx, "tcp", at.statsd, append(packets, p)); err != nil {
			return err
		}
		if err := calm(ctx, pid); err != nil {
			return err
		}
		if s.scrape == nil {
			return b.serverFlushes(ctx, r, s, pid)
		}
		taken, err := takenOf(ctx, s, at, series)
		if err != nil {
			return err
		}
		memory, err := measure.Memory(pid)
		if err != nil {
			return err
		}
		r.counts = fmt.Sprintf("%s before the first", mebibytes(memory.Now))
		var cpu, wall []time.Duration
		for range 3 {
			from, err := measure.CPU(pid)
			start := time.Now()
			if err == nil {
				err = s.scrape(ctx, at)
			}
			wall = append(wall, time.Since(start))
			to, failed := measure.CPU(pid)
			if err = errors.Join(err, failed); err != nil {
				return err
			}
			cpu = append(cpu, to-from)
		}
		if memory, err = measure.Memory(pid); err != nil {
			return err
		}
		r.cpu, r.wall, r.peak, r.runs = seconds(median(cpu)), seconds(median(wall)), mebibytes(memory.Now), strconv.Itoa(len(cpu))
		if taken < series {
			b.table.wrong = true
			r.counts += fmt.Sprintf("; %s lines lost", number(series-taken))
		}
		return nil
	})
}

// serverFlushes measures a server that nobody can ask: what it costs while nothing comes in, but
// that it sends all it has.
func (b *bench) serverFlushes(ctx context.Context, r *row, s statsdServer, pid int) error {
	pauseFor(ctx, s.flush) // one is over
	from, err := measure.CPU(pid)
	if err != nil {
		return err
	}
	const flushes = 3
	pauseFor(ctx, flushes*s.flush)
	to, err := measure.CPU(pid)
	if err != nil {
		return err
	}
	memory, err := measure.Memory(pid)
	if err != nil {
		return err
	}
	r.cpu, r.peak, r.runs, r.counts = seconds((to-from)/flushes), mebibytes(memory.Now), strconv.Itoa(flushes), "a flush to Graphite instead"
	return ctx.Err()
}

// serverPackets returns lines of counters with two tags, and of timers, packed.
func serverPackets(lines int) (packets [][]byte) {
	var p []byte
	for i := range lines {
		n := i * 7 % serverSeries
		before := len(p)
		if n%5 == 0 {
			p = fmt.Appendf(p, "shop.render.%d:%d|ms\n", n, i%500)
		} else {
			p = fmt.Appendf(p, "shop.requests.%d:1|c|#status:200,method:GET\n", n)
		}
		if len(p) > serverPacket {
			packets = append(packets, slices.Clone(p[:before]))
			p = append([]byte(nil), p[before:]...)
		}
	}
	return append(packets, p)
}

// sendAll sends packets. Datagrams wait while the receiver has not read what it got.
func sendAll(ctx context.Context, network, address string, packets [][]byte) error {
	conn, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, port, _ := net.SplitHostPort(address)
	for i, p := range packets {
		if network == "udp" && i%8 == 0 {
			for waiting(port) > serverBuffer {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				pauseFor(ctx, 100*time.Microsecond)
			}
		}
		if _, err := conn.Write(p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// waiting returns how many bytes wait in the socket of a UDP port of 127.0.0.1; -1 if there is none.
func waiting(port string) int64 {
	text, err := os.ReadFile("/proc/net/udp")
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil {
		return -1
	}
	_, line, found := bytes.Cut(text, fmt.Appendf(nil, ": 0100007F:%04X ", n))
	fields := bytes.Fields(line)
	if !found || len(fields) < 3 {
		return -1
	}
	_, queue, _ := bytes.Cut(fields[2], []byte{':'})
	bytesWaiting, err := strconv.ParseInt(string(queue), 16, 64)
	if err != nil {
		return -1
	}
	return bytesWaiting
}

func listensUDP(address string) bool {
	_, port, _ := net.SplitHostPort(address)
	return waiting(port) >= 0
}

// calm waits until a process has nothing to do for a while: what it was sent it has taken.
func calm(ctx context.Context, pid int) error {
	last, err := measure.CPU(pid)
	for quiet := 0; quiet < 3 && err == nil; {
		pauseFor(ctx, 250*time.Millisecond)
		var now time.Duration
		if now, err = measure.CPU(pid); now-last < 15*time.Millisecond {
			quiet++
		} else {
			quiet = 0
		}
		last = now
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// swallow takes what is sent, and forgets it.
func swallow(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 64<<10)
			for err := error(nil); err == nil; {
				_, err = c.Read(buf)
			}
		}()
	}
}

// sumOf adds up the samples of a name in an exposition.
func sumOf(text []byte, name string) (int, error) {
	found := regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(text, -1)
	sum := 0.0
	for _, m := range found {
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return int(sum), nil
}
