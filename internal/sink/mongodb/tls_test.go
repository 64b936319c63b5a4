package mongodb

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTLS goes over TLS, with the certificate that the sink is told to trust, and not with any
// other.
func TestTLS(t *testing.T) {
	issuer := httptest.NewTLSServer(nil)
	defer issuer.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: issuer.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	secure := serve(t, l)
	w := newWorld(t, func(c *Config) { c.Timeout = 2 * time.Second })
	w.config.URL = "mongodb://" + l.Addr().String() + "/?tls=true"
	w.open()
	if err := w.sink.Write(t.Context(), batch(1, 1)); err == nil {
		t.Error("a certificate that nobody knows passes")
	}
	w.config.TLS.CA = ca
	w.open()
	w.write(batch(1, 3))
	secure.mu.Lock()
	defer secure.mu.Unlock()
	if len(secure.documents) != 3 {
		t.Errorf("%d documents came", len(secure.documents))
	}
}
