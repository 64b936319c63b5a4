package dockerapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// endpoint is where to connect to, and the address that HTTP is told.
type endpoint struct {
	network, address string
	base             *url.URL
}

// CheckHost returns what is wrong with a host, nil for one that Open accepts.
func CheckHost(host string) error {
	_, err := parseHost(Options{Host: host})
	return err
}

func parseHost(o Options) (endpoint, error) {
	host := o.Host
	if host == "" {
		host = DefaultHost
	}
	scheme, rest, ok := strings.Cut(host, "://")
	if !ok || rest == "" {
		return endpoint{}, fmt.Errorf("docker host %q: write it as unix:///path, tcp://address:port, http://… or https://…", host)
	}
	switch scheme {
	case "unix":
		if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "@") {
			return endpoint{}, fmt.Errorf("docker host %q: give the socket's whole path, as in %s", host, DefaultHost)
		}
		return endpoint{network: "unix", address: rest, base: &url.URL{Scheme: "http", Host: "docker"}}, nil
	case "npipe", "ssh", "fd":
		return endpoint{}, fmt.Errorf("docker host %q: %s:// is not supported, use unix://, tcp://, http:// or https://", host, scheme)
	case "tcp", "http", "https":
		return tcpEndpoint(host, scheme, rest, o)
	}
	return endpoint{}, fmt.Errorf("docker host %q: unknown scheme, use unix://, tcp://, http:// or https://", host)
}

// tcpEndpoint gives tcp:// the ports and the encryption that docker's own client does.
func tcpEndpoint(host, scheme, rest string, o Options) (endpoint, error) {
	secure := scheme == "https" || scheme == "tcp" && (o.CertDir != "" || o.SkipVerify)
	base, port := &url.URL{Scheme: "http"}, "2375"
	if secure {
		base.Scheme, port = "https", "2376"
	}
	switch scheme {
	case "http":
		port = "80"
	case "https":
		port = "443"
	}
	u, err := url.Parse("tcp://" + rest)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" {
		return endpoint{}, fmt.Errorf("docker host %q: write it as %s://address:port", host, scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	base.Host, base.Path = net.JoinHostPort(u.Hostname(), port), strings.TrimSuffix(u.Path, "/")
	return endpoint{network: "tcp", address: base.Host, base: base}, nil
}

func (e endpoint) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return d.DialContext(ctx, e.network, e.address)
}

// ErrNoCertificates is the error of Open for a folder without certificates.
var ErrNoCertificates = errors.New("neither ca.pem nor cert.pem")

// tlsConfig reads the certificates. Files that do not exist are done without: an engine may
// ask for no client certificate, or have one that the system trusts.
func tlsConfig(o Options) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.SkipVerify}
	if o.CertDir == "" {
		return c, nil
	}
	ca, err := os.ReadFile(filepath.Join(o.CertDir, "ca.pem"))
	switch {
	case err == nil:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("read certificates: %s holds none", filepath.Join(o.CertDir, "ca.pem"))
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	certFile, keyFile := filepath.Join(o.CertDir, "cert.pem"), filepath.Join(o.CertDir, "key.pem")
	if _, err := os.Stat(certFile); errors.Is(err, os.ErrNotExist) {
		if c.RootCAs == nil {
			return nil, fmt.Errorf("read certificates: %s has %w", o.CertDir, ErrNoCertificates)
		}
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
