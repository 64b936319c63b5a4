package statsd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRelay: good lines go on as they came, in datagrams that pass an Ethernet; bad ones do not.
func TestRelay(t *testing.T) {
	to, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	w := newWorld(t, func(c *Config) { c.Relay = []string{"udp://" + to.LocalAddr().String()} })
	lines := []string{"a b/c:1|c|@0.5", "bad", "g:-3|g|#env:prod,x", "t:1|ms:2|ms", "_e{1,1}:a|b|c", "s:x|s|#a:b"}
	w.send(0, strings.Join(lines, "\n"))
	var got []string
	buf := make([]byte, 1<<16)
	for len(got) < 4 {
		if err := to.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := to.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%v, after %q", err, got)
		}
		got = append(got, strings.Split(string(buf[:n]), "\n")...)
	}
	if want := []string{lines[0], lines[2], lines[3], lines[5]}; !slices.Equal(got, want) {
		t.Errorf("passed on: %q; want %q", got, want)
	}
	w.lines(6)
	if n := w.sum("weir_statsd_relayed_lines_total"); n != 4 {
		t.Errorf("%v lines were passed on", n)
	}
	w.agrees()
}

// TestRelayOutage: what a server gets that is away for a time, and breaks connections, is what
// is said to have been sent, and all else is counted, and no line comes twice.
func TestRelayOutage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	w := newWorld(t, func(c *Config) { c.Listen, c.Relay = []string{"tcp://127.0.0.1:0"}, []string{"tcp://" + address} })
	const lines = 60_000 // more than wait
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "some.longer.name.of.a.counter:%d|c|#number:the.same\n", i)
	}
	w.send(0, text.String())
	w.lines(lines)
	if w.sum("weir_statsd_relay_dropped_lines_total", `reason="queue full"`) == 0 {
		t.Error("all of it waits")
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skipf("the port is taken by another now: %v", err)
	}
	defer l.Close()
	seen, repeated := map[string]bool{}, 0
	got := make(chan int)
	go func() {
		n := 0
		defer func() { got <- n }()
		for range 2 {
			c, err := l.Accept()
			if err != nil {
				return
			}
			read := bufio.NewScanner(c)
			for read.Scan() {
				if seen[read.Text()] {
					repeated++
				}
				seen[read.Text()] = true
				n++
				if n == 5000 {
					break // and hang up on it
				}
			}
			c.Close()
		}
	}()
	for end := time.Now().Add(20 * time.Second); w.sum("weir_statsd_relayed_lines_total")+w.sum("weir_statsd_relay_dropped_lines_total") < lines; <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("some lines wait for ever")
		}
	}
	w.send(0, strings.Repeat("again:1|c\n", 10)) // the last connection may have to break first
	w.lines(lines + 10)
	w.stop()
	l.Close()
	n := <-got
	sent, dropped := w.sum("weir_statsd_relayed_lines_total"), w.sum("weir_statsd_relay_dropped_lines_total")
	if sent+dropped != lines+10 {
		t.Errorf("%v sent and %v dropped of %d", sent, dropped, lines+10)
	}
	if float64(n) > sent || n < 5000 || repeated > 10 {
		t.Errorf("%d lines came, %d of them again, and %v are said to be sent", n, repeated, sent)
	}
}

// TestRelayStops: what cannot be sent when weir stops is counted.
func TestRelayStops(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Relay = []string{"tcp://127.0.0.1:1"} })
	w.stop()
	w.start(func(s *Source) {
		s.relays[0].dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	w.send(0, "a:1|c\nb:1|c")
	w.lines(2)
	w.stop()
	if n := w.sum("weir_statsd_relay_dropped_lines_total", `reason="weir stops"`); n != 2 {
		t.Errorf("%v lines are said not to have been passed on", n)
	}
}
