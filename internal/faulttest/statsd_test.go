package faulttest_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
)

// TestStatsDKilled: a weir that is killed at any time while datagrams come in shows afterwards
// what it showed before, or more, and no more than was sent. Counter, gauge, histogram and the
// count of lines, which each datagram changes, are of the same commit.
func TestStatsDKilled(t *testing.T) {
	port, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.LocalAddr().String()
	port.Close()
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("sources: {app: {type: statsd, listen: [\"udp://%s\"]}}\n", address)})
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent, shown := 0.0, 0.0
	look := func() {
		t.Helper()
		m, err := w.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		hits := faulttest.Sum(m, "hits_total")
		for name, v := range map[string]float64{
			"gauge": faulttest.Sum(m, "level"), "timer": faulttest.Sum(m, "took_seconds_count"),
			"lines": faulttest.Sum(m, "weir_statsd_lines_total") / 3, "counted lines": faulttest.Sum(m, "weir_statsd_counted_lines_total") / 3,
		} {
			if v != hits {
				t.Fatalf("hits are %v, %s %v", hits, name, v)
			}
		}
		if hits < shown || hits > sent {
			t.Fatalf("%v hits, after %v were shown and %v sent", hits, shown, sent)
		}
		shown = hits
	}
	kills := 0
	during(span(time.Minute), 700*time.Millisecond, func() {
		for range 200 + rand.IntN(1000) {
			if _, err := conn.Write([]byte("hits:1|c\nlevel:+1|g\ntook:20|ms")); err != nil {
				continue // nobody listens yet
			}
			sent++
		}
		look()
		if rand.IntN(2) == 0 {
			<-time.After(time.Duration(rand.IntN(1200)) * time.Millisecond)
			w.Kill()
			w.Again()
			kills++
			look()
		}
	})
	if shown == 0 || kills == 0 {
		t.Errorf("%v hits were shown, and it was killed %d times", shown, kills)
	}
	t.Logf("%v of %v hits, killed %d times", shown, sent, kills)
}
