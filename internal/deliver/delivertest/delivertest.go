// Package delivertest has receivers and proxies that repeat what they were told in secret.
package delivertest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Secret is in everything that a test signs in with. It is another text as a URL has it, and in JSON.
const Secret = `hush/hu"sh`

// Said returns what somebody says who repeats what came with a request.
func Said(h http.Header) string {
	for _, name := range []string{"Proxy-Authorization", "Authorization", "Dd-Api-Key", "X-Api-Key"} {
		value := h.Get(name)
		if value == "" {
			continue
		}
		plain := value
		if text, ok := strings.CutPrefix(value, "Basic "); ok {
			value = text
			text, _ := base64.StdEncoding.DecodeString(value)
			plain = string(text)
		}
		// Only the beginning of an answer is shown.
		return strings.Join([]string{value, url.QueryEscape(value), fmt.Sprintf("%q", plain), url.PathEscape(plain)}, " ")
	}
	return "nothing"
}

// Start starts a receiver that refuses everything with a status, and a proxy that does.
func Start(t testing.TB, status int) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, Said(r.Header), status)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 407 Denied %s\r\nContent-Length: 0\r\n\r\n", Said(r.Header))
	}))
	t.Cleanup(s.Close)
	return s
}

// Proxy returns the address of a server with a name and a password.
func Proxy(s *httptest.Server) string {
	u, _ := url.Parse(s.URL)
	u.User = url.UserPassword("weir", Secret)
	return u.String()
}

// Hidden sees that a text has what was said, without a secret.
func Hidden(t testing.TB, what, text string) {
	t.Helper()
	for _, secret := range []string{"hush", "aHVza", "d2VpcjpodX"} { // the last ones are base64
		if strings.Contains(text, secret) {
			t.Errorf("%s: it shows %s", what, text)
			return
		}
	}
	if !strings.Contains(text, "***") {
		t.Errorf("%s: it shows nothing of what was said: %s", what, text)
	}
}

// Behind runs the test again in a process whose environment names a proxy, as net/http looks
// there once. It tells whether this is that process.
func Behind(t *testing.T) bool {
	t.Helper()
	const mark = "WEIR_TEST_BEHIND_PROXY"
	if os.Getenv(mark) != "" {
		return true
	}
	proxy := Proxy(Start(t, http.StatusBadGateway))
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), mark+"=1", "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "NO_PROXY=", "no_proxy=")
	if text, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	return false
}
