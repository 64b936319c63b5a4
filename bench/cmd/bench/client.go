package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/measure"
)

// calls is how often each StatsD client is called in one run.
const calls = 2_000_000

// statsdClient is one way to count a call.
type statsdClient struct {
	name    string // in the table
	command string // of bench/statsd
	calls   int    // in one run; a slow one is called less often
	addsUp  bool   // those that do are compared with each other, and so are the others
}

var statsdClients = []statsdClient{
	{"**weir** `statsd`, added up", "weir", calls, true},
	{"datadog-go v5, aggregated", "datadog", calls, true},
	{"**weir** `statsd`, every call a line, 1,000 lines wait", "weir-lines", calls, false},
	{"**weir** `statsd`, every call a line, all wait", "weir-all", calls, false},
	{"datadog-go v5, not aggregated", "datadog-line", calls, false},
	{"smira/go-statsd", "smira", calls, false},
	{"cactus/go-statsd-client v5, buffered", "cactus", calls, false},
	{"`fmt.Fprintf` to the socket", "plain", calls / 10, false},
}

// clientRun is one run of a client, and what arrived of it.
type clientRun struct {
	measure.Cost
	NsPerCall, Allocs float64
	Dropped           int64
	calls, arrived    int64
}

// perCall is the processor time of a call, with its share of the process's start and of
// the sending.
func (r clientRun) perCall() time.Duration { return r.CPU * 1000 / time.Duration(r.calls) } // picoseconds as nanoseconds

// statsdCalls measures what a call of each client costs, from as many goroutines as there
// are processors and from one, and how many of the calls arrive.
func (b *bench) statsdCalls(ctx context.Context) error {
	if !slices.ContainsFunc(statsdClients, func(c statsdClient) bool { return b.wants(c.name) }) {
		return nil
	}
	binary, skip := b.buildClients(ctx)
	if skip != "" {
		b.table.add(row{work: "count calls as StatsD", name: "all clients", counts: "SKIP: " + skip})
		return ctx.Err()
	}
	for _, goroutines := range []int{runtime.NumCPU(), 1} {
		results := make([][]clientRun, len(statsdClients))
		failures := make([]error, len(statsdClients))
		for round := range b.rounds {
			for i, c := range statsdClients {
				if !b.wants(c.name) || failures[i] != nil {
					continue
				}
				b.say("round %d: %s, %d at a time", round+1, c.name, goroutines)
				r, err := b.statsdRun(ctx, c, binary, goroutines)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				results[i], failures[i] = append(results[i], r), err
			}
		}
		ours := map[bool]time.Duration{} // by whether it adds up
		for i, c := range statsdClients {
			if len(results[i]) == 0 {
				continue
			}
			r := row{}
			if failures[i] != nil {
				b.fail(&r, failures[i])
			} else {
				r = clientRow(results[i], ours, c.addsUp)
			}
			r.work = fmt.Sprintf("count calls with two tags as StatsD, over UDP: a call, %d at a time, as fast as they go", goroutines)
			r.name = c.name
			b.table.add(r)
		}
	}
	return nil
}

// buildClients builds the clients, which takes their modules, and returns the path of the
// command, or why it cannot be had.
func (b *bench) buildClients(ctx context.Context) (binary, skip string) {
	binary = filepath.Join(b.data, "statsd")
	return binary, b.buildModule(ctx, "statsd", binary)
}

// buildModule builds a command that is a module of its own below bench, and returns why it
// cannot be had.
func (b *bench) buildModule(ctx context.Context, name, binary string) (skip string) {
	b.say("building bench/%s", name)
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = filepath.Join(b.root, "bench", name)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Sprintf("its modules cannot be built: %v %.200s", err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
	}
	return ""
}

// clientRow shows the runs of one client. The first of each kind is what the others of it
// are compared with.
func clientRow(runs []clientRun, ours map[bool]time.Duration, addsUp bool) row {
	var cpu, wall []time.Duration
	var peak, arrived, allocs []int64
	told := true
	for _, r := range runs {
		cpu, wall, peak = append(cpu, r.perCall()), append(wall, time.Duration(r.NsPerCall*1000)), append(peak, r.Peak)
		arrived, allocs = append(arrived, r.arrived), append(allocs, int64(r.Allocs*10+0.5))
		told = told && r.arrived+r.Dropped == r.calls
	}
	if ours[addsUp] == 0 {
		ours[addsUp] = median(cpu)
	}
	r := row{
		cpu: nanoseconds(median(cpu)), ratio: times(median(cpu), ours[addsUp]), wall: nanoseconds(median(wall)),
		peak: mebibytes(median(peak)), runs: strconv.Itoa(len(runs)),
	}
	called := runs[0].calls
	r.counts = fmt.Sprintf("%.1f %% arrived", float64(median(arrived))*100/float64(called))
	switch {
	case slices.Min(arrived) == called:
		r.counts = "all arrived"
	case told:
		r.counts += ", the rest is counted"
	default:
		r.counts += ", the rest is not told"
	}
	if a := float64(median(allocs)) / 10; a > 0 {
		r.counts += fmt.Sprintf(", %.1f allocations a call", a)
	}
	return r
}

// nanoseconds writes a duration that is given in picoseconds.
func nanoseconds(ps time.Duration) string { return fmt.Sprintf("%.1f ns", float64(ps)/1000) }

// statsdRun lets one client call, and receives.
func (b *bench) statsdRun(ctx context.Context, c statsdClient, binary string, goroutines int) (clientRun, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return clientRun{}, err
	}
	defer conn.Close()
	// What the clients drop is to be seen, and not what the kernel does.
	if err := largeBuffer(conn, 1<<30); err != nil {
		return clientRun{}, err
	}
	out, cost, err := measure.Run(exec.CommandContext(ctx, binary, c.command, conn.LocalAddr().String(), strconv.Itoa(c.calls), strconv.Itoa(goroutines)))
	if err != nil {
		return clientRun{}, err
	}
	r := clientRun{Cost: cost, calls: int64(c.calls)}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, err
	}
	r.arrived, err = receive(conn)
	return r, err
}

// receive adds up what waits in the socket.
func receive(conn *net.UDPConn) (sum int64, err error) {
	buf := make([]byte, 65536)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return 0, err
		}
		n, err := conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
		for line := range bytes.Lines(buf[:n]) {
			_, rest, _ := bytes.Cut(line, []byte{':'})
			value, _, _ := bytes.Cut(rest, []byte{'|'})
			v, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("received %q: %w", line, err)
			}
			sum += v
		}
	}
}

// largeBuffer asks for a receive buffer beyond the system's bound, which only root gets.
func largeBuffer(conn *net.UDPConn, size int) error {
	if err := conn.SetReadBuffer(size); err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	const force = 33 // SO_RCVBUFFORCE
	return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, force, size) })
}
