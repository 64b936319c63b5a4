package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"github.com/phuslu/log"
	"github.com/rs/zerolog"
	"github.com/weirlog/weir/scope"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logging logs the record that is measured. Close sends what is left, and returns how many
// records were dropped.
type logging interface {
	Log()
	Close() (dropped int64)
}

// loggers make the contenders: each writes to out, or, if it has an address, sends there.
var loggers = map[string]func(out io.Writer, address string) (logging, error){
	"weir":      newScope,
	"slog":      newSlog,
	"zap":       newZap,
	"zerolog":   newZerolog,
	"phuslu":    newPhuslu,
	"slog-bare": newSlogWithoutSource,
}

// The record: three attributes are bound, five are its own.
const (
	message = "request served"
	method  = "GET"
	path    = "/orders/17"
	status  = 200
	seconds = 0.0123
	user    = "leo"
	shop    = 17
)

// slogger logs with slog.
type slogger struct {
	ctx     context.Context
	log     *slog.Logger
	handler *scope.Handler // or nil
}

func (l slogger) Log() {
	l.log.LogAttrs(l.ctx, slog.LevelInfo, message, slog.String("method", method), slog.String("path", path),
		slog.Int("status", status), slog.Float64("seconds", seconds), slog.Bool("cached", false))
}

func (l slogger) Close() int64 {
	if l.handler == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = l.handler.Close(ctx) // what it could not send is among the drops
	return int64(l.handler.Stats().Dropped.Total())
}

func newScope(out io.Writer, address string) (logging, error) {
	o := scope.Options{Address: address, QueueRecords: math.MaxInt, QueueBytes: 256 << 20}
	if address == "" {
		o.Address = "tcp://nowhere"
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			return &nowhere{out: out, over: make(chan struct{})}, nil
		}
	}
	h, err := scope.New(nil, o)
	if err != nil {
		return nil, err
	}
	log := slog.New(h)
	ctx, _ := scope.Task(scope.WithLogger(context.Background(), log), "order", "user", user, "shop", shop, "vip", true)
	return slogger{ctx, log, h}, nil
}

func newSlog(out io.Writer, _ string) (logging, error) { return withSlog(out, true) }

func newSlogWithoutSource(out io.Writer, _ string) (logging, error) { return withSlog(out, false) }

func withSlog(out io.Writer, source bool) (logging, error) {
	h := slog.NewJSONHandler(out, &slog.HandlerOptions{AddSource: source})
	return slogger{ctx: context.Background(), log: slog.New(h).With("user", user, "shop", shop, "vip", true)}, nil
}

type zapper struct{ *zap.Logger }

func newZap(out io.Writer, _ string) (logging, error) {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(c), zapcore.AddSync(out), zap.InfoLevel)
	return zapper{zap.New(core, zap.AddCaller()).With(zap.String("user", user), zap.Int("shop", shop), zap.Bool("vip", true))}, nil
}

func (l zapper) Log() {
	l.Info(message, zap.String("method", method), zap.String("path", path), zap.Int("status", status), zap.Float64("seconds", seconds), zap.Bool("cached", false))
}

func (l zapper) Close() int64 { return 0 }

type zeroer struct{ zerolog.Logger }

func newZerolog(out io.Writer, _ string) (logging, error) {
	return zeroer{zerolog.New(out).With().Timestamp().Caller().Str("user", user).Int("shop", shop).Bool("vip", true).Logger()}, nil
}

func (l zeroer) Log() {
	l.Info().Str("method", method).Str("path", path).Int("status", status).Float64("seconds", seconds).Bool("cached", false).Msg(message)
}

func (l zeroer) Close() int64 { return 0 }

type phusler struct{ log.Logger }

func newPhuslu(out io.Writer, _ string) (logging, error) {
	return &phusler{log.Logger{Level: log.InfoLevel, Caller: 1, Writer: log.IOWriter{Writer: out},
		Context: log.NewContext(nil).Str("user", user).Int("shop", shop).Bool("vip", true).Value()}}, nil
}

func (l *phusler) Log() {
	l.Info().Str("method", method).Str("path", path).Int("status", status).Float64("seconds", seconds).Bool("cached", false).Msg(message)
}

func (l *phusler) Close() int64 { return 0 }

// nowhere is a connection to a PULL socket that takes everything at once.
type nowhere struct {
	net.Conn
	out    io.Writer
	over   chan struct{}
	ending sync.Once
	said   int
}

// greeting is what a PULL socket of ZMTP 3.0 begins with.
var greeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + string(make([]byte, 48)) + "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL"

func (c *nowhere) Read(b []byte) (int, error) {
	if c.said == len(greeting) {
		<-c.over
		return 0, io.EOF
	}
	n := copy(b, greeting[c.said:])
	c.said += n
	return n, nil
}

func (c *nowhere) Write(b []byte) (int, error) { return c.out.Write(b) }

func (c *nowhere) Close() error {
	c.ending.Do(func() { close(c.over) })
	return nil
}

func (c *nowhere) CloseWrite() error                { return c.Close() }
func (c *nowhere) SetDeadline(time.Time) error      { return nil }
func (c *nowhere) SetReadDeadline(time.Time) error  { return nil }
func (c *nowhere) SetWriteDeadline(time.Time) error { return nil }

// open returns the logger of a name.
func open(name string, out io.Writer, address string) (logging, error) {
	make, ok := loggers[name]
	if !ok {
		return nil, fmt.Errorf("unknown logger %q", name)
	}
	return make(out, address)
}
