package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
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

	mu       sync.Mutex // guards closed, and adding to handling
	closed   bool
	handling sync.WaitGroup // handlers, also those that took their connection over
}

// Listen opens the address of c.
func Listen(c Config, h http.Handler, log *slog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	s := &Server{listener: l}
	s.http = http.Server{
		Handler: s.counted(h), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// counted lets Run wait for handlers.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.handling.Add(1)
		}
		s.mu.Unlock()
		if closed {
			http.Error(w, "weir stops", http.StatusServiceUnavailable)
			return
		}
		defer s.handling.Done()
		h.ServeHTTP(w, r)
	})
}

// Addr returns the address that is listened on, with the port that was given for port 0.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run answers until ctx ends, and with it the context of each request; then it lets those
// in flight end, for two seconds. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			_ = s.http.Close() // it was asked nicely
		}
		s.wait(grace)
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

// wait waits for handlers, those too that the server knows nothing of because they took
// their connection over, until ctx ends.
func (s *Server) wait(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.handling.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Close ends the server at once. It may be called twice, and instead of Run.
func (s *Server) Close() error {
	err := s.http.Close()
	if e := s.listener.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
		return e
	}
	return err
}
