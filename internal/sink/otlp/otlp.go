// Package otlp is the sink that sends records as logs of OpenTelemetry, over HTTP or gRPC.
//
//	s, err := otlp.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// The labels of a stream are the attributes of a resource, with weir.stream, the stream's
// identity; fields are attributes of records. A source of type otlp of another weir makes of
// them what they were.
//
// What is sent again, and what is not, is as OTLP's specification says: after 429, 502, 503
// and 504, and gRPC's retryable codes, not before Retry-After or RetryInfo has passed. A
// request that is refused for what is in it, or for its size, is halved until that is
// alone. All that is refused for good, also by a partial success, is dropped and counted.
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

// originAttribute is the identity of a stream, by which weir knows what weir has sent.
const originAttribute = "weir.stream"

// New returns a sink. It fails for a configuration that Validate refuses, and for files of
// certificates that cannot be read.
func New(c Config, d deliver.Deps) (*deliver.Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"weir"}}
	grpc := c.Protocol == GRPC
	switch {
	case grpc:
		header = http.Header{"Content-Type": {"application/grpc"}, "User-Agent": {"weir"}, "Te": {"trailers"}}
		if c.Compression == Gzip {
			header.Set("Grpc-Encoding", "gzip")
		}
	case c.Compression == Gzip:
		header.Set("Content-Encoding", "gzip")
	}
	client, err := c.HTTP.NewClient(c.address(), header, grpc)
	if err != nil {
		return nil, err
	}
	t := &target{config: c, deps: d, client: client, parts: c.Parts()}
	return deliver.New(d, t, c.Timeout), nil
}

type target struct {
	config Config
	deps   deliver.Deps
	client *deliver.Client
	parts  deliver.Parts
	plain  deliver.Plain

	stream  string // whose attributes origin has
	origin  wire.Origin
	records []byte
	request []byte
	packed  bytes.Buffer
	gzip    *gzip.Writer
}

// maxSpare is how much memory stays for the next batch.
const maxSpare = 8 << 20

// Send implements deliver.Target.
func (t *target) Send(ctx context.Context, b *record.Batch) (deliver.Result, error) {
	if cap(t.records)+cap(t.request)+t.packed.Cap() > maxSpare {
		t.records, t.request, t.packed = nil, nil, bytes.Buffer{}
	}
	if t.stream != b.Stream.ID || t.origin.Name == "" {
		t.stream, t.origin = b.Stream.ID, wire.Origin{Resource: t.resource(b.Stream), Name: "weir"}
	}
	t.encode(b)
	return t.parts.Send(func(from, to, records int) (deliver.Verdict, error) {
		t.request = wire.AppendRequest(t.request[:0], &t.origin, t.records[from:to])
		if t.config.Protocol == GRPC {
			return t.call(ctx)
		}
		return t.post(ctx)
	})
}

// semantic returns the attribute that OpenTelemetry has for what a label says: of the names that
// weir's own source makes labels of, those with dots.
func semantic(label string) string {
	switch label {
	case "service_name", "service_namespace", "host_name", "container_name":
		return strings.Replace(label, "_", ".", 1)
	case "deployment_environment", "deployment_environment_name", "k8s_cluster_name", "k8s_namespace_name", "k8s_pod_name", "k8s_container_name":
		return strings.ReplaceAll(label, "_", ".")
	}
	return label
}

// resource returns the attributes of a stream.
func (t *target) resource(s *record.Stream) []byte {
	dst := wire.AppendResourceAttribute(nil, originAttribute, s.ID)
	for _, l := range s.Labels {
		dst = wire.AppendResourceAttribute(dst, semantic(l.Name), l.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(t.config.Attributes)) {
		value := strings.ReplaceAll(t.config.Attributes[name], "{node}", t.deps.Node)
		for _, l := range s.Labels {
			value = strings.ReplaceAll(value, "{"+l.Name+"}", l.Value)
		}
		dst = wire.AppendResourceAttribute(dst, name, value)
	}
	return dst
}

// encode writes the records of b that were chosen and did not go out before.
func (t *target) encode(b *record.Batch) {
	t.records = t.records[:0]
	t.plain.Begin()
	t.parts.Encode(b, func(i int) int {
		t.record(b, i)
		return len(t.records)
	})
}

// ids are the fields of a record that have places of their own, as far as they are what those are for.
type ids struct {
	trace [16]byte
	span  [8]byte
	head  wire.Head
}

// take tells whether a field has a place of its own, which it is in then.
func (x *ids) take(f deliver.Pair) bool {
	switch string(f.Name) {
	case "trace_id":
		if id(x.trace[:], f.Value) {
			x.head.TraceID = x.trace[:]
			return true
		}
	case "span_id":
		if id(x.span[:], f.Value) {
			x.head.SpanID = x.span[:]
			return true
		}
	case "flags":
		n, err := strconv.ParseUint(string(f.Value), 10, 32)
		x.head.Flags = uint32(n)
		return err == nil && n != 0 && strconv.FormatUint(n, 10) == string(f.Value)
	}
	return false
}

// id reads an id of so many bytes, in lower case, so that it comes back as it is.
func id(dst, text []byte) bool {
	if len(text) != 2*len(dst) || bytes.ContainsAny(text, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(dst, text)
	return err == nil
}

// record appends record i.
func (t *target) record(b *record.Batch, i int) {
	r := &b.Records[i]
	body, fields := t.plain.Record(b, i)
	x := ids{head: wire.Head{Time: r.Time, Level: r.Level, Body: body}}
	left := fields[:0]
	for _, f := range fields {
		if !x.take(f) {
			left = append(left, f)
		}
	}
	dst, at := wire.OpenLog(t.records, &x.head)
	if r.Flags&record.Stderr != 0 {
		dst = wire.AppendAttribute(dst, []byte("log.iostream"), []byte("stderr"))
	}
	if r.Flags&record.Cut != 0 {
		dst = wire.AppendAttribute(dst, []byte("weir.cut"), []byte("true"))
	}
	if r.Flags&record.Lost != 0 {
		dst = wire.AppendAttribute(dst, []byte("weir.lost"), []byte("true"))
	}
	if r.Weight > 1 {
		dst = wire.AppendAttribute(dst, []byte("weir.weight"), strconv.AppendUint(nil, uint64(r.Weight), 10))
	}
	for _, f := range left {
		dst = wire.AppendAttribute(dst, f.Name, f.Value)
	}
	t.records = protobuf.Close(dst, at)
}

// pack appends the request to t.packed, as the configuration says.
func (t *target) pack() error {
	if t.config.Compression == None {
		_, err := t.packed.Write(t.request)
		return err
	}
	if t.gzip == nil {
		w, err := gzip.NewWriterLevel(&t.packed, gzip.BestSpeed)
		if err != nil {
			return err
		}
		t.gzip = w
	}
	t.gzip.Reset(&t.packed)
	_, err := t.gzip.Write(t.request)
	return errors.Join(err, t.gzip.Close())
}

// post sends the request over HTTP.
func (t *target) post(ctx context.Context) (deliver.Verdict, error) {
	t.packed.Reset()
	if err := t.pack(); err != nil {
		return deliver.Verdict{}, err
	}
	a, err := t.client.Post(ctx, t.packed.Bytes())
	if err != nil {
		return deliver.Verdict{}, err
	}
	switch {
	case a.Taken():
		return t.partial(a.Body)
	case a.Status/100 == 2:
		return deliver.Verdict{}, t.client.Failed(a)
	case a.Status == http.StatusTooManyRequests, a.Status == http.StatusBadGateway, a.Status == http.StatusServiceUnavailable, a.Status == http.StatusGatewayTimeout, a.Status/100 == 3:
		if s, ok := wire.ParseStatus(a.Body); ok && s.Message != "" {
			a.Body = []byte(s.Message)
		}
		return deliver.Verdict{}, t.client.Failed(a)
	}
	return t.refused("status "+strconv.Itoa(a.Status), a.Text(), a.Status == http.StatusBadRequest || a.Status == http.StatusRequestEntityTooLarge)
}

// partial reads what a receiver has refused of a request that it took.
func (t *target) partial(body []byte) (deliver.Verdict, error) {
	p, err := wire.ParseResponse(body)
	if err != nil || p.Rejected <= 0 {
		return deliver.Verdict{}, nil // what it took cannot be sent again for an answer that makes no sense
	}
	t.deps.Log.Warn("refused in part", "records", p.Rejected, "answer", t.client.Hide(p.Message))
	return deliver.Verdict{Refused: int(min(p.Rejected, int64(t.config.MaxRecords))), Why: "refused in part"}, nil
}

// refused returns what becomes of a request that is refused for good.
func (t *target) refused(what, text string, bad bool) (deliver.Verdict, error) {
	t.deps.Log.Warn("refused", "with", what, "answer", t.client.Hide(text))
	return deliver.Verdict{Refused: t.config.MaxRecords, Why: "refused with " + what, Bad: bad}, nil
}

// The codes of gRPC that mean something to the sink.
const (
	cancelled         = 1
	invalidArgument   = 3
	deadlineExceeded  = 4
	resourceExhausted = 8
	aborted           = 10
	outOfRange        = 11
	unavailable       = 14
	dataLoss          = 15
)

// prefixBytes is what stands before a message: whether it is packed, and its length.
const prefixBytes = 5

// call sends the request over gRPC.
func (t *target) call(ctx context.Context) (deliver.Verdict, error) {
	t.packed.Reset()
	var prefix [prefixBytes]byte
	t.packed.Write(prefix[:])
	if err := t.pack(); err != nil {
		return deliver.Verdict{}, err
	}
	framed := t.packed.Bytes()
	if t.config.Compression != None {
		framed[0] = 1
	}
	binary.BigEndian.PutUint32(framed[1:], uint32(len(framed)-prefixBytes))
	a, err := t.client.Post(ctx, framed)
	if err != nil {
		return deliver.Verdict{}, err
	}
	if a.Status/100 == 2 && !a.Taken() {
		return deliver.Verdict{}, t.client.Failed(a)
	}
	code, s := status(a)
	switch code {
	case 0:
		return t.partial(message(a.Body))
	case cancelled, deadlineExceeded, aborted, outOfRange, unavailable, dataLoss:
	case resourceExhausted:
		if s.RetryAfter <= 0 {
			return t.refused("code "+strconv.Itoa(code), s.Message, true)
		}
	default:
		return t.refused("code "+strconv.Itoa(code), s.Message, code == invalidArgument)
	}
	if s.RetryAfter > 0 {
		t.client.Wait(time.Duration(s.RetryAfter * float64(time.Second)))
	}
	return deliver.Verdict{}, fmt.Errorf("%s answers with code %d: %s", t.config.URL, code, t.client.Hide(s.Message))
}

// message returns what is in the frame of an answer. It is never packed, since weir does not
// say that it may be.
func message(body []byte) []byte {
	if len(body) < prefixBytes || body[0] != 0 {
		return nil
	}
	return body[prefixBytes:]
}

// status returns what a call came to, whose status stands behind the message, or before it
// where there is none.
func status(a *deliver.Answer) (code int, s wire.Status) {
	get := func(name string) string {
		if v := a.Trailer.Get(name); v != "" {
			return v
		}
		return a.Header.Get(name)
	}
	code, err := strconv.Atoi(get("Grpc-Status"))
	if err != nil { // something on the way does not speak gRPC
		return codeOf(a.Status), wire.Status{Message: http.StatusText(a.Status), RetryAfter: retry.After(a.Header.Get("Retry-After"), time.Now()).Seconds()}
	}
	if details := get("Grpc-Status-Details-Bin"); details != "" {
		if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "=")); err == nil {
			s, _ = wire.ParseStatus(raw)
		}
	}
	if text := get("Grpc-Message"); text != "" {
		s.Message = text
		if plain, err := url.PathUnescape(text); err == nil {
			s.Message = plain
		}
	}
	return code, s
}

// codeOf returns the code that gRPC's documents have for a status of HTTP.
func codeOf(status int) int {
	const internal, permissionDenied, unimplemented, unauthenticated, unknown = 13, 7, 12, 16, 2
	switch status {
	case http.StatusBadRequest:
		return internal
	case http.StatusUnauthorized:
		return unauthenticated
	case http.StatusForbidden:
		return permissionDenied
	case http.StatusNotFound:
		return unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return unavailable
	}
	return unknown
}

// Close implements deliver.Target.
func (t *target) Close() error {
	t.client.Close()
	return nil
}
