// Command otel-sdk sends logs and metrics with OpenTelemetry's SDK for Go, for tests. It is a
// module of its own, so that nobody else needs what that takes.
//
//	otel-sdk -endpoint 127.0.0.1:4317 -protocol grpc -records 1000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	otellog "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	endpoint := flag.String("endpoint", "", "host and port")
	protocol := flag.String("protocol", "grpc", "grpc or http")
	records := flag.Int("records", 1000, "how many records, and how often each instrument is used")
	token := flag.String("token", "", "for Authorization: Bearer")
	flag.Parse()
	headers := map[string]string{}
	if *token != "" {
		headers["Authorization"] = "Bearer " + *token
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	of := resource.NewSchemaless(attribute.String("service.name", "sdk-"+*protocol), attribute.String("service.instance.id", "1"), attribute.String("extra", "e"))
	if err := errors.Join(sendLogs(ctx, exporters{*endpoint, *protocol, headers}, of, *records), sendMetrics(ctx, exporters{*endpoint, *protocol, headers}, of, *records)); err != nil {
		log.Fatal(err)
	}
}

// exporters makes exporters for one endpoint.
type exporters struct {
	endpoint, protocol string
	headers            map[string]string
}

func (e exporters) logs(ctx context.Context) (sdklog.Exporter, error) {
	if e.protocol == "grpc" {
		return otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(e.endpoint), otlploggrpc.WithInsecure(), otlploggrpc.WithHeaders(e.headers), otlploggrpc.WithCompressor("gzip"))
	}
	return otlploghttp.New(ctx, otlploghttp.WithEndpoint(e.endpoint), otlploghttp.WithInsecure(), otlploghttp.WithHeaders(e.headers), otlploghttp.WithCompression(otlploghttp.GzipCompression))
}

func (e exporters) metrics(ctx context.Context) (sdkmetric.Exporter, error) {
	if e.protocol == "grpc" {
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(e.endpoint), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithHeaders(e.headers))
	}
	return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(e.endpoint), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithHeaders(e.headers),
		otlpmetrichttp.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector))
}

// traceID and spanID are those of every record.
var (
	traceID = trace.TraceID{0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c}
	spanID  = trace.SpanID{0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74}
)

func sendLogs(ctx context.Context, e exporters, of *resource.Resource, records int) error {
	exporter, err := e.logs(ctx)
	if err != nil {
		return err
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithResource(of), sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter, sdklog.WithMaxQueueSize(2*records+1))))
	logger := provider.Logger("test", otellog.WithInstrumentationVersion("1"))
	in := trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled}))
	for i := range records {
		var r otellog.Record
		r.SetTimestamp(time.Unix(1_700_000_000, int64(i)))
		r.SetObservedTimestamp(time.Unix(1_700_000_000, int64(i)))
		r.SetSeverity(otellog.SeverityWarn)
		r.SetSeverityText("WARN")
		r.SetBody(otellog.StringValue(fmt.Sprintf("record %d", i)))
		r.AddAttributes(otellog.Int("n", i), otellog.String("http.route", "/"))
		logger.Emit(in, r)
	}
	return provider.Shutdown(ctx)
}

func sendMetrics(ctx context.Context, e exporters, of *resource.Resource, records int) error {
	exporter, err := e.metrics(ctx)
	if err != nil {
		return err
	}
	view := sdkmetric.NewView(sdkmetric.Instrument{Name: "exponential"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithResource(of), sdkmetric.WithView(view), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))))
	meter := provider.Meter("test")
	counter, err1 := meter.Int64Counter("requests", metric.WithUnit("{request}"))
	upDown, err2 := meter.Int64UpDownCounter("open")
	gauge, err3 := meter.Float64Gauge("temperature", metric.WithUnit("Cel"))
	histogram, err4 := meter.Float64Histogram("took", metric.WithUnit("s"))
	exponential, err5 := meter.Float64Histogram("exponential")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	for i := range records {
		counter.Add(ctx, 2, metric.WithAttributes(attribute.String("http.route", "/")))
		upDown.Add(ctx, 1)
		gauge.Record(ctx, float64(i))
		histogram.Record(ctx, 0.2)
		exponential.Record(ctx, float64(i+1))
		if i == records/2 {
			if err := provider.ForceFlush(ctx); err != nil {
				return err
			}
		}
	}
	return provider.Shutdown(ctx)
}
