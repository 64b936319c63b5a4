package main

import (
	"bytes"
	"net"
	"testing"
)

// TestServerPackets: all lines are there, in packets of at most that size, of so many series.
func TestServerPackets(t *testing.T) {
	lines, series := 0, map[string]bool{}
	for _, p := range serverPackets(50_000) {
		if len(p) > serverPacket {
			t.Fatalf("a packet of %d bytes", len(p))
		}
		for line := range bytes.Lines(p) {
			lines++
			name, _, _ := bytes.Cut(line, []byte{':'})
			series[string(name)] = true
		}
	}
	if lines != 50_000 || len(series) != serverSeries {
		t.Errorf("%d lines of %d series", lines, len(series))
	}
}

func TestSumOf(t *testing.T) {
	got, err := sumOf([]byte("# TYPE a_total counter\na_total{x=\"1\"} 3\na_total{x=\"2\"} 4\naa_total 9\na_total_x 8\n"), "a_total")
	if got != 7 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}

// TestWaiting sees what waits in a socket that nobody reads.
func TestWaiting(t *testing.T) {
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.LocalAddr().String())
	if n := waiting(port); n != 0 {
		t.Errorf("%d bytes wait in a new socket", n)
	}
	c, err := net.Dial("udp4", l.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if n := waiting(port); n < 1000 {
		t.Errorf("%d bytes wait of 1000", n)
	}
	if n := waiting("0"); n != -1 {
		t.Errorf("%d bytes wait at no port", n)
	}
}
