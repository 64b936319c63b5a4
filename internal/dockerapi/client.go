// Package dockerapi asks a Docker Engine what a follower of logs and of numbers needs to
// know, with requests that change nothing: it works through a socket proxy that allows GET
// alone.
//
//	c, err := dockerapi.Open(dockerapi.Options{Host: "unix:///var/run/docker.sock"})
//	all, err := c.Containers(ctx)
//	log, err := c.Logs(ctx, all[0].ID, dockerapi.LogOptions{Follow: true})
//	for {
//		m, err := log.Next()
//		…
//	}
//
// It is a client of our own on net/http, because github.com/moby/moby/client speaks no API
// older than 1.40, and engines down to 1.24 (Docker 1.12) are to be followed.
//
// The API version is agreed on before the first request, and again after a connection
// failed, as another engine may have come back. Answers are bounded in size and time;
// Events and Logs may last and end with their context. Errors of the engine are *Error and
// match ErrNotFound and its like; an engine that is not there shows as the error of the
// operating system (os.ErrNotExist, os.ErrPermission, syscall.ECONNREFUSED).
//
// A Client may be used concurrently; an Events or a Logs belongs to one goroutine. The
// package reads no environment variables, and leaves out retrying and everything that
// would change something.
package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// DefaultHost is where the engine of this machine listens.
const DefaultHost = "unix:///var/run/docker.sock"

// Bounds of answers.
const (
	maxAnswerBytes = 64 << 20 // a list of thousands of containers with their labels
	maxErrorBytes  = 8 << 10
	maxHeaderBytes = 64 << 10
	defaultTimeout = 30 * time.Second
)

// Options say where the engine is.
type Options struct {
	// Host is unix://, tcp://, http:// or https:// and an address, as in DOCKER_HOST;
	// empty means DefaultHost.
	Host string
	// CertDir has ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH; with it, tcp:// is
	// spoken over TLS. Files that are not there are done without. Empty: no certificates.
	CertDir string
	// SkipVerify accepts any certificate of the engine, as an empty DOCKER_TLS_VERIFY.
	SkipVerify bool
	// Timeout bounds every request but the streams, and those up to their first byte;
	// zero means 30 s.
	Timeout time.Duration
}

// Client speaks to one engine.
type Client struct {
	http    *http.Client
	base    *url.URL
	timeout time.Duration

	mu      sync.Mutex // guards version
	version string     // agreed on; "" until then and after a failure
}

// Open reads the certificates, if any, and returns a client. It does not connect.
func Open(o Options) (*Client, error) {
	e, err := parseHost(o)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	transport := &http.Transport{
		DialContext:            e.dial,
		DisableCompression:     true,
		MaxIdleConns:           4,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  o.Timeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	if e.base.Scheme == "https" {
		if transport.TLSClientConfig, err = tlsConfig(o); err != nil {
			return nil, err
		}
	}
	return &Client{
		http:    &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		base:    e.base,
		timeout: o.Timeout,
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// getJSON decodes the answer to a request into v.
func (c *Client) getJSON(ctx context.Context, path string, query url.Values, v any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return err
	}
	if len(body) > maxAnswerBytes {
		return errors.New("the answer is too large")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// get makes a request of the agreed version. The caller closes the body.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	for try := 1; ; try++ {
		version, err := c.negotiated(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := c.raw(ctx, "/v"+version+path, query)
		if err == nil {
			return resp, nil
		}
		var e *Error
		stale := errors.As(err, &e) && e.Status == http.StatusBadRequest && strings.Contains(e.Message, "client version")
		if stale || e == nil && ctx.Err() == nil {
			c.forget(version)
		}
		if !stale || try > 1 { // another engine may have taken the place of the one we asked
			return nil, err
		}
	}
}

// raw makes a request without a version. An answer other than 200 is an error.
func (c *Client) raw(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "weir")
	resp, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the made-up address of a socket would only confuse
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	return nil, newError(resp.StatusCode, body)
}
