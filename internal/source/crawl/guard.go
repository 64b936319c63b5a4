package crawl

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// dialTimeout is how long a connection may take to come about.
const dialTimeout = 30 * time.Second

// privateRanges are of this machine and of private networks, besides those that package
// netip knows: what a server must not make weir ask by naming it. The last ones hide an IPv4 address.
var privateRanges = []string{
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4",
	"fec0::/10", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96",
}

// isPublic tells whether an address is one of the open network.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(privateRanges, func(r string) bool { return netip.MustParsePrefix(r).Contains(a) })
}

// errPrivate says that a server has led weir to where it must not go.
type errPrivate struct{ address string }

func (e errPrivate) Error() string {
	return fmt.Sprintf("the server leads to %s, which is no public address; permit that with allow_private", e.address)
}

// guard opens connections: to the hosts that the configuration names wherever they are, to
// others only if they are public. It looks at the address that is dialed, since a name may
// lead anywhere.
type guard struct {
	trusted []string // host:port
	all     bool
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	if !g.all && !slices.Contains(g.trusted, strings.ToLower(address)) {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !isPublic(at.Addr()) {
				return errPrivate{address}
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// hostPort returns where a URL leads, as guard and http.Transport have it.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return strings.ToLower(net.JoinHostPort(u.Hostname(), port))
}

// newTransport returns a transport for requests to these hosts, and wherever they lead.
func (c *Config) newTransport(trusted ...string) (*http.Transport, error) {
	t := &http.Transport{
		DisableCompression: true, // it would hide how much there is
		ForceAttemptHTTP2:  true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: dialTimeout, MaxResponseHeaderBytes: 256 << 10,
	}
	if c.Proxy != "" {
		proxy, err := url.Parse(string(c.Proxy))
		if err != nil {
			return nil, err
		}
		t.Proxy = http.ProxyURL(proxy)
		trusted = append(trusted, hostPort(proxy))
	}
	g := &guard{trusted: trusted, all: c.AllowPrivate}
	t.DialContext = g.dial
	var err error
	t.TLSClientConfig, err = c.TLS.Config()
	return t, err
}

// homely makes requests so that the certificate that says who weir is goes home alone.
type homely struct {
	a               *asking
	here, elsewhere http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (h homely) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.a.atHome(r.URL) {
		return h.here.RoundTrip(r)
	}
	return h.elsewhere.RoundTrip(r)
}

// newClient returns a client that follows no redirects by itself.
func (a *asking) newClient() (*http.Client, error) {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	here, err := a.cfg.newTransport(hostPort(a.home))
	if c.Transport = here; err != nil || a.cfg.TLS.Cert == "" {
		return c, err
	}
	bare := *a.cfg
	bare.TLS.Cert, bare.TLS.Key = "", ""
	elsewhere, err := bare.newTransport(hostPort(a.home))
	c.Transport = homely{a, here, elsewhere}
	return c, err
}
