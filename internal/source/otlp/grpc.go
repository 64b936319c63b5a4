package otlp

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/intake"
)

// code is a status of gRPC.
type code int

// The codes that are sent.
const (
	invalidArgument   code = 3
	deadlineExceeded  code = 4
	permissionDenied  code = 7
	resourceExhausted code = 8
	unimplemented     code = 12
	unavailable       code = 14
	unauthenticated   code = 16
)

// The headers of gRPC.
const (
	grpcType     = "application/grpc"
	grpcStatus   = "Grpc-Status"
	grpcMessage  = "Grpc-Message"
	grpcDetails  = "Grpc-Status-Details-Bin"
	grpcEncoding = "Grpc-Encoding"
	grpcAccept   = "Grpc-Accept-Encoding"
	grpcTimeout  = "Grpc-Timeout"
)

// prefixBytes is what stands before a message: whether it is packed, and its length.
const prefixBytes = 5

func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	rest, ok := strings.CutPrefix(kind, grpcType)
	return ok && r.ProtoMajor == 2 && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// serveGRPC answers a call.
func (s *Source) serveGRPC(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", grpcType)
	h.Set(grpcAccept, "identity,gzip,zstd")
	a := s.call(r)
	if a.status == 0 {
		body := wire.AppendResponse(make([]byte, prefixBytes), a.partial)
		binary.BigEndian.PutUint32(body[1:], uint32(len(body)-prefixBytes))
		_, _ = w.Write(body)
	} else {
		w.WriteHeader(http.StatusOK)
	}
	h.Set(http.TrailerPrefix+grpcStatus, strconv.Itoa(int(a.code)))
	if a.text != "" {
		h.Set(http.TrailerPrefix+grpcMessage, escapeMessage(a.text))
	}
	if a.after > 0 {
		details := wire.AppendStatus(nil, wire.Status{Code: int32(a.code), Message: a.text, RetryAfter: float64(a.after)})
		h.Set(http.TrailerPrefix+grpcDetails, base64.RawStdEncoding.EncodeToString(details))
	}
}

// call makes a call of one method.
func (s *Source) call(r *http.Request) answer {
	refuse := func(c code, text string) answer { return answer{status: http.StatusOK, code: c, text: text} }
	var what wire.Request
	switch r.URL.Path {
	case methodLogs:
		what = wire.Logs
	case methodMetrics:
		what = wire.Metrics
	default:
		return refuse(unimplemented, "weir takes logs and metrics; there is nothing at "+shorten(r.URL.Path))
	}
	if !s.open(r) {
		return refuse(unauthenticated, "give the source's token, as authorization: Bearer …")
	}
	encoding := intake.Encoding(strings.ToLower(r.Header.Get(grpcEncoding)))
	switch encoding {
	case intake.Plain, intake.Gzip, intake.Zstd:
	case "identity":
		encoding = intake.Plain
	default:
		return refuse(unimplemented, fmt.Sprintf("grpc-encoding %q is not supported: use gzip or zstd", shorten(string(encoding))))
	}
	ctx := r.Context()
	if text := r.Header.Get(grpcTimeout); text != "" {
		d, ok := parseTimeout(text)
		if !ok {
			return refuse(invalidArgument, "grpc-timeout makes no sense")
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return s.take(ctx, what, func(j *job) error { return j.readMessage(r.Body, encoding) })
}

var (
	errMessage = errors.New("the call is not one whole message")
	errPacked  = errors.New("the message says that it is packed, the call does not say how")
)

// readMessage reads the one message of a call.
func (j *job) readMessage(from io.Reader, encoding intake.Encoding) error {
	var prefix [prefixBytes]byte
	switch _, err := io.ReadFull(from, prefix[:]); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil:
		return errMessage
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	if size > int64(j.Limit()) {
		return intake.ErrTooLarge
	}
	switch {
	case prefix[0] == 0:
		encoding = intake.Plain
	case prefix[0] != 1:
		return errMessage
	case encoding == intake.Plain:
		return errPacked
	}
	message := &io.LimitedReader{R: from, N: size}
	if err := j.Read(message, encoding); err != nil {
		return err
	}
	if message.N > 0 {
		return errMessage
	}
	if n, err := io.ReadFull(from, prefix[:1]); n > 0 || err != io.EOF {
		return errMessage
	}
	return nil
}

// maxTimeoutDigits is how many digits a timeout has at most.
const maxTimeoutDigits = 8

// parseTimeout reads a timeout of gRPC: digits and a unit.
func parseTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > maxTimeoutDigits+1 {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	d := time.Duration(n)
	switch text[len(text)-1] {
	case 'H':
		return min(d, 1000) * time.Hour, true
	case 'M':
		return d * time.Minute, true
	case 'S':
		return d * time.Second, true
	case 'm':
		return d * time.Millisecond, true
	case 'u':
		return d * time.Microsecond, true
	case 'n':
		return d, true
	}
	return 0, false
}

// escapeMessage writes a text as gRPC has it in a header.
func escapeMessage(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
