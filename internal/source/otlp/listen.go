package otlp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
)

const (
	// headerTime and bodyTime are how long a request may take to come in.
	headerTime = 10 * time.Second
	bodyTime   = time.Minute
	// quietTime is how long a connection stays without a request.
	quietTime = 5 * time.Minute
	// maxHeaderBytes bounds the headers of a request.
	maxHeaderBytes = 64 << 10
	// maxStreamsOfOne is how many requests one connection of HTTP/2 may have in work.
	maxStreamsOfOne = 100
	// windowBytes is how much of one connection of HTTP/2 may wait to be read.
	windowBytes = 1 << 20
)

// listener takes requests at one address.
type listener struct {
	source  *Source
	address string
	tls     *tls.Config

	mu     sync.Mutex // guards all below
	before net.Listener
	bound  net.Addr // once it listens
	ready  chan struct{}
}

func newListener(s *Source, address string) (*listener, error) {
	l := &listener{source: s, address: address, ready: make(chan struct{})}
	if t := s.cfg.TLS; t != nil {
		var err error
		if l.tls, err = t.config(); err != nil {
			return nil, err
		}
	}
	l.before, _ = s.deps.Handover.Take(l.key()).(net.Listener)
	return l, nil
}

// key tells what is opened for a reload to find.
func (l *listener) key() string { return "otlp " + l.address }

// config returns t as crypto/tls has it.
func (t *TLS) config() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.ClientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read tls.client_ca: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read tls.client_ca: %s holds no certificates", t.ClientCA)
	}
	return c, nil
}

// run listens until ctx ends, and then until the requests that are in work are answered. For a
// reload it leaves the address open.
func (l *listener) run(ctx context.Context) error {
	accepting, err := l.open(ctx)
	if err != nil {
		return err
	}
	l.listens(accepting.Addr())
	gate := &gate{Listener: accepting, source: l.source, free: make(chan struct{}, l.source.cfg.MaxConnections)}
	server := l.server()
	ended := make(chan error, 1)
	go func() {
		if l.tls != nil {
			ended <- server.ServeTLS(gate, "", "")
			return
		}
		ended <- server.Serve(gate)
	}()
	select {
	case err = <-ended:
		return errors.Join(err, accepting.Close())
	case <-ctx.Done():
	}
	reload := errors.Is(context.Cause(ctx), flow.ErrReload)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close()
	}
	<-ended
	if reload {
		l.source.deps.Handover.Leave(l.key(), accepting)
		return nil
	}
	return accepting.Close()
}

// open returns the listener that was left open, or a new one.
func (l *listener) open(ctx context.Context) (net.Listener, error) {
	l.mu.Lock()
	before := l.before
	l.before = nil
	l.mu.Unlock()
	if before != nil {
		if d, ok := before.(interface{ SetDeadline(time.Time) error }); ok {
			_ = d.SetDeadline(time.Time{})
		}
		return before, nil
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", l.address)
}

// listens notes that the address is taken.
func (l *listener) listens(at net.Addr) {
	l.mu.Lock()
	l.bound = at
	l.mu.Unlock()
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
	l.source.problem(l.address, nil)
	l.source.deps.Log.Info("listening", "address", at.String())
}

func (l *listener) server() *http.Server {
	server := &http.Server{
		Handler: l.source.handler, TLSConfig: l.tls.Clone(), Protocols: new(http.Protocols),
		ReadHeaderTimeout: headerTime, IdleTimeout: quietTime, MaxHeaderBytes: maxHeaderBytes,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreamsOfOne, MaxReceiveBufferPerConnection: windowBytes, MaxReceiveBufferPerStream: windowBytes},
		ErrorLog: slog.NewLogLogger(l.source.deps.Log.Handler(), slog.LevelDebug), // connections that fail
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}

// gate lets so many connections in at a time. Closing it leaves the address open.
type gate struct {
	net.Listener
	source *Source
	free   chan struct{}
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case g.free <- struct{}{}:
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { <-g.free })}, nil
		default:
			g.source.deps.Ledger.Event("connection refused: too many")
			_ = conn.Close()
		}
	}
}

// Close implements net.Listener: it ends Accept.
func (g *gate) Close() error {
	if d, ok := g.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		return d.SetDeadline(time.Now())
	}
	return g.Listener.Close()
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *guest) Close() error {
	c.leave()
	return c.Conn.Close()
}
