package distlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// world is a source whose lines commit at once.
type world struct {
	t      testing.TB
	source *Source
	reg    *metric.Registry
	log    bytes.Buffer
	stop   func()

	mu      sync.Mutex
	cond    *sync.Cond
	got     map[string][]string // records, by the labels of their stream
	open    map[string]int      // lines
	largest int                 // arena
	block   bool                // writes wait
	written int
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, got: map[string][]string{}, open: map[string]int{}, stop: func() {}}
	w.cond = sync.NewCond(&w.mu)
	c := Default()
	c.Listen = []string{"tcp://127.0.0.1:0"}
	if change != nil {
		change(&c)
	}
	w.reg = metric.New()
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	l, err := ledger.New(w.reg, log)
	if err != nil {
		t.Fatal(err)
	}
	w.source, err = New(c, flow.Deps{
		Name: "app", Log: log, Ledger: l.Component("source", "app", "distlog"), Metrics: w.reg, Batches: flow.NewPool(2),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run lets the source run until the test, or the returned stop, ends it.
func (w *world) run() *world {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.source.Run(ctx, worldLines{w}); err != nil {
			w.t.Error(err)
		}
	}()
	w.until("it listens", func() bool {
		w.source.mu.Lock()
		defer w.source.mu.Unlock()
		return len(w.source.bound) == len(w.source.cfg.Listen)
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		w.mu.Lock()
		defer w.mu.Unlock()
		for stream, n := range w.open {
			if n != 0 {
				w.t.Errorf("%d lines of %s are open", n, stream)
			}
		}
	})
	w.t.Cleanup(w.stop)
	return w
}

// until waits for a write after which ok holds. It looks now and then as well.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	late := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(late) {
			w.t.Fatalf("not so: %s\n%s", what, w.reg.AppendText(nil, metric.Text))
		}
		<-tick.C
	}
}

type worldLines struct{ *world }

func (l worldLines) Known() []flow.Input { return nil }
func (l worldLines) Settle()             {}
func (l worldLines) Open(in flow.Input) (flow.Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !in.Whole || in.Stream.Source != "app" {
		l.t.Errorf("opened %+v", in)
	}
	id := in.Stream.Labels.String()
	l.open[id]++
	return &worldLine{world: l.world, id: id}, nil
}

type worldLine struct {
	*world
	id    string
	inUse bool // not guarded: the race detector and the test see two writers
}

func (l *worldLine) Position() record.Position { return record.Position{} }

func (l *worldLine) Close(forget bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !forget {
		l.t.Error("a position was kept")
	}
	l.open[l.id]--
}

func (l *worldLine) Write(ctx context.Context, b *record.Batch) error {
	if l.inUse {
		l.t.Error("two write to one line")
	}
	l.inUse = true
	defer func() { l.inUse = false }()
	l.mu.Lock()
	defer l.mu.Unlock()
	defer context.AfterFunc(ctx, l.cond.Broadcast)()
	for l.block && ctx.Err() == nil {
		l.cond.Wait()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.largest = max(l.largest, len(b.Arena))
	l.reg.Apply(b.Deltas)
	fields := b.Fields
	for i := range b.Records {
		r := &b.Records[i]
		text := fmt.Sprintf("%s %s", r.Level, b.Bytes(r.Body))
		if r.Body.Len > 1000 {
			text = fmt.Sprintf("%s %d bytes, flags %d", r.Level, r.Body.Len, r.Flags)
		}
		if r.Time > 0 && r.Time%1e9 != 0 && r.Time < 2e18 {
			text = fmt.Sprintf("%d.%09d %s", r.Time/1e9, r.Time%1e9, text)
		}
		for ; len(fields) > 0 && fields[0].Record == i; fields = fields[1:] {
			text += fmt.Sprintf(" %s=%s", b.Bytes(fields[0].Name), b.Bytes(fields[0].Value))
		}
		l.got[l.id] = append(l.got[l.id], text)
		l.written++
	}
	if len(fields) > 0 {
		l.t.Errorf("fields of no record: %v", fields)
	}
	return nil
}

// records waits for n records, all told.
func (w *world) records(n int) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d records", n), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.written >= n
	})
}

// has compares the records of a stream; a want that ends in … is their beginning.
func (w *world) has(stream string, want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got[stream]
	if len(got) != len(want) {
		w.t.Errorf("%s has %d records, want %d; streams: %v", stream, len(got), len(want), w.got)
	}
	for i := range min(len(got), len(want)) {
		if rest, cut := strings.CutSuffix(want[i], "…"); got[i] != want[i] && !(cut && strings.HasPrefix(got[i], rest)) {
			w.t.Errorf("%s, record %d:\n got %s\nwant %s", stream, i, got[i], want[i])
		}
	}
}

// sum adds up the samples of a name that have all these labels.
func (w *world) sum(name string, labels ...string) (sum float64) {
	w.t.Helper()
	scan := bufio.NewScanner(bytes.NewReader(w.reg.AppendText(nil, metric.Text)))
	for scan.Scan() {
		line := scan.Text()
		rest, ok := strings.CutPrefix(line, name+"{")
		if !ok || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			w.t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// sender is a PUSH.
type sender struct {
	t       testing.TB
	conn    net.Conn
	session *zmtp.Session
}

func (w *world) dial() *sender {
	w.t.Helper()
	w.source.mu.Lock()
	at := w.source.bound[0]
	w.source.mu.Unlock()
	conn, err := net.Dial(at.Network(), at.String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	s, err := zmtp.NewSession(zmtp.Config{Socket: zmtp.Push})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &sender{w.t, conn, s}
	p.write(s.Greet(nil))
	var in []byte
	for {
		item, n, out, err := s.Receive(in, nil)
		in = in[n:]
		p.write(out)
		switch {
		case err != nil:
			w.t.Fatal(err)
		case item.Kind == zmtp.Ready:
			return p
		case n > 0:
			continue
		}
		b := make([]byte, 1000)
		n, err = conn.Read(b)
		if in = append(in, b[:n]...); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (p *sender) write(b []byte) {
	p.t.Helper()
	_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *sender) send(parts ...[]byte) {
	p.t.Helper()
	var b []byte
	for i, part := range parts {
		b = p.session.AppendFrame(b, part, i < len(parts)-1)
	}
	p.write(b)
}

func (p *sender) text(topic, body string) { p.t.Helper(); p.send([]byte(topic), []byte(body)) }

// captured are the messages of a capture of distlog's handler.
func captured(t testing.TB, name string) (messages [][][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		var m [][]byte
		parts := binary.BigEndian.Uint32(b)
		b = b[4:]
		for range parts {
			n := binary.BigEndian.Uint32(b)
			m = append(m, b[4:4+n])
			b = b[4+n:]
		}
		messages = append(messages, m)
	}
	return messages
}
