package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// sessionTime is how long a browser stays signed in.
const sessionTime = 30 * 24 * time.Hour

// guard asks for one token. The zero guard lets everyone pass.
type guard struct{ token config.Secret }

// open tells whether r may pass.
func (g guard) open(r *http.Request) bool {
	if g.token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && g.is(strings.TrimSpace(token)) {
		return true
	}
	// Who can send no such header, as many of Loki's clients, has the token as its password.
	if _, password, ok := r.BasicAuth(); ok && g.is(password) {
		return true
	}
	cookie, err := r.Cookie(g.cookieName())
	return err == nil && subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(g.derive("session"))) == 1
}

// is compares in a time that tells neither the token nor its length.
func (g guard) is(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.token))
	return token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// derive returns a text that only who knows the token can make, and that does not tell it.
func (g guard) derive(purpose string) string {
	mac := hmac.New(sha256.New, []byte(g.token))
	mac.Write([]byte("weir " + purpose))
	return hex.EncodeToString(mac.Sum(nil))
}

// cookieName differs by token: cookies do not tell ports apart, and there may be another
// weir on the host.
func (g guard) cookieName() string { return "weir_" + g.derive("cookie")[:8] }

// signIn gives the browser its cookie.
func (g guard) signIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: g.cookieName(), Value: g.derive("session"), Path: "/", MaxAge: int(sessionTime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// secureHeaders are on every answer. What is shown may have come from anyone who can make
// a program log something.
func secureHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
}

// hostAllowed protects a listener on loopback from DNS rebinding: a page from elsewhere
// whose name suddenly means this machine sends its own name along.
func (c Config) hostAllowed(r *http.Request) bool {
	listen, _, _ := net.SplitHostPort(c.Listen)
	if !isLoopback(listen) {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	return isLoopback(host) || strings.HasSuffix(host, ".localhost") || slices.Contains(c.Hosts, host)
}

// isLoopback tells whether host, a name or an address, is this machine alone.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
