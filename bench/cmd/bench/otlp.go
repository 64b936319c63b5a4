package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
	"github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/record"
)

const (
	// otlpRecords is how many records are taken in one run, otlpBatch how many a request has:
	// about what SDKs and Collectors send.
	otlpRecords = 500_000
	otlpBatch   = 1000
	// otlpSenders is how many requests are in work at a time.
	otlpSenders = 8
	// otlpLimit is how long a run may take.
	otlpLimit = 2 * time.Minute
)

// otlpTaker is one way to take OTLP.
type otlpTaker struct {
	name, skip string
	grpc       bool
	// config returns the configuration of what listens at an address, and command what starts it.
	config  func(dir, address string) string
	command func(config string) []string
}

// otlpLogs measures what taking a record of OTLP costs: weir's is committed and synced before
// the answer, the Collector's is thrown away after it, or written to a file.
func (b *bench) otlpLogs(ctx context.Context) error {
	n := otlpRecords
	if b.quick {
		n /= 10
	}
	takers := b.otlpTakers()
	work := fmt.Sprintf("take %s log records of OTLP, %s a request", number(n), number(otlpBatch))
	results := make([]tries, len(takers))
	for round := range b.rounds {
		for i, t := range takers {
			if t.skip != "" || !b.wants(t.name) || results[i].done(b.rounds) {
				continue
			}
			b.say("round %d: %s: %s", round+1, work, t.name)
			cost, err := b.otlpOnce(ctx, t, n)
			if r := &results[i]; err != nil {
				r.err = err
			} else {
				r.cpu, r.wall, r.peak = append(r.cpu, cost.CPU), append(r.wall, cost.Wall), append(r.peak, cost.Peak)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	ours := time.Duration(0)
	for i, t := range takers {
		r, got := row{work: work, name: t.name}, &results[i]
		switch {
		case !b.wants(t.name):
			continue
		case t.skip != "":
			r.counts = "SKIP: " + t.skip
		case got.err != nil:
			b.fail(&r, got.err)
		default:
			if i == 0 {
				ours = median(got.cpu)
			}
			all := contender{note: func([]byte) string {
				return fmt.Sprintf("all, %s a CPU second", number(int(float64(n)/median(got.cpu).Seconds())/1000*1000))
			}}
			b.fill(&r, all, got, dataset.Set{})
			r.ratio = times(median(got.cpu), ours)
		}
		b.table.add(r)
	}
	return nil
}

func (b *bench) otlpTakers() []otlpTaker {
	weir := func(key string) func(dir, address string) string {
		other := map[string]string{"http": "grpc", "grpc": "http"}[key]
		return func(dir, address string) string {
			return fmt.Sprintf("data_dir: %s\nhttp: {listen: ''}\nhistory: none\nrules: []\nsources: {otlp: {%s: '%s', %s: ''}}\n", filepath.Join(dir, "state"), key, address, other)
		}
	}
	weirCommand := func(config string) []string { return []string{b.weir, "run", "--config", config} }
	binary, skip := filepath.Join(b.root, "tmp", "bin", "otelcol"), ""
	if _, err := os.Stat(binary); err != nil {
		skip = "not built (make test does it)"
	}
	collector := func(key, exporter, options string) func(dir, address string) string {
		return func(dir, address string) string {
			return fmt.Sprintf("receivers: {otlp: {protocols: {%s: {endpoint: '%s'}}}}\nexporters: {%s: {%s}}\nservice:\n  telemetry: {logs: {level: error}, metrics: {level: none}}\n"+
				"  pipelines: {logs: {receivers: [otlp], exporters: [%s]}}\n", key, address, exporter, strings.ReplaceAll(options, "DIR", dir), exporter)
		}
	}
	const toFile = "path: 'DIR/logs.zst', format: proto, compression: zstd"
	collectorCommand := func(config string) []string { return []string{binary, "--config", config} }
	return []otlpTaker{
		{name: "**weir**, HTTP, every record kept, synced before the answer", config: weir("http"), command: weirCommand},
		{name: "**weir**, gRPC, every record kept, synced before the answer", grpc: true, config: weir("grpc"), command: weirCommand},
		{name: "OpenTelemetry Collector 0.154.0, HTTP, every record thrown away", skip: skip, config: collector("http", "nop", ""), command: collectorCommand},
		{name: "OpenTelemetry Collector 0.154.0, gRPC, every record thrown away", skip: skip, grpc: true, config: collector("grpc", "nop", ""), command: collectorCommand},
		{name: "OpenTelemetry Collector 0.154.0, HTTP, every record written to a file in zstd, not synced", skip: skip, config: collector("http", "file", toFile), command: collectorCommand},
		{name: "OpenTelemetry Collector 0.154.0, gRPC, every record written to a file in zstd, not synced", skip: skip, grpc: true, config: collector("grpc", "file", toFile), command: collectorCommand},
	}
}

// otlpRequest returns a request whose first record has a number. Each time the records differ.
func otlpRequest(first, n int) []byte {
	var records, trace, text []byte
	for i := first; i < first+n; i++ {
		trace = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(trace[:0], uint64(i)*0x9e3779b97f4a7c15), uint64(i/7)*0xbf58476d1ce4e5b9)
		status := []string{"200", "200", "200", "304", "404", "500"}[i%6]
		text = fmt.Appendf(text[:0], "GET /orders/%d answered %s in %d ms for customer %d of the shop in lane %d", i*7919%1_000_003, status, i%97, i*31%5003, i%13)
		var at int
		at64 := 1_760_000_000_000_000_000 + int64(i)*1_000_003
		records, at = otlp.OpenLog(records, &otlp.Head{Time: at64, Observed: at64 + 2_000, Level: record.LevelInfo, Body: text, TraceID: trace, SpanID: trace[8:], Flags: 1})
		records = otlp.AppendAttribute(records, []byte("http.route"), []byte("/orders/{id}"))
		records = otlp.AppendAttribute(records, []byte("http.response.status_code"), []byte(status))
		records = otlp.AppendAttribute(records, []byte("customer.id"), fmt.Append(nil, i*31%5003))
		records = protobuf.Close(records, at)
	}
	resource := otlp.AppendResourceAttribute(nil, "service.name", "shop")
	resource = otlp.AppendResourceAttribute(resource, "service.version", "1.17.3")
	resource = otlp.AppendResourceAttribute(resource, "telemetry.sdk.language", "go")
	return otlp.AppendRequest(nil, &otlp.Origin{Resource: resource, Name: "github.com/shop/orders"}, records)
}

// otlpOnce starts a taker, sends it n records, and returns what it has cost, its start included.
func (b *bench) otlpOnce(ctx context.Context, t otlpTaker, n int) (cost measure.Cost, err error) {
	ctx, stop := context.WithTimeout(ctx, otlpLimit)
	defer stop()
	address, err := freeAddress()
	if err != nil {
		return cost, err
	}
	dir, err := os.MkdirTemp(b.scratch, "otlp-")
	if err != nil {
		return cost, err
	}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(t.config(dir, address)), 0o644); err != nil {
		return cost, err
	}
	args := t.command(config)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	if err := cmd.Start(); err != nil {
		return cost, err
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Cancel() }()
	s := newOTLPSender(address, t.grpc)
	if err := s.untilReady(ctx); err != nil {
		return cost, err
	}
	start := time.Now()
	if err := s.all(ctx, n); err != nil {
		return cost, err
	}
	cost.Wall = time.Since(start)
	memory, err := measure.Memory(cmd.Process.Pid)
	if err != nil {
		return cost, err
	}
	cost.Peak = memory.Peak
	cost.CPU, err = measure.CPU(cmd.Process.Pid)
	return cost, err
}

// otlpSender sends requests.
type otlpSender struct {
	url, kind string
	grpc      bool
	client    *http.Client
}

func newOTLPSender(address string, grpc bool) *otlpSender {
	transport := &http.Transport{MaxIdleConnsPerHost: otlpSenders, Protocols: new(http.Protocols)}
	s := &otlpSender{url: "http://" + address + "/v1/logs", kind: "application/x-protobuf", grpc: grpc, client: &http.Client{Transport: transport}}
	transport.Protocols.SetHTTP1(true)
	if grpc {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
		s.url, s.kind = "http://"+address+"/opentelemetry.proto.collector.logs.v1.LogsService/Export", "application/grpc"
	}
	return s
}

// send sends one request, and waits for its answer.
func (s *otlpSender) send(ctx context.Context, body []byte) error {
	if s.grpc {
		body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", s.kind)
	request.Header.Set("Te", "trailers")
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || s.grpc && response.Trailer.Get("Grpc-Status") != "0") {
		err = fmt.Errorf("the answer is %s, %v: %s", response.Status, response.Trailer, text)
	}
	return err
}

// untilReady sends requests of nothing until one is answered.
func (s *otlpSender) untilReady(ctx context.Context) error {
	for {
		err := s.send(ctx, nil)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// all sends n records, several requests at a time.
func (s *otlpSender) all(ctx context.Context, n int) error {
	work, errs := make(chan int), make(chan error, otlpSenders)
	var sending sync.WaitGroup
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for range otlpSenders {
		sending.Go(func() {
			for first := range work {
				if err := s.send(ctx, otlpRequest(first, otlpBatch)); err != nil {
					stop(err)
					errs <- err
					return
				}
			}
		})
	}
feed:
	for first := 0; first < n; first += otlpBatch {
		select {
		case work <- first:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	sending.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
