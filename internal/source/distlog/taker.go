package distlog

import (
	"bytes"
	"context"
	"errors"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/zmq"
)

const (
	// maxBatchBytes is how much text a batch has, but for a single record: so much that the
	// batch's memory is kept for the next one.
	maxBatchBytes = 256 << 10
	// maxBatchRecords is how many records it has.
	maxBatchRecords = 4096
	// maxTopic is how long a topic is that is compared with the one before.
	maxTopic = 16
)

// taker makes records of the messages of one connection.
type taker struct {
	source *Source
	peer   zmq.Peer

	decoder pickle.Decoder // for short pickles
	attrs   []wire.Attr
	pairs   []pickle.Pair
	topic   wire.Topic // of the message before
	letters []byte     // of that; nil: there is none

	stream *stream // of the records in batch
	batch  *record.Batch
	tally  tally
	build  builder
	faults faults
	count  int // messages since the last flush
}

func newTaker(s *Source, p zmq.Peer) *taker { return &taker{source: s, peer: p} }

// Message implements zmq.Taker.
func (t *taker) Message(ctx context.Context, parts [][]byte) error {
	t.count++
	if len(parts) != 2 {
		t.faults.add(t, wrongParts, bytes.Join(parts, nil))
		return nil
	}
	topic, body := t.read(parts[0]), parts[1]
	if topic.Pickle {
		return t.pickled(ctx, topic, parts)
	}
	attrs, err := wire.Parse(t.attrs[:0], body)
	t.attrs = attrs[:0]
	if err != nil {
		t.faults.add(t, faultOf(err), body)
		return nil
	}
	b, err := t.batchOf(ctx, topic, t.hostOf(attrs, body), len(body))
	if err != nil {
		return err
	}
	t.build.json(b, attrs, body)
	t.added(parts[0], body, wireJSON)
	t.tally.json++
	return nil
}

// maxKept is for how many attributes a connection keeps memory while it waits.
const maxKept = 128

// rest gives memory back that only large messages need. What is told apart by names stays, so
// that what becomes of them is known.
func (t *taker) rest() {
	t.decoder.Release()
	if cap(t.attrs) > maxKept {
		t.attrs = nil
	}
	if cap(t.pairs) > maxKept {
		t.pairs = nil
	}
	t.build.tidy(maxIdleScratch)
}

// read reads a topic. Most are as the one before.
func (t *taker) read(letters []byte) wire.Topic {
	if t.letters == nil || !bytes.Equal(letters, t.letters) {
		t.topic = wire.ParseTopic(letters)
		t.letters = append(t.letters[:0], letters[:min(len(letters), maxTopic)]...)
		if len(letters) > maxTopic {
			t.letters = nil
		}
	}
	return t.topic
}

// hostOf returns the host that the record in body names.
func (t *taker) hostOf(attrs []wire.Attr, body []byte) (host []byte) {
	for i := len(attrs) - 1; i >= 0; i-- { // it is the last one most of the time
		a := &attrs[i]
		if !a.Context && (a.Kind == wire.Text || a.Kind == wire.Escaped) && string(body[a.Name.Off:a.Name.Off+a.Name.Len]) == "hostname" {
			return t.build.plain(body[a.Value.Off:a.Value.Off+a.Value.Len], a.Kind)
		}
	}
	return nil
}

// room returns the batch for a record of so many bytes.
func (t *taker) room(ctx context.Context, size int) (*record.Batch, error) {
	if t.batch != nil && (len(t.batch.Arena)+2*size > maxBatchBytes || len(t.batch.Records) >= maxBatchRecords) {
		if err := t.flush(ctx); err != nil {
			return nil, err
		}
	}
	if t.batch == nil {
		b, err := t.source.deps.Batches.Get(ctx, nil)
		if err != nil {
			return nil, err
		}
		t.batch = b
		t.ofStream()
	}
	return t.batch, nil
}

// ofStream makes the batch, which is empty, one of the present stream, if there are both.
func (t *taker) ofStream() {
	if t.batch != nil && t.stream != nil {
		t.batch.Reset(&t.stream.input.Stream)
	}
}

// turnTo makes the stream of a host the present one. The batch stays, if there is one.
func (t *taker) turnTo(ctx context.Context, topic wire.Topic, host []byte) error {
	if len(host) > maxHost {
		host = bytes.ToValidUTF8(host[:maxHost], nil)
	}
	st := t.stream
	if st != nil && st.key.system == topic.System && st.key.kind == topic.Kind && t.isHost(st, host) {
		return nil
	}
	next := t.source.streams.get(key{topic.System, topic.Kind, t.named(host)})
	t.build.host = nil
	if next.overflow {
		t.build.host = append(t.build.host, host...)
	}
	if next == st { // that of many
		t.source.streams.put(next)
		return nil
	}
	err := t.write(ctx)
	if st != nil {
		t.source.streams.put(st)
	}
	t.stream = next
	t.ofStream()
	return err
}

// isHost tells whether st is the stream of a host.
func (t *taker) isHost(st *stream, host []byte) bool {
	if len(host) == 0 {
		return st.key.host == t.peer.Name
	}
	return st.key.host == string(host)
}

// named returns the name of a host: the peer's address where a record says none.
func (t *taker) named(host []byte) string {
	if len(host) == 0 {
		return t.peer.Name
	}
	return string(host)
}

// added completes the record that was added to the batch last.
func (t *taker) added(topic, body []byte, wired string) {
	if t.source.cfg.KeepWire {
		t.build.wire(t.batch, topic, body, wired)
	}
	if t.build.excess > 0 {
		t.source.deps.Ledger.Dropped("fields", t.build.excess)
		t.build.excess = 0
	}
	t.tally.levels[t.batch.Records[len(t.batch.Records)-1].Level]++
}

// flush writes the batch, unless it is empty, and gives it back.
func (t *taker) flush(ctx context.Context) error {
	if t.batch == nil {
		return nil
	}
	err := t.write(ctx)
	t.source.deps.Batches.Put(t.batch)
	t.batch = nil
	return err
}

// write writes the batch, unless it is empty. It is for nothing but to be given back or to be
// emptied then.
func (t *taker) write(ctx context.Context) error {
	t.build.reset()
	b := t.batch
	if b == nil || len(b.Records) == 0 {
		return nil
	}
	n := len(b.Records)
	err := t.source.write(ctx, t.stream, b, &t.tally)
	t.tally = tally{}
	if err != nil {
		t.source.deps.Ledger.Dropped("records not written", n)
		if ctx.Err() == nil {
			t.source.deps.Log.Warn("write records", "error", err)
		}
	}
	return err
}

// Flush implements zmq.Taker.
func (t *taker) Flush(ctx context.Context) error {
	t.rest()
	err := t.flush(ctx)
	if t.faults.some() {
		err = errors.Join(err, t.source.bad.write(ctx, t))
	}
	if t.count > 0 {
		t.source.counts.senders.Series(t.source.counts.source, t.peer.Name).Add(float64(t.count))
		t.count = 0
	}
	return err
}

// Close implements zmq.Taker.
func (t *taker) Close(ctx context.Context) {
	_ = t.Flush(ctx)
	if t.stream != nil {
		t.source.streams.put(t.stream)
	}
}
