package redis

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTLS goes over TLS to the server, with the certificate that the sink is told to trust, and
// not with any other.
func TestTLS(t *testing.T) {
	issuer := httptest.NewTLSServer(nil)
	defer issuer.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	front, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: issuer.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	plain := strings.TrimPrefix(w.config.URL, "redis://")
	ended.Go(func() { forward(front, plain, &ended) })
	w.config.URL, w.config.Timeout = "rediss://"+front.Addr().String(), 5*time.Second
	w.open()
	if err := w.sink.Write(t.Context(), batch(1, 1)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with a certificate that nobody knows: %v", err)
	}
	w.config.TLS.CA = ca
	w.open()
	w.write(batch(1, 3))
	if got := w.bodies(key); !slices.Equal(got, lines(1, 3)) {
		t.Errorf("the stream has %q", got)
	}
	w.sink.Close()
	front.Close()
	ended.Wait()
}

// forward passes on what comes to l.
func forward(l net.Listener, to string, ended *sync.WaitGroup) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		pass := func(dst, src net.Conn) {
			_, _ = io.Copy(dst, src)
			dst.Close()
			src.Close()
		}
		ended.Go(func() { pass(out, in) })
		ended.Go(func() { pass(in, out) })
	}
}
