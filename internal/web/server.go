package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTime  = 5 * time.Second
	readTime    = 10 * time.Second
	writeTime   = 30 * time.Second
	idleTime    = 2 * time.Minute
	closeTime   = 2 * time.Second // for requests in flight, when weir stops
	headerBytes = 16 << 10
)

// Server is a listener with its handler. A slow or silent client holds a connection for a
// bounded time.
type Server struct {
	listener net.Listener
	http     http.Server
}

// Listen opens the address of c.
func Listen(c Config, h http.Handler, log *slog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	return &Server{listener: l, http: http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr returns the address that is listened on, with the port that was given for port 0.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run answers until ctx ends; then it lets requests in flight end, for two seconds.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			_ = s.http.Close() // it was asked nicely
		}
	})
	err := s.http.Serve(s.listener)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("answer http: %w", err)
}

// Close ends the server at once. It may be called twice, and instead of Run.
func (s *Server) Close() error {
	err := s.http.Close()
	if e := s.listener.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
		return e
	}
	return err
}
