// Package loki is the sink that pushes records to Loki, or to whatever else takes its
// protocol, as weir itself does: protobuf in snappy.
//
//	s, err := loki.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// A stream keeps its labels; fields become structured metadata, as does the level. After 429, a
// status of 500 and more, or no answer, the same is sent again, not before Retry-After has
// passed. After 400, 413 and 422 the request is halved, until what Loki does not want is
// alone: that is dropped and counted. Other answers are about weir's configuration: the sink
// waits until that is mended. Records that came with a request that Loki took in part are sent again
// with a half of it; Loki knows those of the same time, labels and text.
package loki

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// New returns a sink. It fails for a configuration that Validate refuses, and for files of
// certificates that cannot be read.
func New(c Config, d deliver.Deps) (*deliver.Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"weir"}}
	if c.Tenant != "" {
		header.Set("X-Scope-OrgID", c.Tenant)
	}
	client, err := c.HTTP.NewClient(c.address(), header, false)
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

	stream  string // whose labels these are
	labels  string
	entries []byte
	request []byte
	packed  []byte
}

// maxSpare is how much memory stays for the next batch.
const maxSpare = 8 << 20

// Send implements deliver.Target.
func (t *target) Send(ctx context.Context, b *record.Batch) (deliver.Result, error) {
	if cap(t.entries)+cap(t.request)+cap(t.packed) > maxSpare {
		t.entries, t.request, t.packed = nil, nil, nil
	}
	if t.stream != b.Stream.ID || t.labels == "" {
		t.stream, t.labels = b.Stream.ID, t.labelsOf(b.Stream.Labels)
	}
	t.encode(b)
	return t.parts.Send(func(from, to, records int) (deliver.Verdict, error) { return t.post(ctx, from, to) })
}

// labelsOf returns the labels of a stream as Loki reads them.
func (t *target) labelsOf(labels record.Labels) string {
	all := slices.Clone(labels)
	for _, name := range slices.Sorted(maps.Keys(t.config.Labels)) {
		if labels.Get(name) == "" {
			all = append(all, record.Label{Name: name, Value: strings.ReplaceAll(t.config.Labels[name], "{node}", t.deps.Node)})
		}
	}
	slices.SortFunc(all, func(a, b record.Label) int { return strings.Compare(a.Name, b.Name) })
	return all.String()
}

// encode writes the records of b that were chosen and did not go out before.
func (t *target) encode(b *record.Batch) {
	t.entries = t.entries[:0]
	t.plain.Begin()
	t.parts.Encode(b, func(i int) int {
		t.entry(b, i)
		return len(t.entries)
	})
}

// entry appends record i.
func (t *target) entry(b *record.Batch, i int) {
	r := &b.Records[i]
	body, fields := t.plain.Record(b, i)
	dst, at := lokipush.OpenEntry(t.entries, r.Time, body)
	if r.Level != record.LevelUnknown {
		dst = lokipush.AppendMetadata(dst, "detected_level", r.Level.String())
	}
	if r.Flags&record.Stderr != 0 {
		dst = lokipush.AppendMetadata(dst, "stream", "stderr")
	}
	if r.Flags&record.Cut != 0 {
		dst = lokipush.AppendMetadata(dst, "cut", "true")
	}
	if r.Flags&record.Lost != 0 {
		dst = lokipush.AppendMetadata(dst, "lost", "true")
	}
	if r.Weight > 1 {
		dst = lokipush.AppendMetadata(dst, "weight", strconv.FormatUint(uint64(r.Weight), 10))
	}
	for _, f := range fields {
		dst = lokipush.AppendMetadata(dst, f.Name, f.Value)
	}
	t.entries = protobuf.Close(dst, at)
}

// post sends a part of the entries.
func (t *target) post(ctx context.Context, from, to int) (deliver.Verdict, error) {
	t.request = lokipush.AppendRequest(t.request[:0], t.labels, t.entries[from:to])
	t.packed = compress.AppendSnappy(t.packed[:0], t.request)
	a, err := t.client.Post(ctx, t.packed)
	if err != nil {
		return deliver.Verdict{}, err
	}
	switch {
	case a.Taken():
		return deliver.Verdict{}, nil
	case a.Status == http.StatusBadRequest, a.Status == http.StatusRequestEntityTooLarge, a.Status == http.StatusUnprocessableEntity:
		t.deps.Log.Debug("refused", "status", a.Status, "answer", a.Text())
		return deliver.Verdict{Bad: true, Why: "refused with status " + strconv.Itoa(a.Status)}, nil
	}
	return deliver.Verdict{}, t.client.Failed(a)
}

// Close implements deliver.Target.
func (t *target) Close() error {
	t.client.Close()
	return nil
}
