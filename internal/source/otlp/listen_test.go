package otlp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
)

// certificate writes one for 127.0.0.1, and its key, to a folder.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert", "CERTIFICATE", der), write("key", "PRIVATE KEY", raw)
}

func TestToken(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Token = "a long enough token" }).run()
	body := oneLog("shop", "text")
	check := func(got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
	}
	check(w.post("/v1/logs", body, isProtobuf), "401")
	check(w.post("/v1/logs", body, isProtobuf, "Authorization: Bearer another"), "401")
	check(w.call(methodLogs, message(body, 0)), "16 give the source's token")
	w.expect(map[string][]string{})
	check(w.post("/v1/logs", body, isProtobuf, "Authorization: Bearer a long enough token"), "200")
	check(w.post("/v1/logs", body, isProtobuf, "Authorization: Basic eDphIGxvbmcgZW5vdWdoIHRva2Vu"), "200")
	check(w.call(methodLogs, message(body, 0), "Authorization: bearer a long enough token"), "0")
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	w := newWorld(t, func(c *Config) { c.TLS = &TLS{Cert: cert, Key: key} }).run()
	w.secure = true
	if got := w.post("/v1/logs", oneLog("shop", "a"), isProtobuf) + w.call(methodLogs, message(oneLog("shop", "b"), 0)); got != "2000" {
		t.Error(got)
	}
	w.cfg.TLS = &TLS{Cert: key, Key: key}
	if _, err := New(w.cfg, w.source.deps); err == nil || !strings.Contains(err.Error(), "tls.cert") {
		t.Error(err)
	}
	w.cfg.TLS = &TLS{Cert: cert, Key: key, ClientCA: key}
	if _, err := New(w.cfg, w.source.deps); err == nil || !strings.Contains(err.Error(), "tls.client_ca") {
		t.Error(err)
	}
}

// TestReload: a request that comes while there is no source waits for the next one.
func TestReload(t *testing.T) {
	w := newWorld(t, nil).run()
	for i, l := range w.source.listeners {
		address := l.bound.String()
		if i == 0 {
			w.cfg.HTTP = address
		} else {
			w.cfg.GRPC = address
		}
	}
	w.stop(nil)
	w.make()
	w.run()
	w.stop(flow.ErrReload)
	conn, err := net.Dial("tcp", w.cfg.HTTP)
	if err != nil {
		t.Fatal("the address is not open while weir loads its configuration: ", err)
	}
	defer conn.Close()
	w.make()
	w.run()
	body := oneLog("shop", "text")
	if _, err := io.WriteString(conn, "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: "+itoa(len(body))+"\r\n\r\n"+string(body)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Error(line, err)
	}
}

func itoa(n int) string { return big.NewInt(int64(n)).String() }

// TestHostileConnections: headers without an end, and more connections than there may be.
func TestHostileConnections(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxConnections = 2 }).run()
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", w.address(0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	endless := dial()
	if _, err := io.WriteString(endless, "POST /v1/logs HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	header := []byte("X: " + strings.Repeat("x", 1000) + "\r\n")
	sent := 0
	for ; sent < 100<<20; sent += len(header) {
		if _, err := endless.Write(header); err != nil {
			break
		}
	}
	if sent >= 100<<20 {
		t.Error("100 MiB of headers are taken")
	}
	_ = endless.Close()
	// Of many connections that say nothing, some are closed at once.
	closed := make(chan error, 10)
	for range cap(closed) {
		conn := dial()
		go func() {
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	if err := <-closed; err == nil {
		t.Error("a connection that said nothing is answered")
	}
}

func TestValidate(t *testing.T) {
	bad := func(key string, change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		var p *config.Problem
		if err := c.Validate(); !errors.As(err, &p) || p.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	bad("http", func(c *Config) { c.HTTP, c.GRPC = "", "" })
	bad("http", func(c *Config) { c.HTTP = "0.0.0.0:4318" })
	bad("grpc", func(c *Config) { c.GRPC = "somewhere" })
	bad("grpc", func(c *Config) { c.GRPC = c.HTTP })
	bad("token", func(c *Config) { c.Token = "short" })
	bad("tls", func(c *Config) { c.TLS = &TLS{Cert: "x"} })
	bad("max_body", func(c *Config) { c.MaxBody = 1 })
	bad("max_connections", func(c *Config) { c.MaxConnections = 0 })
	bad("max_streams", func(c *Config) { c.MaxStreams = 0 })
	bad("stream_labels", func(c *Config) { c.StreamLabels = make([]string, 21) })
	bad("labels.a-b", func(c *Config) { c.Labels = map[string]string{"a-b": "c"} })
	bad("max_series", func(c *Config) { c.MaxSeries = 0 })
	bad("max_series_per_name", func(c *Config) { c.MaxSeriesPerName = 0 })
	bad("max_buckets", func(c *Config) { c.MaxBuckets = 0 })
	bad("expiry", func(c *Config) { c.Expiry = time.Second })
	c.HTTP, c.Insecure = ":4318", true
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
