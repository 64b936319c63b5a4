package mongodb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// states keeps values as a journal does: they are durable after Sync.
type states struct{ now, durable map[string][]byte }

func newStates() *states { return &states{now: map[string][]byte{}, durable: map[string][]byte{}} }

func (s *states) Load(key string) []byte         { return s.now[key] }
func (s *states) Store(key string, value []byte) { s.now[key] = slices.Clone(value) }

func (s *states) Sync(context.Context) error {
	s.durable = maps.Clone(s.now)
	return nil
}

func (s *states) crash() { s.now = maps.Clone(s.durable) }

// world is a server with a sink.
type world struct {
	t        *testing.T
	config   Config
	server   *server
	state    *states
	registry *metric.Registry
	ledger   *ledger.Component
	sink     *deliver.Sink
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, config: Default(), server: newServer(t), state: newStates(), registry: metric.New()}
	w.config.URL, w.config.Timeout = "mongodb://"+w.server.listener.Addr().String(), 5*time.Second
	if change != nil {
		change(&w.config)
	}
	l, err := ledger.New(w.registry, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = l.Component("sink", "central", "mongodb")
	w.open()
	return w
}

// open makes the sink, as at a start.
func (w *world) open() {
	w.t.Helper()
	s, err := New(w.config, deliver.Deps{Name: "central", Node: "web-1", Ledger: w.ledger, State: w.state})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.sink = s
}

var shop = record.Stream{ID: "docker/shop", Source: "docker", Labels: record.Labels{{Name: "container", Value: "shop"}}}

// batch returns n records from the number first on.
func batch(first, n int) *record.Batch {
	b := &record.Batch{Stream: &shop, First: uint64(first)}
	for i := range n {
		b.Records = append(b.Records, record.Record{Time: int64(first+i) * 1e9, Level: record.LevelInfo, Body: b.Append(fmt.Appendf(nil, "line %d", first+i))})
	}
	return b
}

// write writes a batch until it is taken.
func (w *world) write(b *record.Batch) (failures int) {
	w.t.Helper()
	for {
		err := errors.Join(w.sink.Write(w.t.Context(), b), w.sink.Flush(w.t.Context()))
		if err == nil {
			return failures
		}
		if failures++; failures > 10 {
			w.t.Fatal(err)
		}
	}
}

// bodies returns the texts of all documents, sorted.
func (w *world) bodies() (all []string) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for _, d := range w.server.documents {
		all = append(all, d.Lookup("body").StringValue())
	}
	slices.Sort(all)
	return all
}

func lines(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint("line ", i))
	}
	slices.Sort(all)
	return all
}

// counted tells whether the metrics have a sample.
func (w *world) counted(want string) {
	w.t.Helper()
	if text := string(w.registry.AppendText(nil, metric.Text)); !strings.Contains(text, want+"\n") {
		w.t.Errorf("no %s in\n%s", want, text)
	}
}

// TestOnce crashes between what was sent and what was noted of it.
func TestOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(1, 3))
	if err := w.state.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(batch(4, 5))
	w.state.crash()
	w.open()
	w.write(batch(4, 7)) // 5 of which are there
	if got := w.bodies(); !slices.Equal(got, lines(1, 10)) {
		t.Errorf("the collection has %q", got)
	}
	w.counted(`event="had it already"} 5`)
	w.counted(`weir_component_sent_total{component="sink/central"} 10`)
	w.state = newStates() // another data directory is another sink
	w.open()
	w.write(batch(1, 2))
	if got := len(w.bodies()); got != 12 {
		t.Errorf("the collection has %d documents", got)
	}
}

// TestNoAnswer: the server does what it is asked, and its answer is lost.
func TestNoAnswer(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(1, 3))
	w.server.mu.Lock()
	w.server.silent = 3
	w.server.mu.Unlock()
	if w.write(batch(4, 3)) == 0 {
		t.Error("it went without a failure")
	}
	if got := w.bodies(); !slices.Equal(got, lines(1, 6)) {
		t.Errorf("the collection has %q", got)
	}
}

// TestErrors that are a record's fault leave it out; others have the batch sent again.
func TestErrors(t *testing.T) {
	w := newWorld(t, nil)
	w.server.judge = func(d bson.Raw) int32 {
		if d.Lookup("body").StringValue() == "line 2" {
			return codeDocumentValidation
		}
		return 0
	}
	if n := w.write(batch(1, 3)); n != 0 {
		t.Errorf("%d failures", n)
	}
	w.counted(`reason="refused by the collection"} 1`)
	left := 2
	w.server.judge = func(d bson.Raw) int32 {
		if d.Lookup("body").StringValue() == "line 5" && left > 0 {
			left--
			return 14031 // no room on its disk
		}
		return 0
	}
	if n := w.write(batch(4, 3)); n != 2 {
		t.Errorf("%d failures", n)
	}
	w.server.judge, left = nil, 2
	w.server.fail = func(name string) bson.D {
		if name == "insert" && left > 0 {
			left--
			return failing(13) // not allowed
		}
		return nil
	}
	if n := w.write(batch(7, 1)); n != 2 {
		t.Errorf("%d failures", n)
	}
	if got := w.bodies(); !slices.Equal(got, slices.DeleteFunc(lines(1, 7), func(l string) bool { return l == "line 2" })) {
		t.Errorf("the collection has %q", got)
	}
}

// TestAway: a server that is not there is an error within the timeout.
func TestAway(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Timeout = time.Second })
	w.server.listener.Close()
	began := time.Now()
	if err := w.sink.Write(t.Context(), batch(1, 1)); err == nil || time.Since(began) > 15*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if _, ok := w.sink.Next(shop.ID); ok {
		t.Error("it has a cursor all the same")
	}
}

func TestDocument(t *testing.T) {
	w := newWorld(t, nil)
	b := batch(7, 2)
	b.Records[0].Flags = record.Dropped
	b.Records[1] = record.Record{Time: 1795237507_123456789, Level: record.LevelError, Flags: record.Stderr, Weight: 10, Body: b.Append([]byte("a\xffb"))}
	for _, name := range []string{"$where", "a.b", "a\x00b", "100%"} {
		b.Fields = append(b.Fields, record.Field{Record: 1, Name: b.Append([]byte(name)), Value: b.Append([]byte("v"))})
	}
	w.write(b)
	got, err := bson.MarshalExtJSON(w.server.documents[0], false, false)
	if err != nil || len(w.server.documents) != 1 {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(got), `"subType":"00"}},`)
	want := `"time":{"$date":"2026-11-21T05:05:07.123Z"},"time_ns":1795237507123456789,"level":"error","body":"a�b","node":"web-1","stream":"docker/shop","seq":8,` +
		`"labels":{"container":"shop"},"fields":{"%24where":"v","a%2Eb":"v","a%00b":"v","100%25":"v"},"stderr":true,"weight":10,"raw":{"$binary":{"base64":"Yf9i","subType":"00"}}}`
	if rest != want {
		t.Errorf("the document is %s\nwant …%s", got, want)
	}
}

func TestCollections(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"plain":       {func(*Config) {}, []string{`{"create":"logs",`}},
		"ttl":         {func(c *Config) { c.TTL = time.Hour }, []string{`{"create":"logs",`, `{"createIndexes":"logs","indexes":[{"key":{"time":1},"name":"weir_ttl","expireAfterSeconds":3600}],`}},
		"capped":      {func(c *Config) { c.As, c.MaxSize = Capped, 1<<20 }, []string{`{"create":"logs","capped":true,"size":1048576,`}},
		"time series": {func(c *Config) { c.As, c.TTL = TimeSeries, time.Hour }, []string{`{"create":"logs","timeseries":{"timeField":"time","metaField":"labels"},"expireAfterSeconds":3600,`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.change)
			w.write(batch(1, 1))
			w.write(batch(2, 1))
			var got []string
			for _, c := range w.server.commands {
				text, err := bson.MarshalExtJSON(c, false, false)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(text))
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("commands %q; want %q", got, test.want)
			}
		})
	}
}

// TestTTLChanges: a collection that is there, with an index of another time.
func TestTTLChanges(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.TTL = time.Hour })
	w.server.fail = func(name string) bson.D {
		switch name {
		case "create":
			return failing(codeNamespaceExists)
		case "createIndexes":
			return failing(codeIndexOptionsConflict)
		}
		return nil
	}
	w.write(batch(1, 1))
	if len(w.server.commands) != 1 || w.server.commands[0].Lookup("collMod").StringValue() != "logs" {
		t.Errorf("commands %v", w.server.commands)
	}
}

// TestNames are different where they were.
func TestNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"", "%", "$", "%24", "a.b", "a%2Eb", "a", "$a", "a$", "\x00", "%00"} {
		escaped := escapeName(name)
		if other, ok := seen[escaped]; ok || strings.ContainsAny(escaped, ".\x00") || strings.HasPrefix(escaped, "$") || escaped == "" {
			t.Errorf("%q becomes %q, as %q", name, escaped, other)
		}
		seen[escaped] = name
	}
}

func FuzzNames(f *testing.F) {
	f.Add("$a.b\x00%")
	f.Fuzz(func(t *testing.T, name string) {
		escaped := escapeName(name)
		if strings.ContainsAny(escaped, ".\x00") || strings.HasPrefix(escaped, "$") || escaped == "" {
			t.Errorf("%q becomes %q", name, escaped)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.URL = "" }, "url: say where"},
		{func(c *Config) { c.URL = "http://a" }, "url: use mongodb"},
		{func(c *Config) { c.URL = "mongodb://me:secret@a" }, "url: leave out the user"},
		{func(c *Config) { c.URL = "mongodb://a/?w=0" }, "url: w=0"},
		{func(c *Config) { c.URL = "mongodb+srv://cluster.example.com" }, ""},
		{func(c *Config) { c.Database = "a.b" }, "database:"},
		{func(c *Config) { c.Collection = "$a" }, "collection:"},
		{func(c *Config) { c.MaxSize = 1 }, "max_size:"},
		{func(c *Config) { c.TTL = 1 }, "ttl:"},
		{func(c *Config) { c.TTL, c.As = time.Hour, Capped }, "ttl: a capped"},
		{func(c *Config) { c.Password = "x" }, "username:"},
		{func(c *Config) { c.Timeout = 0 }, "timeout:"},
	} {
		c := Default()
		c.URL = "mongodb://127.0.0.1:27017"
		test.change(&c)
		err := c.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %s", c, err, test.want)
		}
	}
}

// TestRealServer is for a MongoDB that the environment names, or a server that speaks as one: its
// documents come once, in each kind of collection that it has.
func TestRealServer(t *testing.T) {
	url := os.Getenv("WEIR_TEST_MONGODB")
	if url == "" {
		t.Skip("SKIP MongoDB: WEIR_TEST_MONGODB names no server (mongodb://127.0.0.1:27017)")
	}
	const (
		longest            = (1<<31 - 1) * time.Second // the records are from 1970
		codeNotImplemented = 238
	)
	for name, kind := range map[string]struct {
		as  As
		ttl time.Duration
	}{"plain": {as: Plain}, "ttl": {as: Plain, ttl: longest}, "capped": {as: Capped}, "time series": {as: TimeSeries}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				c.URL, c.Database, c.As, c.MaxSize, c.TTL = url, "weir_test", kind.as, 1<<20, kind.ttl
				c.Collection = fmt.Sprintf("%s_%d", kind.as, time.Now().UnixNano())
			})
			client, err := mongo.Connect(options.Client().ApplyURI(url))
			if err != nil {
				t.Fatal(err)
			}
			collection := client.Database("weir_test").Collection(w.config.Collection)
			defer func() {
				if err := errors.Join(collection.Drop(t.Context()), client.Disconnect(t.Context())); err != nil {
					t.Error(err)
				}
			}()
			first := batch(1, 5)
			if err := errors.Join(w.sink.Write(t.Context(), first), w.sink.Flush(t.Context())); hasCode(err, codeNotImplemented) {
				t.Skip("SKIP MongoDB: the server has no such collections:", err)
			}
			w.write(first)
			w.write(batch(4, 7))
			want := int64(10)
			if kind.as == TimeSeries {
				want = 12 // it cannot tell
			}
			if n, err := collection.CountDocuments(t.Context(), bson.D{}); n != want || err != nil {
				t.Errorf("%d documents, %v", n, err)
			}
		})
	}
}
