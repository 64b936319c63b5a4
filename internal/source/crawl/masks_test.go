package crawl

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver/delivertest"
)

// TestMasks has servers that say what was sent to them, in their errors.
func TestMasks(t *testing.T) {
	echo := func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			fmt.Fprint(rw, `{"access_token":"hush-token"}`)
			return
		}
		http.Error(rw, r.Header.Get("Authorization")+" "+r.URL.RawQuery, http.StatusForbidden)
	}
	for name, change := range map[string]func(*Config, *Stream){
		"basic":  func(c *Config, _ *Stream) { c.Auth.Basic = Basic{"leo", "hush"} },
		"bearer": func(c *Config, _ *Stream) { c.Auth.Bearer = "hush-token" },
		"header": func(c *Config, _ *Stream) { c.Headers = map[string]config.Secret{"Authorization": "Key hush-key"} },
		"prefix": func(c *Config, s *Stream) { c.Auth.Bearer = "hush"; s.Query["api_key"] = "hushhush" },
		"query":  func(_ *Config, s *Stream) { s.Query["api_key"] = "hush hush" },
		"url":    func(_ *Config, s *Stream) { s.URL += "?sig=hush%2Fhush" },
		"oauth2": func(c *Config, _ *Stream) {
			c.Auth.OAuth2 = OAuth2{TokenURL: "https://login.acme.test/token", ClientID: "weir", ClientSecret: "s"}
		},
	} {
		w := newWorld(t)
		w.api = echo
		c := standard(nil)
		s := c.Streams["events"]
		change(&c, &s)
		c.Streams["events"] = s
		w.once(c)
		p := w.problem()
		for _, secret := range []string{"hush", "bGVvOmh1c2g"} {
			if strings.Contains(p, secret) || !strings.Contains(p, "***") {
				t.Errorf("%s: %s", name, p)
			}
		}
	}
}

// TestReason has servers that say things where a status and its reason, or an error's name, should be.
func TestReason(t *testing.T) {
	long := strings.Repeat("long ", 20_000)
	for name, answer := range map[string]string{
		"reason":    "HTTP/1.1 403 hush-token \x1b[31m" + long + "\r\nContent-Length: 0\r\n\r\n",
		"no status": "HTTP/1.1 hush-token \x1b[31m" + long + "\r\nContent-Length: 0\r\n\r\n",
		"header":    "HTTP/1.1 200 OK\r\nhush-token" + long + "\r\n\r\n",
		"location":  "HTTP/1.1 302 Found\r\nLocation: http://" + strings.Repeat("hush-token.", 5000) + "\r\n\r\n",
	} {
		for _, token := range []bool{false, true} {
			_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprint(conn, answer)
			})
			c.Auth.Bearer = "hush-token"
			if token {
				c.Auth = Auth{OAuth2: OAuth2{TokenURL: c.Streams["events"].URL, ClientID: "weir", ClientSecret: "hush-token"}}
			}
			err := followed(t, c)
			if err == nil || len(err.Error()) > 1000 || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%s: %.2000v", name, err)
			}
		}
	}
}

// followed returns the error of asking for the first page of the only stream.
func followed(t *testing.T, c Config) error {
	w := newWorld(t)
	st := w.source(c, true).streams[0]
	_ = st.open(&worldLine{w, "acme/events"})
	_ = st.begin(t.Context())
	_, _, err := st.asks.follow(t.Context(), &variables{}, nil)
	return err
}

// TestProxySecret has a proxy that repeats its password: for a page, for CONNECT and for a token.
func TestProxySecret(t *testing.T) {
	for name, change := range map[string]func(*Config, *Stream){
		"http":  func(_ *Config, s *Stream) { s.URL = "http://api.acme.test/v1/events" },
		"https": func(_ *Config, s *Stream) { s.URL = "https://api.acme.test/v1/events" },
		"token": func(c *Config, _ *Stream) {
			c.Auth.OAuth2 = OAuth2{TokenURL: "https://login.acme.test/token", ClientID: "weir", ClientSecret: "s"}
		},
	} {
		c := standard(nil)
		s := c.Streams["events"]
		change(&c, &s)
		c.Streams["events"], c.Proxy = s, config.Secret(delivertest.Proxy(delivertest.Start(t, http.StatusBadGateway)))
		err := followed(t, c)
		delivertest.Hidden(t, name, fmt.Sprint(err))
	}
}

// TestTrailer has a server that says something where a trailer should be.
func TestTrailer(t *testing.T) {
	_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n%s\r\n\r\n", r.Header.Get("Authorization"))
	})
	c.Auth.Bearer = delivertest.Secret
	w := newWorld(t)
	w.once(c)
	delivertest.Hidden(t, "trailer", w.problem())
}

// TestTokenError shows what a server of tokens says, without what it was told.
func TestTokenError(t *testing.T) {
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(rw, `{"error":"invalid_client: hush-secret \u001b[31m"}`)
	}
	c := standard(nil)
	c.Auth.OAuth2 = OAuth2{TokenURL: "https://login.acme.test/token", ClientID: "weir", ClientSecret: "hush-secret"}
	w.once(c)
	if want := "token of https://login.acme.test: the answer is 401 Unauthorized: invalid_client: *** \uFFFD[31m"; !strings.HasSuffix(w.problem(), want) {
		t.Errorf("%s, want %s", w.problem(), want)
	}
}

// TestCertificateStaysAtHome shows the certificate of weir's to the configured host alone.
func TestCertificateStaysAtHome(t *testing.T) {
	shown := map[string]int{} // certificates, by path
	var mu sync.Mutex
	serve := func(answer http.HandlerFunc) *httptest.Server {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			shown[r.URL.Path] = len(r.TLS.PeerCertificates)
			mu.Unlock()
			answer(rw, r)
		}))
		server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	other := serve(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, one) })
	home := serve(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL+"/there", http.StatusFound)
	})
	dir := t.TempDir()
	pair := home.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c := standard(func(s *Stream) { s.URL = home.URL + "/home" })
	c.AllowPrivate, c.TLS.Verify = true, false
	c.TLS.Cert, c.TLS.Key = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for path, block := range map[string]pem.Block{c.TLS.Cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, c.TLS.Key: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(&block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	w.once(c)
	w.expect("one")
	if shown["/home"] != 1 || shown["/there"] != 0 || w.problem() != "" {
		t.Errorf("certificates shown: %v; %s", shown, w.problem())
	}
}
