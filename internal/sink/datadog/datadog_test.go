package datadog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/sink/datadog/datadogtest"
)

// states keeps values as a journal does: they are durable after Sync.
type states struct {
	now, durable map[string][]byte
	syncs        int
}

func newStates() *states { return &states{now: map[string][]byte{}, durable: map[string][]byte{}} }

func (s *states) Load(key string) []byte         { return s.now[key] }
func (s *states) Store(key string, value []byte) { s.now[key] = slices.Clone(value) }

func (s *states) Sync(context.Context) error {
	s.durable = maps.Clone(s.now)
	s.syncs++
	return nil
}

func (s *states) crash() { s.now = maps.Clone(s.durable) }

const apiKey = "0123456789abcdef0123456789abcdef"

// world is an intake with a sink.
type world struct {
	t        *testing.T
	config   Config
	intake   *datadogtest.Intake
	state    *states
	registry *metric.Registry
	log      bytes.Buffer
	ledger   *ledger.Component
	sink     *Sink
	clock    time.Time // of the sink
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, config: Default(), intake: datadogtest.Start(t, apiKey), state: newStates(), registry: metric.New(), clock: time.Now()}
	w.config.URL, w.config.APIKey = w.intake.URL, apiKey
	if change != nil {
		change(&w.config)
	}
	l, err := ledger.New(w.registry, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = l.Component("sink", "central", "datadog")
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
	s.every, s.now = 0, func() time.Time { return w.clock }
	w.sink = s
}

func stream(name string) *record.Stream {
	return &record.Stream{ID: "docker/" + name, Source: "docker", Labels: record.NewLabels(map[string]string{"container": name, "image": "a,b"})}
}

// batch returns n records of a stream from the number first on, a millisecond apart.
func (w *world) batch(name string, first, n int) *record.Batch {
	b := &record.Batch{Stream: stream(name), First: uint64(first)}
	for i := range n {
		at := w.clock.Add(time.Duration(first+i) * time.Millisecond).UnixNano()
		b.Records = append(b.Records, record.Record{Time: at, Level: record.LevelInfo, Body: b.Append(fmt.Appendf(nil, "%s %d", name, first+i))})
	}
	return b
}

// try writes batches and flushes, as a reader does in one pass.
func (w *world) try(batches ...*record.Batch) error {
	for _, b := range batches {
		if err := w.sink.Write(w.t.Context(), b); err != nil {
			return err
		}
	}
	return w.sink.Flush(w.t.Context())
}

func (w *world) write(batches ...*record.Batch) {
	w.t.Helper()
	if err := w.try(batches...); err != nil {
		w.t.Fatal(err)
	}
}

// messages returns the texts of what was taken.
func (w *world) messages() (all []string) {
	for _, l := range w.intake.Logs() {
		all = append(all, l.Text("message"))
	}
	return all
}

// next returns where a stream goes on.
func (w *world) next(name string) uint64 {
	next, _ := w.sink.Next("docker/" + name)
	return next
}

// texts returns what batches have, from one number to another.
func texts(name string, from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(name, " ", i))
	}
	return all
}

// counts sees that the numbers have these samples.
func (w *world) counts(want ...string) {
	w.t.Helper()
	text := string(w.registry.AppendText(nil, metric.Text))
	for _, sample := range want {
		if !strings.Contains(text, sample) {
			w.t.Errorf("no %s in\n%s", sample, text)
		}
	}
}

func (w *world) has(want ...string) {
	w.t.Helper()
	if got := w.messages(); !slices.Equal(got, want) {
		w.t.Errorf("the intake has %d logs %.300q; want %d", len(got), got, len(want))
	}
}

// TestStreamsTogether puts records of several streams into one request.
func TestStreamsTogether(t *testing.T) {
	for _, packed := range []Compression{Gzip, Zstd, None} {
		w := newWorld(t, func(c *Config) { c.Compression = packed })
		w.write(w.batch("a", 1, 3), w.batch("b", 7, 2))
		w.has(append(texts("a", 1, 3), texts("b", 7, 8)...)...)
		if sizes := w.intake.Sizes(); len(sizes) != 1 || w.next("a") != 4 || w.next("b") != 9 {
			t.Errorf("%s: requests of %v logs; it goes on with %d and %d", packed, sizes, w.next("a"), w.next("b"))
		}
		w.counts(`weir_component_sent_total{component="sink/central"} 5`)
	}
}

// TestBounds: a request has 1,000 logs at most, and 5 MB.
func TestBounds(t *testing.T) {
	w := newWorld(t, nil)
	w.write(w.batch("a", 1, 2500))
	w.has(texts("a", 1, 2500)...)
	if sizes := w.intake.Sizes(); !slices.Equal(sizes, []int{1000, 1000, 500}) {
		t.Errorf("requests of %v logs", sizes)
	}
	for _, packed := range []Compression{Gzip, Zstd, None} {
		w = newWorld(t, func(c *Config) { c.Compression = packed })
		b := w.batch("a", 1, 0)
		for i := range 12 {
			body := append(fmt.Appendf(nil, "a %d", i+1), bytes.Repeat([]byte{'x', byte('a' + i)}, 450_000)...)
			b.Records = append(b.Records, record.Record{Time: w.clock.UnixNano(), Body: b.Append(body)})
		}
		w.write(b)
		if sizes := w.intake.Sizes(); !slices.Equal(sizes, []int{5, 5, 2}) || w.next("a") != 13 {
			t.Errorf("%s: requests of %v logs", packed, sizes)
		}
	}
}

// TestOutages sends again what was not taken, once it is: the statuses that ask for that, and
// connections that break.
func TestOutages(t *testing.T) {
	for _, answer := range []datadogtest.Answer{{Code: 408}, {Code: 429}, {Code: 500}, {Code: 502}, {Code: 503}, {Code: 504}, {Code: 500, Hangup: true}} {
		w := newWorld(t, nil)
		w.intake.Answers(func([]datadogtest.Log) datadogtest.Answer { return answer })
		for range 3 {
			if err := w.try(w.batch("a", 1, 3)); err == nil || w.next("a") != 0 {
				t.Fatalf("%v: %v; it goes on with %d", answer, err, w.next("a"))
			}
		}
		w.has()
		w.intake.Answers(nil)
		w.write(w.batch("a", 1, 3))
		w.has(texts("a", 1, 3)...)
		if n := len(w.intake.Codes()); n != 4 {
			t.Errorf("%v: %d requests", answer, n)
		}
	}
}

// TestNobodyThere tries again, too.
func TestNobodyThere(t *testing.T) {
	w := newWorld(t, nil)
	url := w.config.URL
	w.config.URL = "http://127.0.0.1:1/api/v2/logs"
	w.open()
	if err := w.try(w.batch("a", 1, 3)); err == nil || strings.Contains(err.Error(), apiKey) {
		t.Errorf("the error is %v", err)
	}
	w.config.URL = url
	w.open()
	w.write(w.batch("a", 1, 3))
	w.has(texts("a", 1, 3)...)
}

// TestRetryAfter leaves the intake alone for as long as it asks.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t, nil)
	w.intake.Answers(func([]datadogtest.Log) datadogtest.Answer {
		return datadogtest.Answer{Code: 429, RetryAfter: "90"}
	})
	b := w.batch("a", 1, 3)
	first := w.try(b)
	w.intake.Answers(nil)
	w.clock = w.clock.Add(89 * time.Second)
	if err := w.try(b); err == nil || err.Error() != first.Error() || len(w.intake.Codes()) != 1 {
		t.Errorf("%v, then %v after %d requests", first, err, len(w.intake.Codes()))
	}
	w.clock = w.clock.Add(2 * time.Second)
	w.write(b)
	w.has(texts("a", 1, 3)...)
}

// TestKeyRefused: with a wrong key nothing is lost, and the intake is asked once in a minute.
func TestKeyRefused(t *testing.T) {
	for _, code := range []int{401, 403} {
		w := newWorld(t, nil)
		w.intake.Answers(func([]datadogtest.Log) datadogtest.Answer {
			return datadogtest.Answer{Code: code, Body: "the key " + apiKey + " is not known"}
		})
		for range 500 { // as a reader does, with pauses of up to ten seconds
			err := w.try(w.batch("a", 1, 3))
			if err == nil || !strings.Contains(err.Error(), "correct api_key") || strings.Contains(err.Error(), apiKey) {
				t.Fatalf("%d: %v", code, err)
			}
			w.clock = w.clock.Add(time.Second)
		}
		if n := len(w.intake.Codes()); n != 9 {
			t.Errorf("%d: %d requests in 500 seconds", code, n)
		}
		w.intake.Answers(nil)
		w.open() // the configuration was corrected
		w.write(w.batch("a", 1, 3))
		w.has(texts("a", 1, 3)...)
	}
	w := newWorld(t, func(c *Config) { c.APIKey = "another" })
	if err := w.try(w.batch("a", 1, 1)); err == nil || strings.Contains(err.Error(), "another") {
		t.Errorf("the intake repeats the key, and so does the error: %v", err)
	}
}

// TestWrongPlace: what is no intake takes nothing, and nothing is dropped.
func TestWrongPlace(t *testing.T) {
	for _, code := range []int{302, 400, 404, 405, 415} {
		w := newWorld(t, nil)
		w.intake.Answers(func([]datadogtest.Log) datadogtest.Answer { return datadogtest.Answer{Code: code} })
		if err := w.try(w.batch("a", 1, 300)); err == nil || !strings.Contains(err.Error(), "url") || w.next("a") != 0 {
			t.Errorf("%d: %v", code, err)
		}
		asked := len(w.intake.Codes())
		if err := w.try(w.batch("a", 1, 300)); err == nil || len(w.intake.Codes()) != asked {
			t.Errorf("%d: it is asked again at once; %v", code, err)
		}
		w.intake.Answers(nil)
		w.clock = w.clock.Add(time.Minute)
		w.write(w.batch("a", 1, 300))
		w.has(texts("a", 1, 300)...)
	}
}

// refusing answers code to requests with a log of that text.
func refusing(code int, bad ...string) func([]datadogtest.Log) datadogtest.Answer {
	return func(logs []datadogtest.Log) datadogtest.Answer {
		for _, l := range logs {
			if slices.Contains(bad, l.Text("message")) {
				return datadogtest.Answer{Code: code}
			}
		}
		return datadogtest.Answer{}
	}
}

// TestBadRecord finds the records that the intake refuses, wherever they are.
func TestBadRecord(t *testing.T) {
	for _, bad := range [][]string{{"a 1"}, {"a 1000"}, {"a 500", "b 3"}, {"a 1", "a 2", "a 3"}, append(texts("a", 1, 1000), texts("b", 1, 4)...)} {
		w := newWorld(t, nil)
		w.intake.Answers(refusing(400, bad...))
		w.write(w.batch("a", 1, 1000), w.batch("b", 1, 4))
		var want []string
		for _, text := range append(texts("a", 1, 1000), texts("b", 1, 4)...) {
			if !slices.Contains(bad, text) {
				want = append(want, text)
			}
		}
		w.has(want...)
		w.counts(fmt.Sprintf(`weir_component_dropped_total{component="sink/central",reason="refused by the intake"} %d`, len(bad)))
		if w.next("a") != 1001 || w.next("b") != 5 {
			t.Errorf("it goes on with %d and %d", w.next("a"), w.next("b"))
		}
		if n := len(w.intake.Codes()); len(bad) < 4 && n > 60 {
			t.Errorf("%d bad records took %d requests", len(bad), n)
		}
	}
}

// TestTooLarge halves what an intake with another bound does not take.
func TestTooLarge(t *testing.T) {
	w := newWorld(t, nil)
	w.intake.Answers(func(logs []datadogtest.Log) datadogtest.Answer {
		if len(logs) > 100 || len(logs) > 0 && slices.ContainsFunc(logs, func(l datadogtest.Log) bool { return l.Text("message") == "a 77" }) {
			return datadogtest.Answer{Code: http.StatusRequestEntityTooLarge}
		}
		return datadogtest.Answer{}
	})
	w.write(w.batch("a", 1, 700))
	w.has(append(texts("a", 1, 76), texts("a", 78, 700)...)...)
	w.counts(`weir_component_dropped_total{component="sink/central",reason="too large for the intake"} 1`, `weir_component_sent_total{component="sink/central"} 699`)
	for _, n := range w.intake.Sizes() {
		if n > 100 {
			t.Errorf("a request of %d", n)
		}
	}
}

// TestHalfTaken goes on behind what was taken when the rest of it is not.
func TestHalfTaken(t *testing.T) {
	w := newWorld(t, nil)
	requests := 0
	w.intake.Answers(func(logs []datadogtest.Log) datadogtest.Answer {
		if requests++; requests == 3 {
			return datadogtest.Answer{Code: 503}
		}
		return datadogtest.Answer{}
	})
	if err := w.try(w.batch("a", 1, 2500)); err == nil || w.next("a") != 2001 {
		t.Fatalf("%v; it goes on with %d", err, w.next("a"))
	}
	w.write(w.batch("a", 2001, 500))
	w.has(texts("a", 1, 2500)...)
}

// TestCrash: whenever weir is killed, one request at most comes twice.
func TestCrash(t *testing.T) {
	for at := 1; at <= 6; at++ {
		w := newWorld(t, nil)
		requests := 0
		w.intake.Answers(func(logs []datadogtest.Log) datadogtest.Answer {
			requests++
			return datadogtest.Answer{Hangup: requests == at, Code: map[bool]int{true: 202}[requests == at]} // it has it, and weir does not know
		})
		err := w.try(w.batch("a", 1, 4500), w.batch("b", 1, 100))
		w.intake.Answers(nil)
		w.state.crash()
		w.open()
		a, b := max(int(w.next("a")), 1), max(int(w.next("b")), 1)
		w.write(w.batch("a", a, 4501-a), w.batch("b", b, 101-b))
		times := map[string]int{}
		for _, m := range w.messages() {
			times[m]++
		}
		twice := 0
		for _, n := range times {
			if n > 2 {
				t.Fatalf("%d: a log is there %d times", at, n)
			}
			twice += n - 1
		}
		if len(times) != 4600 || twice > maxEntries {
			t.Errorf("killed after request %d (%v): %d of 4600 logs are there, %d of them twice", at, err, len(times), twice)
		}
	}
}

// TestOld drops and counts what the intake does not take any more.
func TestOld(t *testing.T) {
	w := newWorld(t, nil)
	w.clock = time.Now()
	b := w.batch("a", 1, 6)
	old := w.clock.Add(-18*time.Hour - time.Minute).UnixNano()
	b.Records[0].Time, b.Records[3].Time, b.Records[5].Time = old, old, old
	b.Records[1].Time = w.clock.Add(-18*time.Hour + time.Minute).UnixNano()
	all := w.batch("b", 1, 2)
	all.Records[0].Time, all.Records[1].Time = old, old
	down := true
	w.intake.Answers(func([]datadogtest.Log) datadogtest.Answer {
		return datadogtest.Answer{Code: map[bool]int{true: 500}[down]}
	})
	if err := w.try(b, all); err == nil {
		t.Fatal("no error")
	}
	down = false
	b.Records, b.First = b.Records[w.next("a")-1:], w.next("a")
	all.Records, all.First = all.Records[w.next("b")-1:], w.next("b")
	w.write(b, all)
	w.has("a 2", "a 3", "a 5")
	if w.next("a") != 7 || w.next("b") != 3 {
		t.Errorf("it goes on with %d and %d", w.next("a"), w.next("b"))
	}
	w.counts(`weir_component_dropped_total{component="sink/central",reason="older than the intake takes"} 5`)
}

// TestChosen leaves out what was not chosen, also where nothing is left.
func TestChosen(t *testing.T) {
	w := newWorld(t, nil)
	b := w.batch("a", 1, 4)
	b.Records[1].Flags, b.Records[3].Flags = record.Dropped, record.Dropped
	none := w.batch("b", 5, 1)
	none.Records[0].Flags = record.Dropped
	empty := w.batch("c", 9, 0)
	w.write(b, none, empty)
	w.has("a 1", "a 3")
	if w.next("a") != 5 || w.next("b") != 6 || w.next("c") != 9 {
		t.Errorf("it goes on with %d, %d and %d", w.next("a"), w.next("b"), w.next("c"))
	}
}

// TestVersion1 takes the answer of the older intake.
func TestVersion1(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.URL = strings.Replace(c.URL, "/api/v2/logs", "/v1/input", 1) })
	w.write(w.batch("a", 1, 3))
	w.has(texts("a", 1, 3)...)
}

// TestPace waits with a request that is not full.
func TestPace(t *testing.T) {
	w := newWorld(t, nil)
	w.sink.every = 30 * time.Millisecond
	w.sink.now = time.Now
	began := time.Now()
	for i := range 4 {
		w.write(w.batch("a", 1+i, 1))
	}
	if took := time.Since(began); took < 80*time.Millisecond {
		t.Errorf("four requests in %v", took)
	}
	w.sink.every = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(w.sink.Write(t.Context(), w.batch("a", 5, 1)), w.sink.Flush(ctx)); !errors.Is(err, context.Canceled) || w.next("a") != 5 {
		t.Errorf("%v; it goes on with %d", err, w.next("a"))
	}
}

// TestNoKeyAnywhere: the key is in no error, log or number.
func TestNoKeyAnywhere(t *testing.T) {
	for n := 0; n < 300; n += 7 { // where an answer is shortened, too
		w := newWorld(t, nil)
		w.intake.Answers(func([]datadogtest.Log) datadogtest.Answer {
			return datadogtest.Answer{Code: 500, Body: strings.Repeat("x", n) + apiKey}
		})
		err := w.try(w.batch("a", 1, 1))
		if shown := fmt.Sprintf("%v %+v %#v %s", err, w.config, w.config, w.log.String()); strings.Contains(shown, apiKey[:5]) {
			t.Fatalf("the key is in %s", shown)
		}
	}
}

// TestProxy sends through a proxy, whose password is not shown.
func TestProxy(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Proxy = config.Secret(strings.Replace(strings.TrimSuffix(c.URL, "/api/v2/logs"), "://", "://me:hunter@", 1)) // the intake takes requests for any host
		c.URL = "http://intake.example.com/api/v2/logs"
	})
	w.write(w.batch("a", 1, 3))
	w.has(texts("a", 1, 3)...)
	if shown := fmt.Sprintf("%v %+v %#v", w.config, w.config, w.config); strings.Contains(shown, "hunter") {
		t.Errorf("the password is in %s", shown)
	}
}
