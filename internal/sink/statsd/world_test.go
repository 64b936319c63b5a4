package statsd

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// memory is a State whose commits are made by the test.
type memory struct {
	mu      sync.Mutex // guards below
	now     map[string][]byte
	durable map[string][]byte
	dead    bool // after a crash nothing is stored
}

func newMemory() *memory { return &memory{now: map[string][]byte{}, durable: map[string][]byte{}} }

func (m *memory) Load(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now[key]
}

func (m *memory) Store(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dead {
		m.now[key] = slices.Clone(value)
	}
}

func (m *memory) commit() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.durable = maps.Clone(m.now)
}

func (m *memory) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

// crash brings back what was durable.
func (m *memory) crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.dead = maps.Clone(m.durable), false
}

// world is a registry, a ledger and a state: what of weir a sink sees.
type world struct {
	t      *testing.T
	reg    *metric.Registry
	status *metric.Family
	state  *memory
	log    lockedBuffer
	ledger *ledger.Ledger
}

var statusDesc = metric.Desc{Name: "nginx_status_count_total", Labels: []string{"status"}, Owner: "rule 1", Durable: true, MaxSeries: 5}

func newWorld(t *testing.T) *world {
	w := &world{t: t, state: newMemory()}
	w.restart(false)
	return w
}

// restart makes registry and ledger anew, from what is durable after a crash.
func (w *world) restart(crash bool) {
	w.t.Helper()
	old := w.reg
	w.reg = metric.New(record.Label{Name: "machine", Value: "web-1"})
	if old != nil {
		for _, d := range old.Snapshot() {
			if err := w.reg.Restore(d); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if crash {
		w.state.crash()
	}
	w.status = w.family(statusDesc)
	var err error
	if w.ledger, err = ledger.New(w.reg, slog.New(slog.NewTextHandler(&w.log, nil))); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) family(d metric.Desc) *metric.Family {
	w.t.Helper()
	f, err := w.reg.Family(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// count applies a commit of n lines with a status.
func (w *world) count(status string, n int) {
	w.reg.Apply([]record.Delta{{Series: w.status.Series(status).ID(), Add: float64(n)}})
}

// config has windows of 10 s and an expiry of 30 s.
func config10s(address string) Config {
	c := Default()
	c.Address, c.Expiry = address, 30*time.Second
	return c
}

func (w *world) sink(c Config, exports ...Export) *Sink {
	w.t.Helper()
	if exports == nil {
		exports = []Export{{Family: w.status, Name: "nginx.status_count"}}
	}
	s, err := New(c, exports, Deps{Name: "agent", Ledger: w.ledger.Component("sink", "agent", "statsd"), State: w.state})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// ledgerValue returns a number of the ledger about the sink.
func (w *world) ledgerValue(name string, values ...string) float64 {
	labels := map[string][]string{
		"weir_component_sent_total":    {"component"},
		"weir_component_dropped_total": {"component", "reason"},
		"weir_component_events_total":  {"component", "event"},
	}[name]
	f := w.family(metric.Desc{Name: name, Owner: "ledger", Labels: labels})
	return f.Series(append([]string{"sink/agent"}, values...)...).Value()
}

func (w *world) missed() float64 {
	return w.ledgerValue("weir_component_dropped_total", "missed window")
}

// run runs s until the returned function is called, which waits for its end.
func run(s *Sink) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = s.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

// server is the other end of pipes, for tests in fake time. A closed server refuses.
type server struct {
	mu     sync.Mutex // guards below
	down   bool
	cut    int // the next connection breaks after that many bytes; 0: never
	dials  int
	conns  []net.Conn
	writes []piece
}

// piece is a datagram, or what came at once of a stream.
type piece struct {
	conn int
	data string
}

var errRefused = &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errors.New("refused for the test"))}

func (s *server) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	if s.down {
		return nil, errRefused
	}
	near, far := net.Pipe()
	s.conns = append(s.conns, far)
	limit := s.cut
	s.cut = 0
	go s.read(far, s.dials, limit)
	return near, nil
}

func (s *server) read(conn net.Conn, number, limit int) {
	defer conn.Close()
	buf := make([]byte, 64<<10)
	if limit > 0 {
		buf = buf[:limit]
	}
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			s.mu.Lock()
			s.writes = append(s.writes, piece{number, string(buf[:n])})
			s.mu.Unlock()
		}
		if err != nil || limit > 0 && n == limit {
			return
		}
		if limit > 0 {
			limit -= n
			buf = buf[:limit]
		}
	}
}

func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *server) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = false
}

// take returns what arrived since it was last asked.
func (s *server) take() (got []string) {
	for _, p := range s.pieces() {
		got = append(got, p.data)
	}
	return got
}

func (s *server) pieces() []piece {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.writes
	s.writes = nil
	return got
}

// sum adds up the values of the whole lines that arrived since the last call. What a
// connection had at its end without a line end is no line.
func (s *server) sum(t *testing.T) (sum int) {
	t.Helper()
	conns := map[int]string{}
	for _, p := range s.pieces() {
		conns[p.conn] += p.data
	}
	for _, data := range conns {
		lines := strings.Split(data, "\n")
		for _, line := range lines[:len(lines)-1] {
			_, value, _ := strings.Cut(line, ":")
			value, _, _ = strings.Cut(value, "|")
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			sum += n
		}
	}
	return sum
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// datagrams reads a capture: a length and as many bytes, again and again.
func datagrams(t *testing.T, file string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.BigEndian.Uint32(b)
		all = append(all, string(b[4:4+n]))
		b = b[4+n:]
	}
	return all
}

// hang is a dial to an address that does not answer.
func hang(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
