package deliver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTLSRemedy has a server refused, and one that refuses, for each reason that a key mends.
func TestTLSRemedy(t *testing.T) {
	server := func(c *tls.Config) *httptest.Server {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS, s.Config.ErrorLog = c, log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	open, closed := server(nil), server(&tls.Config{ClientAuth: tls.RequireAnyClientCert})
	known := x509.NewCertPool()
	known.AddCert(open.Certificate())
	known.AddCert(closed.Certificate())
	late := &tls.Config{RootCAs: known, Time: open.Certificate().NotAfter.AddDate(1, 0, 0).Local}
	modern := server(&tls.Config{MinVersion: tls.VersionTLS13})
	for name, c := range map[string]struct {
		server *httptest.Server
		tls    *tls.Config
		want   string
	}{
		"unknown authority": {open, &tls.Config{}, "tls.ca"},
		"another name":      {open, &tls.Config{RootCAs: known, ServerName: "elsewhere"}, "the name"},
		"expired":           {open, late, "valid now"},
		"no certificate":    {closed, &tls.Config{RootCAs: known}, "tls.cert"},
		"another version":   {modern, &tls.Config{RootCAs: known, MaxVersion: tls.VersionTLS12}, ""},
		"an answer":         {open, &tls.Config{RootCAs: known}, ""},
	} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: c.tls}}
		response, err := client.Get(c.server.URL)
		if err == nil {
			_ = response.Body.Close()
			_, err = io.ReadAll(response.Body)
			err = errors.Join(err, errors.New("it was answered"))
		}
		if got := TLSRemedy(err); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %v: %q, want %q", name, err, got, c.want)
		}
		client.CloseIdleConnections()
	}
}
