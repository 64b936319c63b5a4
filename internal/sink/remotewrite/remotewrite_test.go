package remotewrite

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/remotewrite"
	"github.com/weirlog/weir/internal/config"
)

// TestAllIsSent sends a past over several windows and requests, in both versions.
func TestAllIsSent(t *testing.T) {
	for _, protocol := range []Protocol{V1, V2} {
		t.Run(string(protocol), func(t *testing.T) {
			w := newWorld(t, 30, 2000) // 60,000 samples
			w.config.Protocol, w.config.MaxSamples = protocol, 700
			w.config.Labels = map[string]string{"job": "weir", "path": "is the series' own", "zone": "b"}
			s := w.run()
			w.receiver.has(w.past, 0, remotewrite.Label{Name: "job", Value: "weir"}, remotewrite.Label{Name: "zone", Value: "b"})
			w.dropped(map[string]int{})
			if w.book.sent != 60_000 || w.receiver.largest > 700 || w.book.problem != "" {
				t.Errorf("sent %d, at most %d at once, %q", w.book.sent, w.receiver.largest, w.book.problem)
			}
			if w.book.behind != 0 || w.book.most < 20*time.Minute || s.LastFlush().IsZero() {
				t.Errorf("behind %v, at most %v, last flush %v", w.book.behind, w.book.most, s.LastFlush())
			}
			for key, got := range w.receiver.series {
				detail := fmt.Sprint(got.Type, got.Help, got.Start)
				if want := fmt.Sprint(remotewrite.Counter, "Hits.", w.past.rounds[0]-1); protocol == V2 && detail != want || protocol == V1 && got.Help != "" {
					t.Errorf("%s: %s; want %s", key, detail, want)
				}
			}
		})
	}
}

// TestNewRounds are sent as they come.
func TestNewRounds(t *testing.T) {
	w := newWorld(t, 2, 1)
	rounds := 0
	w.runUntil(func() bool {
		if w.state.cursor() < w.past.newest() {
			return false
		}
		if rounds++; rounds <= 3 {
			w.past.round()
		}
		return rounds > 3
	})
	w.receiver.has(w.past, 0)
}

// TestOutage repeats what a receiver cannot take, and what never reaches one.
func TestOutage(t *testing.T) {
	w := newWorld(t, 10, 100)
	w.config.MaxSamples = 100
	abort := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	lost := func(w http.ResponseWriter, _ *http.Request) bool { // it takes them, and its answer gets lost
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	w.receiver.next(status(503), abort, status(500), lost, status(429), status(302))
	w.run()
	w.receiver.has(w.past, 0)
	w.dropped(map[string]int{})
	if w.book.sent != 1000 || w.receiver.requests != 16 || w.book.problem != "" {
		t.Errorf("sent %d in %d requests, %q", w.book.sent, w.receiver.requests, w.book.problem)
	}
	if all := strings.Join(w.book.told, "\n"); !strings.Contains(all, "503 Service Unavailable: as the test wants") {
		t.Errorf("told: %s", all)
	}
}

// TestNativeDisabled names the setting that a receiver without native histograms needs: such a
// Prometheus answers 500, for good.
func TestNativeDisabled(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.receiver.next(func(rw http.ResponseWriter, _ *http.Request) bool {
		http.Error(rw, "native histograms are disabled", http.StatusInternalServerError)
		return false
	})
	w.run()
	if !strings.Contains(w.book.remedy, "send_native_histograms: false") {
		t.Errorf("remedy: %s", w.book.remedy)
	}
}

// TestNobodyListens waits for a receiver, and says so.
func TestNobodyListens(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.config.URL = "http://127.0.0.1:1/api/v1/write"
	w.runUntil(func() bool {
		w.book.mu.Lock()
		defer w.book.mu.Unlock()
		return len(w.book.told) > 2
	})
	if want := "send to http://127.0.0.1:1/api/v1/write: dial: connect: connection refused"; w.book.problem != want {
		t.Errorf("%q; want %q", w.book.problem, want)
	}
	if w.book.behind < step || w.state.cursor() != beginning {
		t.Errorf("behind %v, cursor %d", w.book.behind, w.state.cursor())
	}
}

// TestRefused drops what a receiver refuses for good, counts it, and goes on.
func TestRefused(t *testing.T) {
	w := newWorld(t, 10, 100)
	w.config.MaxSamples = 100
	w.receiver.next(status(400), status(401))
	w.run()
	w.dropped(map[string]int{"refused with status 400": 100, "refused with status 401": 100})
	if w.book.sent != 800 || w.receiver.requests != 10 {
		t.Errorf("sent %d in %d requests", w.book.sent, w.receiver.requests)
	}
	if !strings.Contains(w.book.problem, "401 Unauthorized") {
		t.Errorf("%q", w.book.problem)
	}
	w.past.round()
	w.run()
	if w.book.problem != "" {
		t.Errorf("after a window that was taken: %q", w.book.problem)
	}
}

// TestRetryAfter leaves a receiver alone for as long as it asks.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.receiver.next(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return false
	})
	began := time.Now()
	w.run()
	if took := time.Since(began); took < time.Second {
		t.Errorf("sent again after %v", took)
	}
	w.receiver.has(w.past, 0)
}

// TestConfirmed counts what a receiver of version 2 says it has written.
func TestConfirmed(t *testing.T) {
	confirm := func(code int, written string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if written != "" {
				w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", written)
			}
			w.WriteHeader(code)
			return false
		}
	}
	check := func(code int, written string, sent int, dropped map[string]int) {
		t.Helper()
		w := newWorld(t, 10, 1)
		w.config.Protocol = V2
		w.receiver.next(confirm(code, written))
		w.run()
		w.dropped(dropped)
		if w.book.sent != sent || w.book.problem == "" {
			t.Errorf("%d %q: sent %d, want %d; %q", code, written, w.book.sent, sent, w.book.problem)
		}
	}
	check(204, "", 0, map[string]int{"not confirmed": 10})
	check(204, "7", 7, map[string]int{"not written by the receiver": 3})
	check(400, "7", 7, map[string]int{"refused with status 400": 3})
	check(415, "", 0, map[string]int{"refused with status 415": 10})
}

// TestCrash goes on from the kept cursor: what was taken after it comes again, nothing is
// missing.
func TestCrash(t *testing.T) {
	w := newWorld(t, 10, 100)
	w.run()
	for range 50 {
		w.past.round()
	}
	w.run()
	w.state.Store(StatePrefix+"central", binary.LittleEndian.AppendUint64(nil, uint64(w.past.rounds[80])))
	w.past.round()
	w.run()
	w.receiver.has(w.past, 0)
	if want := 10 * (150 + 70); w.book.sent != want {
		t.Errorf("sent %d; want %d", w.book.sent, want)
	}
}

// TestStart begins where it should, and stays there over a restart.
func TestStart(t *testing.T) {
	check := func(start string, from int) {
		t.Helper()
		w := newWorld(t, 1, 100)
		w.config.Start = start
		s := w.sink()
		s.resume(time.UnixMilli(w.past.newest()))
		if kept := w.state.cursor(); kept != s.cursor {
			t.Errorf("%s: kept %d, is at %d", start, kept, s.cursor)
		}
		w.past.round()
		w.run()
		w.receiver.has(w.past, from)
	}
	check("beginning", 0)
	check("end", 100)
	check("1m", 96)
}

// TestHistoryGoesBack: when the rounds of a clock that was ahead are set aside, those that
// come after them are sent, be the sink running or started later.
func TestHistoryGoesBack(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.run()
	clear(w.receiver.got) // else it refuses times before those that it has
	w.past.resumed = w.past.rounds[59]
	w.past.rounds = append(w.past.rounds[:60], w.past.resumed+1, w.past.resumed+2)
	w.runUntil(func() bool { return w.state.cursor() == w.past.newest() })
	if w.book.sent != 102 || w.state.cursor() != w.past.newest() {
		t.Errorf("sent %d, the cursor is %d ms before the newest", w.book.sent, w.past.newest()-w.state.cursor())
	}
}

// TestHistoryGoesBackInAnOutage: the same while the receiver is away, and for so long that the history
// has come past the cursor again when it is back.
func TestHistoryGoesBackInAnOutage(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.run()
	clear(w.receiver.got)
	w.past.round()
	w.receiver.next(func(rw http.ResponseWriter, r *http.Request) bool {
		w.past.mu.Lock()
		defer w.past.mu.Unlock()
		w.past.resumed = w.past.rounds[59]
		w.past.rounds = append(w.past.rounds[:60], w.past.resumed+1, w.past.resumed+2)
		return status(503)(rw, r)
	}, func(rw http.ResponseWriter, r *http.Request) bool {
		for range 50 {
			w.past.round()
		}
		return status(503)(rw, r)
	})
	w.runUntil(func() bool {
		w.past.mu.Lock()
		defer w.past.mu.Unlock()
		return len(w.past.rounds) > 100 && w.state.cursor() == w.past.newest()
	})
	if w.book.sent != 100+2+50 {
		t.Errorf("sent %d", w.book.sent)
	}
}

// TestNotKept counts the rounds that the history let go before they were sent.
func TestNotKept(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.state.Store(StatePrefix+"central", binary.LittleEndian.AppendUint64(nil, uint64(w.past.rounds[0])))
	w.past.rounds = w.past.rounds[41:]
	w.run()
	w.dropped(map[string]int{"round that the history did not keep": 40})
	if w.book.sent != 59 {
		t.Errorf("sent %d", w.book.sent)
	}
}

// TestUnreadable gives up a window that cannot be read, but not one of a closed history.
func TestUnreadable(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.past.broken = errors.New("a damaged block")
	w.run()
	w.dropped(map[string]int{"window that cannot be read": 1})
	if !strings.Contains(w.book.problem, "a damaged block") {
		t.Error(w.book.problem)
	}
}

// TestSignIn has both ways, and own headers.
func TestSignIn(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.config.BasicAuth = BasicAuth{"weir", "s3cret"}
	w.config.Headers = map[string]config.Secret{"X-Scope-OrgID": "shop"}
	w.run()
	r := &http.Request{Header: w.receiver.header}
	if name, password, _ := r.BasicAuth(); name != "weir" || password != "s3cret" || r.Header.Get("X-Scope-OrgID") != "shop" {
		t.Errorf("%v", r.Header)
	}
	w = newWorld(t, 1, 1)
	w.config.BearerToken = "t0ken"
	w.run()
	if got := w.receiver.header.Get("Authorization"); got != "Bearer t0ken" {
		t.Error(got)
	}
}

// TestTLS trusts the certificates that it is told to, and no others.
func TestTLS(t *testing.T) {
	w := newWorld(t, 3, 3)
	secured := httptest.NewUnstartedServer(w.receiver)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer secured.Close()
	w.config.URL = secured.URL + "/api/v1/write"
	w.runUntil(func() bool {
		w.book.mu.Lock()
		defer w.book.mu.Unlock()
		return strings.Contains(w.book.problem, "certificate")
	})
	w.config.TLS.CA = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.Certificate().Raw})
	if err := os.WriteFile(w.config.TLS.CA, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.receiver.has(w.past, 0)
	// The same certificate serves as weir's own.
	key, err := x509.MarshalPKCS8PrivateKey(secured.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		t.Fatal(err)
	}
	asking := httptest.NewUnstartedServer(w.receiver)
	asking.Config.ErrorLog = log.New(io.Discard, "", 0)
	asking.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	asking.StartTLS()
	defer asking.Close()
	w.config.URL = asking.URL + "/api/v1/write"
	w.past.round()
	w.runUntil(func() bool {
		w.book.mu.Lock()
		defer w.book.mu.Unlock()
		return strings.Contains(w.book.problem, "certificate required")
	})
	w.config.TLS.Cert, w.config.TLS.Key = w.config.TLS.CA, name
	w.run()
	w.receiver.has(w.past, 0)
	w.config.TLS.CA = filepath.Join(t.TempDir(), "none.pem")
	if err := w.sink().Run(t.Context()); err == nil || !strings.Contains(err.Error(), "tls.ca") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestValidate has what is refused, each with its key.
func TestValidate(t *testing.T) {
	bad := func(key string, change func(*Config)) {
		t.Helper()
		c := Default()
		c.URL = "http://127.0.0.1:9090/api/v1/write"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		var p *config.Problem
		if err := c.Validate(); !errors.As(err, &p) || p.Key != key {
			t.Errorf("%+v: %v; want a problem with %s", c, err, key)
		}
	}
	for _, text := range []string{"", "127.0.0.1:9090", "ftp://a/b", "http://a", "http://a/", "http://u:p@a/b", "http:///b"} {
		bad("url", func(c *Config) { c.URL = text })
	}
	bad("start", func(c *Config) { c.Start = "yesterday" })
	bad("labels", func(c *Config) { c.Labels = map[string]string{"a-b": ""} })
	bad("labels", func(c *Config) { c.Labels = map[string]string{"__name__": "x"} })
	bad("headers", func(c *Config) { c.Headers = map[string]config.Secret{"content-type": "x"} })
	bad("headers", func(c *Config) { c.Headers = map[string]config.Secret{"a b": "x"} })
	bad("headers", func(c *Config) { c.Headers = map[string]config.Secret{"a": "x\r\nb: c"} })
	bad("bearer_token", func(c *Config) { c.BearerToken = "t0ken\n" })
	bad("bearer_token", func(c *Config) { c.BearerToken, c.BasicAuth.Username = "t", "u" })
	bad("tls", func(c *Config) { c.TLS.Cert = "cert.pem" })
	bad("timeout", func(c *Config) { c.Timeout = time.Millisecond })
	bad("max_samples", func(c *Config) { c.MaxSamples = 0 })
}
