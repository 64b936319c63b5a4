package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
)

// TestStatsdReloadUnderLoad loads the configuration again, five times, while lines come in without a pause
// over UDP, TCP (connections that stay, whose lines come in pieces), datagrams and streams on unix sockets:
// with more and with fewer sockets: all that was sent is counted, no connection breaks, and what is listened at no longer is closed.
func TestStatsdReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	udp := freePort(t)
	config := func(round int, more string) Config {
		t.Helper()
		cfg, mistakes := loaded(t, fmt.Sprintf("http: {listen: ''}\nsources: {app: {type: statsd, expiry: %dh, sockets: %d, listen: ['udp://%s', 'tcp://%s', 'unixgram://%s', 'unix://%s'%s]}}\n",
			round+1, 1+round%3, udp, udp, filepath.Join(dir, "dgram"), filepath.Join(dir, "stream"), more))
		if mistakes != "" {
			t.Fatal(mistakes)
		}
		return cfg
	}
	a, err := New(config(0, ", 'unix://"+filepath.Join(dir, "gone")+"'"), Options{Log: slog.New(slog.DiscardHandler), FS: new(disk.Faulty)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.Close()
	}()
	var sending sync.WaitGroup
	var stop atomic.Bool
	sent := map[string]*atomic.Int64{}
	for network, address := range map[string]string{"udp": udp, "tcp": udp, "unixgram": filepath.Join(dir, "dgram"), "unix": filepath.Join(dir, "stream")} {
		conn := dialSoon(t, network, address)
		defer conn.Close()
		n := new(atomic.Int64)
		sent[network] = n
		sending.Go(func() {
			line := "sent_" + network + ":1|c"
			half := len(line) / 2
			pace := time.NewTicker(200 * time.Microsecond)
			defer pace.Stop()
			for !stop.Load() {
				<-pace.C
				var err error
				if network == "udp" || network == "unixgram" {
					_, err = conn.Write([]byte(line))
				} else if _, err = conn.Write([]byte(line[:half])); err == nil { // so that a reload finds parts of lines
					_, err = conn.Write([]byte(line[half:] + "\n"))
				}
				if err != nil {
					t.Errorf("%s: %v", network, err)
					return
				}
				n.Add(1)
			}
		})
	}
	gone := dialSoon(t, "unix", filepath.Join(dir, "gone"))
	defer gone.Close()
	shown := func(name string) float64 {
		sum := 0.0
		for line := range strings.Lines(string(a.Registry().AppendText(nil, metric.Text))) {
			if strings.HasPrefix(line, name+"{") {
				v, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
				sum += v
			}
		}
		return sum
	}
	for round := range 5 {
		before := sent["unix"].Load()
		for sent["unix"].Load() < before+200 {
			<-time.After(time.Millisecond)
		}
		if err := a.Reload(ctx, config(round+1, "")); err != nil {
			t.Fatal(err)
		}
	}
	if err := gone.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection that nobody listens at stays open: %v", err)
	}
	if c, err := net.Dial("unix", filepath.Join(dir, "gone")); err == nil {
		c.Close()
		t.Error("somebody listens where nobody does any more")
	}
	stop.Store(true)
	sending.Wait()
	for network, n := range sent {
		name, want := "sent_"+network+"_total", float64(n.Load())
		for end := time.Now().Add(20 * time.Second); shown(name) != want; <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: %v of %v are counted; the kernel dropped %v", network, shown(name), want, shown("weir_statsd_kernel_dropped_packets_total"))
				break
			}
		}
	}
	if bad := shown("weir_statsd_bad_lines_total"); bad != 0 {
		t.Errorf("%v bad lines", bad)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dialSoon connects once somebody listens.
func dialSoon(t *testing.T, network, address string) net.Conn {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if network == "udp" { // nothing tells but that the address is taken
			var l net.PacketConn
			if l, err = net.ListenPacket(network, address); err == nil {
				l.Close()
				continue
			}
		}
		var c net.Conn
		if c, err = net.Dial(network, address); err == nil {
			return c
		}
	}
	t.Fatal(err)
	return nil
}
