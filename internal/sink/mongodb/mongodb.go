// Package mongodb is the sink that puts records into a collection of MongoDB.
//
//	s, err := mongodb.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// A record's _id is made of the sink's identity, the stream and the record's number, so it is
// always the same. Batches are unordered bulks: what the collection has already fails as a
// duplicate, which is as good as delivered, and holds nothing back. A time-series collection
// knows no duplicates: there what was not noted before a crash comes twice.
//
// A record that the server will never take, for a validator of the collection say, is counted
// and left out. Any other error has the batch sent again.
package mongodb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// New returns a sink, which connects when there is something to send. It fails for a
// configuration that Validate refuses, and for files of certificates that cannot be read.
func New(c Config, d deliver.Deps) (*deliver.Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if _, err := c.TLS.Config(); err != nil {
		return nil, err
	}
	return deliver.New(d, &target{config: c, deps: d}, c.Timeout), nil
}

type target struct {
	config     Config
	deps       deliver.Deps
	client     *mongo.Client     // nil: not connected
	collection *mongo.Collection // nil: not made
	documents  []any
}

// Send implements deliver.Target.
func (t *target) Send(ctx context.Context, b *record.Batch) (deliver.Result, error) {
	identity, err := deliver.IdentityOf(ctx, t.deps)
	if err != nil {
		return deliver.Result{}, err
	}
	if err := t.ready(ctx); err != nil {
		return deliver.Result{}, err
	}
	t.encode(b, identity)
	_, err = t.collection.InsertMany(ctx, t.documents, options.InsertMany().SetOrdered(false))
	clear(t.documents)
	result, err := judge(err)
	if err != nil {
		return deliver.Result{}, fmt.Errorf("insert into %s.%s: %w", t.config.Database, t.config.Collection, err)
	}
	return result, nil
}

// judge says what an insert has done.
func judge(err error) (result deliver.Result, failure error) {
	var bulk mongo.BulkWriteException
	if err == nil || !errors.As(err, &bulk) {
		return result, err
	}
	if bulk.WriteConcernError != nil {
		return result, err
	}
	for _, e := range bulk.WriteErrors {
		switch {
		case e.Code == codeDuplicateKey:
			result.Already++
		case isContent(e.Code):
			result.Refused++
			result.Why = "refused by the collection"
		default:
			return deliver.Result{}, e
		}
	}
	return result, nil
}

// The codes of MongoDB's errors that weir looks at.
const (
	codeBadValue              = 2
	codeFailedToParse         = 9
	codeNamespaceExists       = 48
	codeIndexOptionsConflict  = 85
	codeIndexKeySpecsConflict = 86
	codeDocumentValidation    = 121
	codeDuplicateKey          = 11000
	codeDocumentTooLarge      = 10334
	codeCannotIndex           = 17280
)

// isContent tells whether an error is about what is in a document, so that it would come again.
func isContent(code int) bool {
	switch code {
	case codeBadValue, codeFailedToParse, codeDocumentValidation, codeDocumentTooLarge, codeCannotIndex:
		return true
	}
	return false
}

// ready connects, and makes the collection.
func (t *target) ready(ctx context.Context) error {
	if t.client == nil {
		o, err := t.config.options()
		if err != nil {
			return err
		}
		if t.client, err = mongo.Connect(o); err != nil {
			return fmt.Errorf("connect to MongoDB: %w", err)
		}
	}
	if t.collection != nil {
		return nil
	}
	database := t.client.Database(t.config.Database)
	err := database.RunCommand(ctx, t.creation()).Err()
	if err != nil && !hasCode(err, codeNamespaceExists) {
		return fmt.Errorf("make the collection %s.%s: %w", t.config.Database, t.config.Collection, err)
	}
	if t.config.As == Plain && t.config.TTL > 0 {
		if err := t.expire(ctx, database); err != nil {
			return fmt.Errorf("set how long records stay in %s.%s: %w", t.config.Database, t.config.Collection, err)
		}
	}
	t.collection = database.Collection(t.config.Collection)
	return nil
}

func hasCode(err error, codes ...int) bool {
	var server mongo.ServerError
	if !errors.As(err, &server) {
		return false
	}
	for _, code := range codes {
		if server.HasErrorCode(code) {
			return true
		}
	}
	return false
}

// creation is the command that makes the collection.
func (t *target) creation() bson.D {
	command := bson.D{{Key: "create", Value: t.config.Collection}}
	switch t.config.As {
	case Capped:
		command = append(command, bson.E{Key: "capped", Value: true}, bson.E{Key: "size", Value: int64(t.config.MaxSize)})
	case TimeSeries:
		command = append(command, bson.E{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "time"}, {Key: "metaField", Value: "labels"}}})
		if t.config.TTL > 0 {
			command = append(command, bson.E{Key: "expireAfterSeconds", Value: t.seconds()})
		}
	}
	return command
}

func (t *target) seconds() int64 { return int64(t.config.TTL / time.Second) }

// expire has the server remove old records.
func (t *target) expire(ctx context.Context, database *mongo.Database) error {
	key := bson.D{{Key: "time", Value: 1}}
	err := database.RunCommand(ctx, bson.D{
		{Key: "createIndexes", Value: t.config.Collection},
		{Key: "indexes", Value: bson.A{bson.D{{Key: "key", Value: key}, {Key: "name", Value: "weir_ttl"}, {Key: "expireAfterSeconds", Value: t.seconds()}}}},
	}).Err()
	if !hasCode(err, codeIndexOptionsConflict, codeIndexKeySpecsConflict) {
		return err
	}
	return database.RunCommand(ctx, bson.D{ // it was another time before
		{Key: "collMod", Value: t.config.Collection},
		{Key: "index", Value: bson.D{{Key: "keyPattern", Value: key}, {Key: "expireAfterSeconds", Value: t.seconds()}}},
	}).Err()
}

// encode makes documents of the chosen records.
func (t *target) encode(b *record.Batch, identity deliver.Identity) {
	t.documents = t.documents[:0]
	labels := make(bson.D, 0, len(b.Stream.Labels))
	for _, l := range b.Stream.Labels {
		labels = append(labels, bson.E{Key: escapeName(l.Name), Value: valid(l.Value)})
	}
	prefix := idPrefix(b.Stream.ID, identity)
	at := 0 // the field to look at next
	for i := range b.Records {
		var fields bson.D
		for ; at < len(b.Fields) && b.Fields[at].Record <= i; at++ {
			if f := &b.Fields[at]; f.Record == i {
				fields = append(fields, bson.E{Key: escapeName(string(b.Bytes(f.Name))), Value: valid(string(b.Bytes(f.Value)))})
			}
		}
		r := &b.Records[i]
		if r.Flags&record.Dropped != 0 {
			continue
		}
		seq := b.First + uint64(i)
		body := string(b.Bytes(r.Body))
		d := bson.D{
			{Key: "_id", Value: bson.Binary{Data: binary.BigEndian.AppendUint64(prefix[:len(prefix):len(prefix)], seq)}},
			{Key: "time", Value: bson.NewDateTimeFromTime(time.Unix(0, r.Time))}, {Key: "time_ns", Value: r.Time},
			{Key: "level", Value: r.Level.String()}, {Key: "body", Value: valid(body)},
			{Key: "node", Value: valid(t.deps.Node)}, {Key: "stream", Value: valid(b.Stream.ID)}, {Key: "seq", Value: int64(seq)},
			{Key: "labels", Value: labels},
		}
		if len(fields) > 0 {
			d = append(d, bson.E{Key: "fields", Value: fields})
		}
		t.documents = append(t.documents, appendRest(d, r, body))
	}
}

// appendRest appends what most records do not have.
func appendRest(d bson.D, r *record.Record, body string) bson.D {
	for _, flag := range []struct {
		flag record.Flags
		name string
	}{{record.Stderr, "stderr"}, {record.Cut, "cut"}, {record.Lost, "lost"}} {
		if r.Flags&flag.flag != 0 {
			d = append(d, bson.E{Key: flag.name, Value: true})
		}
	}
	if r.Weight > 1 {
		d = append(d, bson.E{Key: "weight", Value: int64(r.Weight)})
	}
	if !utf8.ValidString(body) {
		d = append(d, bson.E{Key: "raw", Value: bson.Binary{Data: []byte(body)}})
	}
	return d
}

// idPrefix is what the _ids of a stream's records begin with; the number follows, so that they
// are in the order of records.
func idPrefix(stream string, identity deliver.Identity) []byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, identity.Made), identity.Random))
	h.Write([]byte(stream))
	return h.Sum(nil)[:12]
}

// valid returns text as BSON may have it.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// escapeName returns a name that MongoDB takes for one, from which the original can be told: a
// dollar sign in front, dots and zero bytes become %24, %2E and %00, and % becomes %25.
func escapeName(name string) string {
	if name == "" {
		return "%"
	}
	name = strings.NewReplacer("%", "%25", ".", "%2E", "\x00", "%00").Replace(valid(name))
	if rest, dollar := strings.CutPrefix(name, "$"); dollar {
		name = "%24" + rest
	}
	return name
}

// Close implements deliver.Target.
func (t *target) Close() error {
	if t.client == nil {
		return nil
	}
	var unbounded context.Context // nothing is under way that would be waited for
	err := t.client.Disconnect(unbounded)
	t.client, t.collection = nil, nil
	return err
}
