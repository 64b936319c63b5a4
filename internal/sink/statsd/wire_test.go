package statsd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// listen returns a datagram socket and its address.
func listen(t *testing.T, network, address string) (net.PacketConn, string) {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, network + "://" + conn.LocalAddr().String()
}

func receive(t *testing.T, conn net.PacketConn, n int) (got []string) {
	t.Helper()
	buf := make([]byte, 1<<16)
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for range n {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(buf[:n]))
	}
	return got
}

// TestCapture sends what the program before sent, to the byte: a datagram for each status,
// without a line end. Only the order is another, that of the statuses.
func TestCapture(t *testing.T) {
	want := datagrams(t, "testdata/blog-nginx-gauges.dgrams")
	conn, address := listen(t, "udp", "127.0.0.1:0")
	w := newWorld(t)
	c := config10s(address)
	c.Pack = false
	s := w.sink(c)
	for status, n := range map[string]int{"200": 13, "404": 3, "301": 1, "500": 1} {
		w.count(status, n)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := receive(t, conn, len(want))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	if sent := w.ledgerValue("weir_component_sent_total"); sent != 4 {
		t.Errorf("the ledger has %v sent", sent)
	}
	if s.LastFlush().IsZero() {
		t.Error("no time of the last flush")
	}
}

func TestPacking(t *testing.T) {
	for network, limit := range map[string]int{"udp": 1432, "unixgram": 8192} {
		address := "127.0.0.1:0"
		if network == "unixgram" {
			address = filepath.Join(t.TempDir(), "s")
		}
		conn, at := listen(t, network, address)
		w := newWorld(t)
		f := w.family(metric.Desc{Name: "x_total", Labels: []string{"a"}})
		s := w.sink(config10s(at), Export{Family: f, Name: "x"})
		const n = 500
		for i := range n {
			f.Series(fmt.Sprintf("%d %s", i, strings.Repeat("y", i%40))).Add(float64(i))
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for len(lines) < n-1 { // the series of value 0 is not in a partial window
			packet := receive(t, conn, 1)[0]
			if len(packet) > limit || strings.HasSuffix(packet, "\n") {
				t.Errorf("%s: packet of %d bytes ends in %q", network, len(packet), packet[len(packet)-1:])
			}
			got := strings.Split(packet, "\n")
			if len(lines)+len(got) < n-1 && len(packet) < limit-60 {
				t.Errorf("%s: packet of only %d bytes", network, len(packet))
			}
			lines = append(lines, got...)
		}
		if slices.Sort(lines); len(slices.Compact(lines)) != n-1 {
			t.Errorf("%s: %d different lines", network, len(slices.Compact(lines)))
		}
	}
}

func TestStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, scheme := range []string{"tcp", "unix", "unixstream"} {
		network, address := "unix", path
		if scheme == "tcp" {
			network, address = "tcp", "127.0.0.1:0"
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		s := w.sink(config10s(scheme + "://" + l.Addr().String()))
		w.count("200", 2)
		w.count("500", 1)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		s.target.close()
		got, err := io.ReadAll(conn)
		conn.Close()
		want := "nginx.status_count:2|g|#status:200\nnginx.status_count:1|g|#status:500\n"
		if scheme == "unixstream" {
			want = want[:len(want)-1]
			want = string(binary.LittleEndian.AppendUint32(nil, uint32(len(want)))) + want
		}
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", scheme, got, err, want)
		}
	}
}

// TestServerRestart is about the first write after a server hung up, which the system
// takes and loses.
func TestServerRestart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld(t)
	s := w.sink(config10s("tcp://" + l.Addr().String()))
	for i := range 3 {
		w.count("200", i+1)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if want := fmt.Sprintf("nginx.status_count:%d|g|#status:200\n", i+1); line != want || err != nil {
			t.Errorf("connection %d: got %q, %v; want %q", i, line, err, want)
		}
		conn.Close()
	}
}

func TestNobodyListens(t *testing.T) {
	conn, address := listen(t, "udp", "127.0.0.1:0")
	conn.Close()
	w := newWorld(t)
	s := w.sink(config10s(address))
	healthy := func() bool { return w.ledger.Components()[0].State().Healthy }
	for range 5 { // the answer to a datagram may take a moment
		w.count("200", 1)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatalf("over UDP, sent is all that can be known, but: %v", err)
		}
	}
	if healthy() {
		t.Error("five refused datagrams and the sink is healthy")
	}
	conn, _ = listen(t, "udp", strings.TrimPrefix(address, "udp://"))
	for range 3 {
		w.count("200", 1)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !healthy() {
		t.Errorf("not healthy again: %+v", w.ledger.Components()[0].State())
	}
	receive(t, conn, 2)
	if n := strings.Count(w.log.String(), "\n"); n != 2 {
		t.Errorf("%d log lines:\n%s", n, w.log.String())
	}
}

func TestUnixgramServerComesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	w := newWorld(t)
	s := w.sink(config10s("unixgram://" + path))
	w.count("200", 1)
	if err := s.Flush(t.Context()); err == nil {
		t.Fatal("sent to a socket that is not there")
	}
	for i := range 2 {
		conn, _ := listen(t, "unixgram", path)
		w.count("200", 1)
		if err := s.Flush(t.Context()); err != nil {
			if err = s.Flush(t.Context()); err != nil { // the old socket had to fail first
				t.Fatal(err)
			}
		}
		want := fmt.Sprintf("nginx.status_count:%d|g|#status:200", 2-i)
		if got := receive(t, conn, 1)[0]; got != want {
			t.Errorf("server %d got %q; want %q", i, got, want)
		}
		conn.Close()
		os.Remove(path)
	}
}

func TestTooLongForAPacket(t *testing.T) {
	_, address := listen(t, "udp", "127.0.0.1:0")
	w := newWorld(t)
	labels := make([]string, 80)
	values := make([]string, 80)
	for i := range labels {
		labels[i], values[i] = fmt.Sprintf("l%d", i), strings.Repeat("v", 1000)
	}
	f := w.family(metric.Desc{Name: "x_total", Labels: labels})
	s := w.sink(config10s(address), Export{Family: f, Name: "x"})
	f.Series(values...).Add(1)
	for range 2 {
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.ledgerValue("weir_component_dropped_total", "too long for a packet"); n != 1 {
		t.Errorf("dropped %v; want 1", n)
	}
}

func TestDialects(t *testing.T) {
	w := newWorld(t)
	f := w.family(metric.Desc{Name: "x_total", Labels: []string{"status", "path"}})
	line := func(plain bool, prefix, name string, value float64, kind byte, values ...string) string {
		wr := writer{prefix: prefix, plain: plain}
		return string(wr.append(nil, wr.text(name, "", f.Series(values...)), value, kind))
	}
	for _, c := range []struct{ got, want string }{
		{line(false, "", "nginx.status_count", 12, 'g', "200", "/"), "nginx.status_count:12|g|#status:200,path:/"},
		{line(true, "", "nginx.status_count", 12, 'g', "200", "/a b.c/d"), "nginx.status_count.status.200.path._a_b_c_d:12|g"},
		{line(true, "", "n", 1, 'c', "", ""), "n.status._.path._:1|c"},
		{line(false, "", "n", 1, 'c', "", ""), "n:1|c|#status:,path:"},
		{line(false, "shop.", "n", 1.5, 'c', "a", "b"), "shop.n:1.5|c|#status:a,path:b"},
		{line(true, "shop", "n", -7, 'g', "a", "b"), "shop.n.status.a.path.b:0|g\nshop.n.status.a.path.b:-7|g"},
		{line(true, "shop", "n", -7, 'c', "a", "b"), "shop.n.status.a.path.b:-7|c"},
		{line(false, "", "n", -7, 'g', "a", "b"), "n:-7|g|#status:a,path:b"},
		{line(false, "a\nb:1|c", "x|y", 1, 'g', "1|c\nevil:1|c|#a:b,c@d", "é \x00\x7f"), "a_b_1_c.x_y:1|g|#status:1_c_evil_1_c__a_b_c_d,path:é __"},
		{line(false, "", "n", 1e20, 'g', "a", "b"), "n:100000000000000000000|g|#status:a,path:b"},
		{line(false, "", "n", 1e-7, 'g', "a", "b"), "n:0.0000001|g|#status:a,path:b"},
		{line(false, "", "n", 1e300, 'g', "a", "b"), "n:1e+300|g|#status:a,path:b"},
	} {
		if c.got != c.want {
			t.Errorf("got %q; want %q", c.got, c.want)
		}
	}
}

// TestNegativeGauge: a server of the plain dialect takes g:-5|g as a change, so it is set
// to 0 first, in the same datagram, whether or not metrics share one.
func TestNegativeGauge(t *testing.T) {
	for want, c := range map[string]Config{
		"took.sum:0|g\ntook.sum:-5|g":                 {Dialect: Plain},
		"took.sum:-5|g":                               {Dialect: DogStatsD},
		"took.count:1|g\ntook.sum:0|g\ntook.sum:-5|g": {Dialect: Plain, Pack: true},
	} {
		conn, address := listen(t, "udp", "127.0.0.1:0")
		w := newWorld(t)
		f := w.family(metric.Desc{Name: "took", Kind: metric.Histogram, Buckets: []float64{1}, Durable: true})
		full := config10s(address)
		full.Dialect, full.Pack = c.Dialect, c.Pack
		s := w.sink(full, Export{Family: f, Name: "took"})
		id := f.Series().ID()
		w.reg.Apply([]record.Delta{{Series: id, Cell: 0, Add: 1}, {Series: id, Cell: 2, Add: -5}})
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := receive(t, conn, 1)
		if !c.Pack {
			got = receive(t, conn, 1) // the sum follows the count
		}
		if got[0] != want {
			t.Errorf("%s: got %q; want %q", c.Dialect, got[0], want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("nginx.status_count", "200", "/", 12.0, false)
	f.Add("a\nb", "x|c\ny:1|c", "#,@:", -1.0, true)
	f.Fuzz(func(t *testing.T, name, one, two string, value float64, plain bool) {
		r := metric.New()
		family, err := r.Family(metric.Desc{Name: "x", Labels: []string{"one", "two"}})
		if err != nil {
			t.Fatal(err)
		}
		w := writer{plain: plain, prefix: "p"}
		line := string(w.append(nil, w.text(name, "", family.Series(one, two)), value, 'c'))
		if strings.ContainsAny(line, "\n\r") || strings.Contains(line, "@") {
			t.Fatalf("injected: %q", line)
		}
		fields := strings.Split(line, "|")
		_, number, ok := strings.Cut(fields[0], ":")
		if !ok || strings.Contains(number, ":") || fields[1] != "c" {
			t.Fatalf("value: %q", line)
		}
		if plain != (len(fields) == 2) || !plain && (len(fields) != 3 || strings.Count(fields[2], ",") != 1 ||
			strings.Count(fields[2], ":") != 2 || strings.LastIndex(fields[2], "#") != 0) {
			t.Fatalf("tags: %q", line)
		}
	})
}

func FuzzState(f *testing.F) {
	r := metric.New()
	family, err := r.Family(metric.Desc{Name: "x", Labels: []string{"one", "two"}})
	if err != nil {
		f.Fatal(err)
	}
	s := family.Series("a", "b")
	f.Add(appendState(nil, saved{start: 12345, stamp: 6}, [][2]string{{"rt_seconds", "rt|ms"}}, []*point{{series: s, id: pointID(s, value), base: 3, bound: 4, silent: 7, pending: true}}))
	f.Add(appendState(nil, saved{start: -1}, nil, nil))
	f.Add([]byte{})
	f.Add([]byte("\x02\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseState(b)
		if err != nil {
			return
		}
		var points []*point
		for id, p := range got.points {
			points = append(points, &point{series: s, id: id, base: p.base, bound: p.bound, silent: p.silent, pending: p.pending, sent: p.sent, parted: p.parted})
		}
		var names [][2]string
		for family, text := range got.origins {
			names = append(names, [2]string{family, text})
		}
		again, err := parseState(appendState(nil, got, names, points))
		if err != nil || again.start != got.start || again.stamp != got.stamp || len(again.points) != len(got.points) || !maps.Equal(again.origins, got.origins) {
			t.Fatalf("%x: %+v came back as %+v, %v", b, got, again, err)
		}
	})
}

func TestValidate(t *testing.T) {
	good := func(change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bad := func(key string, change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		var p *config.Problem
		if err := c.Validate(); !errors.As(err, &p) || p.Key != key || p.Message == "" {
			t.Errorf("%+v: got %v; want a problem with %s", c, err, key)
		}
	}
	address := func(a string) func(*Config) { return func(c *Config) { c.Address = a } }
	good(func(*Config) {})
	for _, a := range []string{"udp://agent", "tcp://[::1]:9", "unix:///run/s", "unixgram:///run/s", "unixstream:///var/run/datadog/dsd.socket", "udp://10.0.0.1:8125/"} {
		good(address(a))
	}
	for _, a := range []string{"", "127.0.0.1:8125", "udp://", "http://x", "udp://x:0", "udp://x:99999", "udp://x/path", "unix://", "udp://x:port", "%",
		"udp://user:pw@host:8125", "tcp://user@host", "udp://:pw@host", "unix://user:pw@/run/s"} {
		bad("address", address(a))
	}
	bad("dialect", func(c *Config) { c.Dialect = "influx" })
	bad("window", func(c *Config) { c.Window = 0 })
	bad("expiry", func(c *Config) { c.Expiry = -1 })
	bad("max_packet_bytes", func(c *Config) { c.MaxPacketBytes = 1 << 20 })
	c := Default()
	c.Address = "udp://user:hunter2@host"
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("refused without showing the password: %v", err)
	}
	if e, err := (Config{Address: "udp://agent"}).endpoint(); err != nil || e.address != "agent:8125" || !e.named {
		t.Errorf("udp://agent is %+v, %v", e, err)
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	gauge := w.family(metric.Desc{Name: "g", Kind: metric.Gauge})
	deps := Deps{Name: "x", Ledger: w.ledger.Component("sink", "x", "statsd"), State: w.state}
	for _, x := range []Export{{Family: gauge, Name: "g"}, {Family: w.status, Name: "s", As: "set"}, {Family: w.status, Name: "s", Window: time.Millisecond}} {
		if _, err := New(Default(), []Export{x}, deps); err == nil {
			t.Errorf("%+v was taken", x)
		}
	}
	if _, err := New(Config{}, nil, deps); err == nil {
		t.Error("a configuration without an address was taken")
	}
}
