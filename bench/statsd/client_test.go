package main

import (
	"bytes"
	"maps"
	"net"
	"strconv"
	"testing"
	"time"
)

// TestAllCountTheSame: each client's lines add up to the calls, when they come slowly enough.
func TestAllCountTheSame(t *testing.T) {
	for name := range maps.Keys(clients) {
		t.Run(name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c, err := dial(name, conn.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			const calls = 100
			for range calls {
				c.Incr()
			}
			sum, buf := 0, make([]byte, 65536)
			for sum < calls {
				if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
					t.Fatal(err)
				}
				n, _, err := conn.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				for line := range bytes.Lines(buf[:n]) {
					value, tags, _ := bytes.Cut(bytes.TrimPrefix(bytes.TrimSpace(line), []byte("shop.requests.count:")), []byte{'|'})
					v, err := strconv.Atoi(string(value))
					if err != nil || string(tags) != "c|#status:200,method:GET" {
						t.Fatalf("received %q", line)
					}
					sum += v
				}
			}
			if dropped := c.Close(); dropped > 0 {
				t.Errorf("%d dropped", dropped)
			}
			if sum != calls {
				t.Errorf("%d counted, want %d", sum, calls)
			}
		})
	}
	if _, err := dial("nobody", ""); err == nil {
		t.Error("dial knows nobody")
	}
}
