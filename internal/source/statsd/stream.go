package statsd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	firstBuffer = 4 << 10  // of a connection
	mostBuffer  = 64 << 10 // of one that keeps it full, unless lines are longer
	prefixBytes = 4        // of the length before a packet of DogStatsD's
	maxPacket   = maxDatagram
)

// streams takes connections.
func (l *listener) streams(ctx context.Context) error {
	here, err := l.openStreams(ctx)
	if err != nil {
		return err
	}
	accepting, left := here.accepting, &kept{accepting: here.accepting}
	l.listens(accepting.Addr())
	settle := interrupt(ctx, func() {
		if d, ok := accepting.(interface{ SetDeadline(time.Time) error }); ok && reloads(ctx) {
			_ = d.SetDeadline(time.Now())
			return
		}
		_ = accepting.Close()
	})
	var open sync.WaitGroup
	defer func() {
		settle()
		open.Wait()
		if reloads(ctx) {
			l.source.deps.Handover.Leave(l.key(), left)
		}
	}()
	free := make(chan struct{}, l.source.cfg.MaxConnections)
	serve := func(s *stream) {
		select {
		case free <- struct{}{}:
		default:
			l.source.deps.Ledger.Event("connection refused: too many")
			_ = s.conn.Close()
			return
		}
		open.Go(func() {
			defer func() { <-free }()
			if s.run(ctx) {
				l.mu.Lock()
				left.streams = append(left.streams, s)
				l.mu.Unlock()
			}
		})
	}
	for _, s := range here.streams {
		serve(s.on(l.worker()))
	}
	return l.accept(ctx, accepting, serve)
}

// accept takes connections until ctx ends.
func (l *listener) accept(ctx context.Context, accepting net.Listener, serve func(*stream)) error {
	for {
		conn, err := accepting.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				serve(newStream(l.worker(), conn)) // it is read to what it has, or kept
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			l.source.deps.Ledger.Event("accept failed")
			if !wait(ctx, acceptPause) {
				return nil
			}
			continue
		case err != nil:
			return errors.Join(err, accepting.Close())
		}
		serve(newStream(l.worker(), conn))
	}
}

// openStreams returns what was kept, or listens.
func (l *listener) openStreams(ctx context.Context) (*kept, error) {
	if before := l.before; before != nil {
		l.before = nil
		if d, ok := before.accepting.(interface{ SetDeadline(time.Time) error }); ok {
			_ = d.SetDeadline(time.Time{})
		}
		return before, nil
	}
	if err := unlinkStale(l.network, l.host); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	accepting, err := lc.Listen(ctx, l.network, l.host)
	return &kept{accepting: accepting}, err
}

// worker returns the worker of the next connection.
func (l *listener) worker() *worker { return l.workers[int(l.next.Add(1))%len(l.workers)] }

// acceptPause is for how long no connection is taken when there is no file for it.
const acceptPause = 100 * time.Millisecond

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stream is one connection.
type stream struct {
	worker   *worker
	conn     net.Conn
	from     whence
	buf      []byte    // what was read and is no whole line yet
	begun    time.Time // when that began to come in; zero: it has not
	read     bool      // something was
	framed   bool      // packets with a length before each
	skipping bool      // the rest of a line that is too long
	maxLine  int
}

func newStream(w *worker, conn net.Conn) *stream {
	s := (&stream{conn: conn}).on(w)
	switch c := conn.(type) {
	case *net.TCPConn:
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			s.from.addr = a.AddrPort().Addr().Unmap()
		}
	case *net.UnixConn:
		if w.source.cfg.OriginLabel != "" {
			s.from.pid = peerOf(c)
		}
	}
	return s
}

// on makes w the worker of s.
func (s *stream) on(w *worker) *stream {
	s.worker, s.maxLine = w, int(w.source.cfg.MaxLine)
	return s
}

// run reads until the connection or ctx ends, and then what is there already. It returns true where
// it has left the connection open for a reload.
func (s *stream) run(ctx context.Context) (left bool) {
	settle := interrupt(ctx, func() { _ = s.conn.SetReadDeadline(time.Now()) })
	defer func() {
		if settle(); !left {
			_ = s.conn.Close()
		}
	}()
	if s.buf == nil {
		s.buf = make([]byte, 0, firstBuffer)
	}
	for {
		late := s.deadline(ctx)
		n, err := s.conn.Read(s.buf[len(s.buf):cap(s.buf)])
		if n > 0 && !s.took(n) {
			return false
		}
		if err == nil {
			continue
		}
		if reloads(ctx) && errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
		if ctx.Err() != nil {
			err = s.drain()
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			s.worker.source.deps.Ledger.Event(late)
		}
		s.finish(err == io.EOF)
		return false
	}
}

// deadline sets until when the next bytes must come, and returns what it is if they do not.
func (s *stream) deadline(ctx context.Context) (event string) {
	cfg := &s.worker.source.cfg
	at, event := time.Now().Add(cfg.IdleTimeout), "connection closed: idle"
	if line := s.begun.Add(cfg.LineTimeout); !s.begun.IsZero() && line.Before(at) {
		at, event = line, "connection closed: unfinished line"
	}
	_ = s.conn.SetReadDeadline(at)
	if ctx.Err() != nil {
		_ = s.conn.SetReadDeadline(time.Now())
	}
	return event
}

// drain takes what is there, without waiting. It returns what has ended it.
func (s *stream) drain() error {
	raw, err := s.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	for end := time.Now().Add(drainTime); time.Now().Before(end); {
		n := 0
		failed := raw.Control(func(fd uintptr) { n, err = syscall.Read(int(fd), s.buf[len(s.buf):cap(s.buf)]) })
		switch {
		case failed != nil:
			return failed
		case err == syscall.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		case !s.took(n):
			return os.ErrClosed
		}
	}
	return os.ErrDeadlineExceeded
}

// took takes n bytes that were read behind buf. False says that nothing more can be made of
// the connection.
func (s *stream) took(n int) bool {
	w := s.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.passOn()
	w.from(s.from)
	w.tally.packets++
	w.tally.bytes += uint64(n)
	full := len(s.buf)+n == cap(s.buf)
	was := len(s.buf)
	s.buf = s.buf[:was+n]
	if !s.read && w.listener.network == "unix" {
		if len(s.buf) < prefixBytes {
			s.begin(false)
			return true
		}
		s.framed = binary.LittleEndian.Uint32(s.buf) <= maxPacket // text would be more
	}
	s.read = true
	if s.framed {
		return s.packets(full)
	}
	s.lines(was, full)
	return true
}

// begin notes that there is a part of a line; a new one if another has ended.
func (s *stream) begin(another bool) {
	switch {
	case len(s.buf) == 0 && !s.skipping:
		s.begun = time.Time{}
	case another || s.begun.IsZero():
		s.begun = time.Now()
	}
}

// lines takes the whole lines of buf, of which the first have no line feed before byte was.
func (s *stream) lines(was int, full bool) {
	p := s.buf
	i := bytes.IndexByte(p[was:], '\n')
	if i >= 0 {
		i += was
		if s.skipping {
			s.skipping, p = false, p[i+1:]
		}
		p = s.worker.linesUpTo(p, s.maxLine)
	}
	if s.skipping || len(p) > s.maxLine {
		if !s.skipping {
			s.worker.end(tooLong, p)
		}
		s.skipping, p = true, nil
	}
	s.keep(p, full)
	s.begin(i >= 0)
}

// keep makes p, a part of buf, what is left of it, with room for more.
func (s *stream) keep(p []byte, full bool) {
	size := cap(s.buf)
	if most := max(mostBuffer, 2*s.maxLine); full && size < most {
		size = min(2*size, most)
	}
	if size == cap(s.buf) {
		s.buf = s.buf[:copy(s.buf, p)]
		return
	}
	s.buf = append(make([]byte, 0, size), p...)
}

// packets takes the whole packets of buf.
func (s *stream) packets(full bool) bool {
	p := s.buf
	taken := false
	for len(p) >= prefixBytes {
		n := binary.LittleEndian.Uint32(p)
		if n > maxPacket {
			s.worker.end(cutPacket, nil)
			return false
		}
		if len(p) < prefixBytes+int(n) {
			if need := prefixBytes + int(n); need > cap(s.buf) {
				s.buf = append(make([]byte, 0, need), p...)
				s.begin(taken)
				return true
			}
			break
		}
		s.worker.packetLines(p[prefixBytes : prefixBytes+int(n)])
		p = p[prefixBytes+int(n):]
		taken = true
	}
	s.keep(p, full && cap(s.buf) < mostBuffer)
	s.begin(taken)
	return true
}

// finish takes what is left: the last line of a peer that has closed in order may lack its
// line feed, any other is not whole.
func (s *stream) finish(whole bool) {
	w := s.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.passOn()
	w.from(s.from)
	switch {
	case len(s.buf) == 0 || s.skipping:
	case whole && !s.framed:
		w.packetLines(s.buf)
	default:
		w.end(unfinished, s.buf)
	}
}
