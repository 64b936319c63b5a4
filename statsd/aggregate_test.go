package statsd

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestNothingIsAllocated holds it of every call that makes a metric.
func TestNothingIsAllocated(t *testing.T) {
	for name, o := range map[string]Options{
		"added up": {}, "added up, timers too": {PackTimers: true}, "lines": {Aggregate: -1, DropOldest: true}, "full": {Aggregate: -1, QueueLines: 1}, "Graphite": {Dialect: Graphite, Aggregate: -1, DropOldest: true},
	} {
		c, _ := offline(t, o)
		sampled := c.WithRate(0.5)
		dynamic := strings.Repeat("x", 10)
		calls := map[string]func(){
			"Incr":                func() { c.Incr("some.counter", 1, "status:200", "method:GET") },
			"Incr, sampled":       func() { sampled.Incr("some.counter", 1, "status:200", "method:GET") },
			"Incr, other strings": func() { c.Incr(dynamic, 1, dynamic, "method:GET") },
			"Add":                 func() { c.Add("some.sum", 0.5, "status:200", "method:GET") },
			"Gauge":               func() { c.Gauge("some.gauge", 17.5, "status:200", "method:GET") },
			"GaugeDelta":          func() { c.GaugeDelta("some.gauge", 1, "status:200", "method:GET") },
			"Timing":              func() { c.Timing("some.timer", 1234567, "status:200", "method:GET") },
			"Histogram":           func() { c.Histogram("some.histogram", 0.25, "status:200", "method:GET") },
			"Distribution":        func() { c.Distribution("some.distribution", 0.25, "status:200") },
			"Set":                 func() { c.Set("some.set", "member", "status:200") },
			"StartTimer":          func() { c.StartTimer("some.timer").Stop("status:200") },
		}
		for call, f := range calls {
			for range 2000 {
				f() // whatever has to grow has grown
			}
			if n := testing.AllocsPerRun(1000, f); n > 0 {
				t.Errorf("%s, %s: %g allocations", name, call, n)
			}
		}
	}
}

// TestSeriesComeAndGo: series are made, removed and made again while many goroutines raise
// them, and no amount is lost or counted twice.
func TestSeriesComeAndGo(t *testing.T) {
	c, _ := offline(t, Options{MaxSeries: 100})
	a := c.core.aggregate
	hand := newQueue(settings{Options: Options{QueueLines: maxInt, QueueBytes: maxInt}})
	const goroutines, rounds = 4, 20_000
	var wg sync.WaitGroup
	var direct atomic.Int64
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				// Each name is used for a while, so that it falls idle and comes back.
				name := "n" + strconv.Itoa((i/50*7+g)%150)
				if !a.count(&c.scope, name, nil, 1) {
					direct.Add(1)
				}
				a.note(&c.scope, counter, metric{name: name}, reading{value: 0})
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	sum, removals := int64(0), 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for range idleFlushes + 1 {
			if err := a.flush(hand, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if a.size() > 0 {
			removals++
		}
		a.remove(hand, 0)
		sum += total(t, hand)
	}
	a.close(hand)
	sum += total(t, hand)
	if a.count(&c.scope, "n1", nil, 1) || a.size() != 0 {
		t.Error("a closed aggregate takes more")
	}
	if sum+direct.Load() != goroutines*rounds || removals == 0 {
		t.Errorf("%d added up and %d directly, want %d in all; %d removals", sum, direct.Load(), goroutines*rounds, removals)
	}
}

// total takes the counters' lines out of q and adds them up.
func total(t *testing.T, q *queue) (sum int64) {
	t.Helper()
	for q.lines > 0 {
		line, _ := q.front()
		_, value, _ := strings.Cut(string(line), ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(value, "|c"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
		q.pop(len(line))
	}
	return sum
}

// TestTooManySeries: calls for series beyond the bound are lines, and none is lost.
func TestTooManySeries(t *testing.T) {
	c, lines := offline(t, Options{MaxSeries: 10, QueueLines: 10_000})
	for i := range 1000 {
		c.Incr("n"+strconv.Itoa(i), 1)
		c.Set("s", strconv.Itoa(i))
	}
	if got := lines(); len(got) != 2000 || c.core.aggregate.size() > 10 {
		t.Errorf("%d lines, %d series", len(got), c.core.aggregate.size())
	}
}

// TestMoreThanAFloatHolds: what adds up to no number is not sent, nor is it lost silently.
func TestMoreThanAFloatHolds(t *testing.T) {
	c, lines := offline(t, Options{})
	for range 2 {
		c.Add("sum", 1e308)
		c.GaugeDelta("change", 1e308)
	}
	c.Gauge("level", 1e308)
	c.GaugeDelta("level", 1e308)
	sent := map[string]int{}
	for _, line := range lines() {
		sent[line]++
	}
	for line, n := range map[string]int{"sum:1e+308|c": 2, "change:+1e+308|g": 1, "level:1e+308|g": 1} {
		if sent[line] != n {
			t.Errorf("%s came %d times, want %d: %v", line, sent[line], n, sent)
		}
	}
	if d := c.Stats().Dropped; d.Invalid != 2 {
		t.Errorf("%d were dropped as invalid, want the 2 changes that are too many", d.Invalid)
	}
}

// TestSetsAreBounded: members beyond the bound are lines, so the queue bounds them.
func TestSetsAreBounded(t *testing.T) {
	c, lines := offline(t, Options{QueueLines: 50})
	for i := range 2 * maxMembers {
		c.Set("s", strconv.Itoa(i))
		c.Set("s", strconv.Itoa(i))
	}
	// The members that were kept are lines once; of the others, each call would have been.
	if got := lines(); len(got) != maxMembers+50 || c.core.queue.drops[queueFull] != 2*maxMembers-50 {
		t.Errorf("%d lines, %d dropped", len(got), c.core.queue.drops[queueFull])
	}
}

// TestScopesAreApart: the same name under other prefixes, tags and rates is another series.
func TestScopesAreApart(t *testing.T) {
	c, lines := offline(t, Options{})
	for range 3 {
		c.Incr("n", 1)
		c.WithPrefix("p").Incr("n", 2)
		c.WithTags("a:1").Incr("n", 3)
		c.WithTags("a:1").Incr("n", 4, "b:2")
		c.Incr("n", 5, "a:1", "b:2")
		c.WithRate(7).Incr("n", 1<<40)
	}
	want := map[string]bool{"n:3|c": true, "p.n:6|c": true, "n:9|c|#a:1": true, "n:12|c|#a:1,b:2": true, "n:15|c|#a:1,b:2": true, "n:1099511627776|c": true}
	for _, line := range lines() {
		if !want[line] {
			t.Errorf("sent %q", line)
		}
	}
}

// TestGaugesInOrder: the last value counts, and changes after it are added.
func TestGaugesInOrder(t *testing.T) {
	c, lines := offline(t, Options{})
	last := func(want string) {
		t.Helper()
		if got := lines(); len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	c.Gauge("g", 5)
	c.Gauge("g", 3)
	c.GaugeDelta("g", -4)
	last("g:0|g\ng:-1|g")
	c.GaugeDelta("g", 2)
	c.GaugeDelta("g", 2)
	last("g:+4|g")
	c.GaugeDelta("g", 2)
	c.Gauge("g", 0)
	last("g:0|g")
	c.GaugeDelta("g", -2)
	last("g:-2|g")
	if got := lines(); len(got) > 0 {
		t.Errorf("without news it sends %q", got)
	}
}

// TestManyGoroutines: everything at once, until after the end, and each call has a fate.
func TestManyGoroutines(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := New(Options{Address: "tcp://" + l.Addr().String(), Aggregate: time.Millisecond, FlushInterval: time.Millisecond, PackTimers: true})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan int64, 1)
	go func() {
		buf, text := make([]byte, 1<<16), strings.Builder{}
		for n, err := conn.Read(buf); err == nil; n, err = conn.Read(buf) {
			text.Write(buf[:n])
		}
		sum := int64(0)
		for line := range strings.Lines(text.String()) {
			if value, ok := strings.CutPrefix(line, "calls:"); ok {
				n, _ := strconv.ParseInt(strings.TrimSuffix(value, "|c|#a:b\n"), 10, 64)
				sum += n
			}
		}
		received <- sum
	}()
	var called atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for g := range 8 {
		wg.Go(func() {
			mine := c.WithPrefix(fmt.Sprint("g", g))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				called.Add(1)
				c.Incr("calls", 1, "a:b")
				mine.Gauge("g", float64(i))
				mine.GaugeDelta("d", 1)
				mine.Timing("t", time.Duration(i))
				mine.Set("s", strconv.Itoa(i%100))
				_ = c.Stats()
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for range 20 {
		if err := c.Flush(ctx); err != nil {
			t.Error(err)
		}
	}
	var closing sync.WaitGroup
	for range 2 {
		closing.Go(func() {
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
	before := c.Stats()
	close(stop)
	wg.Wait()
	if err := c.Flush(ctx); err == nil {
		t.Error("Flush after Close has no error")
	}
	sum := <-received
	// After Close each turn of a goroutine drops five; of a turn that Close fell into, fewer.
	late := called.Load() - sum
	after := c.Stats()
	if late < 0 || uint64(late) > after.Dropped.Closed || before.QueuedLines != 0 || after.Series != 0 {
		t.Errorf("%d called, %d received; %+v", called.Load(), sum, after)
	}
	c.Incr("calls", 1)
	c.Timing("t", 1)
	if more := c.Stats().Dropped.Closed - after.Dropped.Closed; more != 2 {
		t.Errorf("two calls after Close are %d drops", more)
	}
}

// TestExactThroughClose: of counters alone, what is called while the client closes is
// received or counted, to the last one.
func TestExactThroughClose(t *testing.T) {
	for range 20 {
		ours, theirs := net.Pipe()
		c, err := New(Options{Aggregate: time.Millisecond, Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }, Address: "tcp://pipe"})
		if err != nil {
			t.Fatal(err)
		}
		received := make(chan int64, 1)
		go func() {
			q := newQueue(settings{Options: Options{QueueLines: maxInt, QueueBytes: maxInt}})
			var text strings.Builder
			buf := make([]byte, 1<<16)
			for n, err := theirs.Read(buf); err == nil; n, err = theirs.Read(buf) {
				text.Write(buf[:n])
			}
			for line := range strings.Lines(text.String()) {
				b, _ := q.begin(1)
				q.end(append(b, strings.TrimSuffix(line, "\n")...), 1)
			}
			received <- total(t, q)
		}()
		const goroutines, calls = 4, 5000
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for i := range calls {
					c.Incr("n"+strconv.Itoa(i%3), 1)
				}
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
		_ = ours.Close() // it may have ended before it connected
		if sum, dropped := <-received, int64(c.Stats().Dropped.Closed); sum+dropped != goroutines*calls {
			t.Fatalf("%d received and %d dropped, want %d", sum, dropped, goroutines*calls)
		}
	}
}
