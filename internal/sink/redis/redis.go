// Package redis is the sink that sends records to a Redis server: to streams, lists or
// channels. Each record is a JSON object, as deliver.Encoder writes it.
//
//	s, err := redis.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// In a Redis stream each record is once. Its id is made of the sink's identity and the
// record's number, so that it is always the same, and ids of one stream grow as numbers do:
// Redis refuses one that it has had, and weir counts that as delivered. A batch is one
// transaction, since a record that came after one that failed would bar that one for good. An
// id of another identity that is larger is nobody's duplicate: then somebody else writes to
// the key, which is said and not taken for success.
//
// Lists and channels cannot tell: what was sent and not noted before a crash comes twice.
package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// New returns a sink. It fails for a configuration that Validate refuses, and for files of
// certificates that cannot be read.
func New(c Config, d deliver.Deps) (*deliver.Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	if o.TLSConfig != nil {
		name := o.TLSConfig.ServerName
		if o.TLSConfig, err = c.TLS.Config(); err != nil {
			return nil, err
		}
		o.TLSConfig.ServerName = name
	}
	client.SetLogger(silence{}) // what does not work is in the errors
	t := &target{config: c, deps: d, client: client.NewClient(o)}
	return deliver.New(d, t, c.Timeout), nil
}

// silence is a log of nothing.
type silence struct{}

// Printf does nothing.
func (silence) Printf(context.Context, string, ...any) {}

// noNotifications leaves out what only a managed server would tell.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

type target struct {
	config  Config
	deps    deliver.Deps
	client  *client.Client
	encoder deliver.Encoder
	text    []byte
	ends    []int // of the records in text
	numbers []uint64
}

// Send implements deliver.Target.
func (t *target) Send(ctx context.Context, b *record.Batch) (deliver.Result, error) {
	t.encode(b)
	key := t.key(b.Stream)
	var result deliver.Result
	var err error
	switch t.config.As {
	case List:
		err = t.appendList(ctx, key)
	case Publish:
		err = t.publish(ctx, key)
	default:
		result, err = t.addStream(ctx, key)
	}
	if err != nil {
		return deliver.Result{}, fmt.Errorf("send to %s: %w", key, err)
	}
	return result, nil
}

// encode writes the chosen records of b to t.text.
func (t *target) encode(b *record.Batch) {
	if cap(t.text) > maxText {
		t.text = nil
	}
	t.text, t.ends, t.numbers = t.text[:0], t.ends[:0], t.numbers[:0]
	t.encoder.Begin(b)
	for i := range b.Records {
		if b.Records[i].Flags&record.Dropped == 0 {
			t.text = t.encoder.Append(t.text, b, i)
			t.ends, t.numbers = append(t.ends, len(t.text)), append(t.numbers, b.First+uint64(i))
		}
	}
}

// maxText is how much memory stays for the next batch.
const maxText = 4 << 20

// record returns the text of the k-th record.
func (t *target) record(k int) []byte {
	from := 0
	if k > 0 {
		from = t.ends[k-1]
	}
	return t.text[from:t.ends[k]]
}

// key returns the key of a stream.
func (t *target) key(s *record.Stream) string {
	var key strings.Builder
	rest := t.config.Key
	for {
		before, after, found := strings.Cut(rest, "{")
		key.WriteString(before)
		name, end, closed := strings.Cut(after, "}")
		if !found || !closed {
			if found {
				key.WriteString("{" + after)
			}
			return key.String()
		}
		switch name {
		case "node":
			key.WriteString(t.deps.Node)
		case "stream":
			key.WriteString(s.ID)
		default:
			key.WriteString(s.Labels.Get(name))
		}
		rest = end
	}
}

// addStream adds the records to a Redis stream, all of them or none.
func (t *target) addStream(ctx context.Context, key string) (result deliver.Result, err error) {
	identity, err := deliver.IdentityOf(ctx, t.deps)
	if err != nil {
		return result, err
	}
	epoch := strconv.FormatUint(identity.Made, 10) + "-"
	commands, err := t.client.TxPipelined(ctx, func(p client.Pipeliner) error {
		for k := range t.ends {
			p.XAdd(ctx, &client.XAddArgs{
				Stream: key, ID: epoch + strconv.FormatUint(t.numbers[k], 10), MaxLen: t.config.MaxLen, Approx: t.config.MaxLen > 0,
				Values: []any{"record", t.record(k)},
			})
		}
		t.expire(ctx, p, key)
		return nil
	})
	for _, command := range commands {
		if isRefusedID(command.Err()) {
			result.Already++
		} else if command.Err() != nil {
			return result, command.Err()
		}
	}
	switch {
	case result.Already > 0:
		return result, t.checkOwner(ctx, key, identity)
	case err != nil:
		return result, err
	}
	return result, nil
}

// isRefusedID tells whether an entry was refused since the stream has had its id, or a later one.
func isRefusedID(err error) bool {
	return err != nil && strings.Contains(err.Error(), "equal or smaller than the target stream top item")
}

// errForeign says that somebody else writes to a stream.
var errForeign = errors.New("the stream has later ids than this weir gives: another weir, or this one with its clock ahead, writes to it; choose another key, or remove the stream")

// checkOwner sees that what a stream has had are entries of this sink.
func (t *target) checkOwner(ctx context.Context, key string, mine deliver.Identity) error {
	info, err := t.client.XInfoStream(ctx, key).Result()
	if err != nil {
		return err
	}
	epoch, _, _ := strings.Cut(info.LastGeneratedID, "-")
	if made, err := strconv.ParseUint(epoch, 10, 64); err != nil || made != mine.Made {
		return errForeign
	}
	return nil
}

func (t *target) expire(ctx context.Context, p client.Pipeliner, key string) {
	if t.config.Expire > 0 {
		p.PExpire(ctx, key, t.config.Expire)
	}
}

func (t *target) appendList(ctx context.Context, key string) error {
	values := make([]any, len(t.ends))
	for k := range values {
		values[k] = t.record(k)
	}
	_, err := t.client.TxPipelined(ctx, func(p client.Pipeliner) error {
		p.RPush(ctx, key, values...)
		if t.config.MaxLen > 0 {
			p.LTrim(ctx, key, -t.config.MaxLen, -1)
		}
		t.expire(ctx, p, key)
		return nil
	})
	return err
}

func (t *target) publish(ctx context.Context, key string) error {
	_, err := t.client.Pipelined(ctx, func(p client.Pipeliner) error {
		for k := range t.ends {
			p.Publish(ctx, key, t.record(k))
		}
		return nil
	})
	return err
}

// Close implements deliver.Target.
func (t *target) Close() error {
	if err := t.client.Close(); !errors.Is(err, client.ErrClosed) {
		return err
	}
	return nil
}
