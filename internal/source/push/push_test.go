package push

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

const shop = `push/{app="shop", source="push"}`

func TestPush(t *testing.T) {
	w := newWorld(t, nil).run()
	body := jsonPush(map[string]string{"app": "shop"}, entry{1, "one", nil}, entry{2, "two", map[string]string{"trace.id": "x"}})
	if got := w.sendJSON(body); got != "204" {
		t.Error(got)
	}
	if got := w.send(protoPush(`{app="shop"}`, "three", `{app="till", level="warn"}`, "four", `{ app='shop', }`, "five"), "Content-Type: application/x-protobuf"); got != "204" {
		t.Error(got)
	}
	if got := w.send(protoPush(`{app="shop"}`, "six"), "Content-Encoding: snappy"); got != "204" {
		t.Error(got)
	}
	w.expect(map[string][]string{
		shop: {"1 unknown one", "2 unknown two trace_id=x", "1000000000 unknown three", "1000000000 unknown five", "1000000000 unknown six"},
		`push/{app="till", level="warn", source="push"}`: {"1000000000 warn four"},
	})
	for id, n := range w.opened {
		if n != 1 {
			t.Errorf("%s was opened %d times", id, n)
		}
	}
	if w.syncs != 3 {
		t.Errorf("%d syncs", w.syncs)
	}
}

func TestEncodings(t *testing.T) {
	pack := func(body []byte, open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		z := open(&b)
		if _, err := z.Write(body); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	toGzip := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	toZlib := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	toFlate := func(w io.Writer) io.WriteCloser {
		z, _ := flate.NewWriter(w, 5)
		return z
	}
	w := newWorld(t, nil).run()
	body := []byte(jsonPush(map[string]string{"app": "shop"}, entry{1, "one", nil}))
	send := func(want string, body []byte, headers ...string) {
		t.Helper()
		if got := w.send(body, headers...); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	send("204", pack(body, toGzip), "Content-Type: application/json; charset=utf-8", "Content-Encoding: gzip")
	send("204", pack(body, toZlib), "Content-Type: application/json", "Content-Encoding: deflate")
	send("204", pack(body, toFlate), "Content-Type: application/json", "Content-Encoding: deflate")
	send("204", pack(protoPush(`{app="shop"}`, "x"), toGzip), "Content-Type: application/x-protobuf", "Content-Encoding: gzip")
	if n := w.records(); n != 4 {
		t.Errorf("%d records", n)
	}
	send("400 unpack gzip: gzip: invalid header", body, "Content-Type: application/json", "Content-Encoding: gzip")
	send("400 unpack gzip: unexpected EOF", pack(body, toGzip)[:40], "Content-Type: application/json", "Content-Encoding: gzip")
	send("400 unpack snappy block: s2: corrupt input", body, "Content-Type: application/x-protobuf")
	send(`415 content encoding "zstd" is not supported: use gzip or deflate`, body, "Content-Encoding: zstd")
	send(`415 content type "text/plain" is not supported: use application/json, or application/x-protobuf in snappy`, body, "Content-Type: text/plain")
	send("415 JSON in snappy is not supported: use gzip or deflate", body, "Content-Type: application/json", "Content-Encoding: snappy")
	if n := w.source.bodies.Used(); n != 0 {
		t.Errorf("%d bytes are still counted as used", n)
	}
}

func TestMetadata(t *testing.T) {
	w := newWorld(t, nil).run()
	entries := []string{
		`["1","a",{"detected_level":"error","level":"info"}]`,
		`["2","b",{"severity":"4","lvl":"debug"}]`,
		`["3","c",{"detected_level":"?","level":"trace"}]`,
		`["4","d",{"x y":"1","x+y":"2","2x":"3"}]`,
		`["5","e",{"x y":"7","2x":"` + strings.Repeat("v", maxFieldBytes-6) + `","more":"left out"}]`,
		`["6","f",{"` + strings.Repeat("n", 1025) + `":"left out","n":"taken"}]`,
	}
	if got := w.sendJSON(`{"streams":[{"stream":{"app":"shop","level":"warn"},"values":[` + strings.Join(entries, ",") + `]}]}`); got != "204" {
		t.Error(got)
	}
	w.expect(map[string][]string{`push/{app="shop", level="warn", source="push"}`: {
		"1 error a level=info",
		"2 " + record.LevelWarn.String() + " b severity=4 lvl=debug",
		"3 trace c detected_level=? level=trace",
		"4 warn d x_y=2 key_2x=3",
		"5 warn e x_y=7 key_2x=" + strings.Repeat("v", maxFieldBytes-6),
		"6 warn f n=taken",
	}})
}

// TestSlowBody: a body that comes too slowly is one to be sent again.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, nil).run()
	r := httptest.NewRequest("POST", "/loki/api/v1/push", iotest.ErrReader(fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)))
	r.Header.Set("Content-Type", "application/json")
	if got := w.answer(r); !strings.HasPrefix(got, "503") {
		t.Error(got)
	}
}

// TestShortLines pushes entries without text: no batch has more than its number of records.
func TestShortLines(t *testing.T) {
	w := newWorld(t, nil).run()
	const n = 2*maxBatchRecords + 1
	if got := w.sendJSON(`{"streams":[{"stream":{"a":"b"},"values":[` + strings.Repeat(`["1",""],`, n-1) + `["1",""]]}]}`); got != "204" {
		t.Fatal(got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.most != maxBatchRecords {
		t.Errorf("a batch has %d records", w.most)
	}
}

func TestLongLines(t *testing.T) {
	w := newWorld(t, nil).run()
	long := strings.Repeat("é", maxLineBytes/2)
	var entries []entry
	for i := range 5 {
		entries = append(entries, entry{int64(i), "x" + long, map[string]string{"k": "v"}}, entry{int64(i), long, nil}, entry{int64(i), "short", nil})
	}
	if got := w.sendJSON(jsonPush(map[string]string{"app": "shop"}, entries...)); got != "204" {
		t.Error(got)
	}
	if got := w.got[shop]; len(got) != 15 || got[0] != "0 unknown 1048575 bytes, flags 8 k=v" || got[1] != "0 unknown "+long || got[14] != "4 unknown short" {
		t.Errorf("%d records", len(got))
	}
	if w.largest > maxLineBytes+100 {
		t.Errorf("an arena of %d bytes", w.largest)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, nil).run()
	body := protoPush(`{app="shop"}`, "one", `{app=}`, "two", `{app="shop"}`, "three", `{}`, "four")
	if got := w.send(body); got != "400 2 entries were taken, 2 refused: stream {app=}: at byte 5: expected a value in quotes\nstream {}: at byte 0: a stream needs at least one label" {
		t.Error(got)
	}
	w.expect(map[string][]string{shop: {"1000000000 unknown one", "1000000000 unknown three"}})

	many := make([]string, 20)
	for i := range many {
		many[i] = "{" + strings.Repeat("x", 300)
	}
	if got := w.send(protoPush(many...)); strings.Count(got, "stream {xxx") != maxReasons || !strings.HasSuffix(got, "\n…") || len(got) > 2000 {
		t.Error(got)
	}

	w.refuse = errTest
	if got := w.send(protoPush(`{app="shop"}`, "five", `{app="new"}`, "six", `{app="new"}`, "seven")); got !=
		"400 1 entries were taken, 2 refused: stream {app=\"new\", source=\"push\"}: it does not work\nstream {app=\"new\", source=\"push\"}: it does not work" {
		t.Error(got)
	}
}

func TestMalformedIsRefusedWhole(t *testing.T) {
	w := newWorld(t, nil).run()
	good := strings.Repeat(`["1","x"],`, 1000)
	if got := w.sendJSON(`{"streams":[{"stream":{"app":"shop"},"values":[` + good + `["2"]]}]}`); !strings.HasPrefix(got, "400 at byte ") || !strings.HasSuffix(got, "in streams[0].values[1000]: an entry needs a time and a line") {
		t.Error(got)
	}
	if len(w.got) > 0 || w.syncs > 0 {
		t.Error("something of it was taken")
	}
}

func TestTooLarge(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxBody = 64 << 10 }).run()
	const want = "413 the push has more than 64KiB unpacked (max_body); send it in parts"
	large := []byte(jsonPush(map[string]string{"app": "shop"}, entry{1, strings.Repeat("x", 64<<10), nil}))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(large)
	_ = z.Close()
	for name, got := range map[string]string{
		"plain":  w.send(large, "Content-Type: application/json"),
		"gzip":   w.send(packed.Bytes(), "Content-Type: application/json", "Content-Encoding: gzip"),
		"snappy": w.send(protoPush(`{app="shop"}`, strings.Repeat("x", 64<<10))),
		"bomb":   w.send([]byte("\xff\xff\xff\xff\x0f\x00")),
		"stream": w.answer(httptest.NewRequest("POST", "/loki/api/v1/push", endless{})),
	} {
		if got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if n := w.source.bodies.Used(); n != 0 {
		t.Errorf("%d bytes are still counted as used", n)
	}
	exact := jsonPush(map[string]string{"app": "shop"}, entry{1, "", nil})
	exact = jsonPush(map[string]string{"app": "shop"}, entry{1, strings.Repeat("x", 64<<10-len(exact)), nil})
	if got := w.sendJSON(exact); got != "204" {
		t.Error(got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxBody = 64 << 10 }).run()
	small := []byte(jsonPush(map[string]string{"app": "shop"}, entry{1, "x", nil}))
	var held []*io.PipeWriter
	answers := make(chan string, 4)
	for range 4 {
		r, in := io.Pipe()
		held = append(held, in)
		go func() {
			request := httptest.NewRequest("POST", "/loki/api/v1/push", r)
			request.Header.Set("Content-Type", "application/json")
			answers <- w.answer(request)
		}()
		if _, err := in.Write(small[:10]); err != nil { // it has memory now
			t.Fatal(err)
		}
	}
	if got := w.send(small, "Content-Type: application/json"); got != "429 too many pushes are in work" {
		t.Error(got)
	}
	for _, in := range held {
		if _, err := in.Write(small[10:]); err != nil || in.Close() != nil {
			t.Fatal(err)
		}
		if got := <-answers; got != "204" {
			t.Error(got)
		}
	}
	if got := w.send(small, "Content-Type: application/json"); got != "204" {
		t.Error(got)
	}
}

func TestTooManyStreams(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxStreams = 2 }).run()
	if got := w.send(protoPush(`{app="a"}`, "x", `{app="b"}`, "y", `{app="a"}`, "z")); got != "204" {
		t.Error(got)
	}
	if got := w.send(protoPush(`{app="a"}`, "x", `{app="c"}`, "y", `{app="d"}`, "z")); !strings.HasPrefix(got, "429 2 streams are open and at most 2 can be (max_streams)") {
		t.Error(got)
	}
	if n := w.records(); n != 3 {
		t.Errorf("%d records: a push that has too many streams must not be taken in part", n)
	}
	w = newWorld(t, func(c *Config) { c.MaxStreams = 2 }).run()
	w.send(protoPush(`{app="a"}`, "x", `{app="c"}`, "y", `{app="d"}`, "z"))
	w.sendJSON(`{"streams":[{"stream":{"app":"x"},"values":[["1","x"]]},{"stream":{"app":"y"},"values":[[]]}]}`)
	if s := w.source.streams; !s.Empty() {
		t.Errorf("%d streams are open of which nothing was taken", s.Len())
	}
}

func TestLabelsAreBounded(t *testing.T) {
	s := newStreams(Default(), "push")
	for i := range 1000 {
		var pairs []string
		for k := range 7 {
			pairs = append(pairs, fmt.Sprintf(`l%d="%s%d"`, k, strings.Repeat("v", 2000), i))
		}
		_, err := s.get(lokipush.Labels{Text: []byte("{" + strings.Join(pairs, ",") + "}")}, "")
		if err != nil {
			if err != intake.ErrFull || i < 500 {
				t.Errorf("at %d: %v", i, err)
			}
			return
		}
	}
	t.Error("labels have no bound")
}

func TestRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		const stopped = "503 weir is starting, stopping or loading its configuration"
		body := protoPush(`{app="shop"}`, "x")
		if got := w.send(body); got != stopped {
			t.Error(got)
		}
		w.run()
		w.block = make(chan struct{})
		answer := make(chan string, 1)
		go func() { answer <- w.send(body) }()
		synctest.Wait()
		ended := make(chan struct{})
		go func() { w.stop(); close(ended) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("Run has ended while a push was written")
		default:
		}
		if got := w.send(body); got != stopped {
			t.Error(got)
		}
		close(w.block)
		if got := <-answer; got != "204" {
			t.Error(got)
		}
		<-ended
		if w.closed[shop] != 1 {
			t.Errorf("closed %d times", w.closed[shop])
		}
		w.run()
		if got := w.send(body); got != "204" || w.opened[shop] != 2 {
			t.Errorf("%s; opened %d times", got, w.opened[shop])
		}
	})
}

func TestFailures(t *testing.T) {
	w := newWorld(t, nil).run()
	w.fail = errTest
	body := protoPush(`{app="shop"}`, "x")
	if got := w.send(body); got != "503 it does not work" {
		t.Error(got)
	}
	w.fail = nil
	if got := w.send(body); got != "204" {
		t.Error(got)
	}
	w.block = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("POST", "/loki/api/v1/push", bytes.NewReader(body)).WithContext(ctx)
	if got := w.answer(r); got != "503 context canceled" {
		t.Error(got)
	}
	w.block = nil
	if got := w.send(body); got != "204" { // the line is free again
		t.Error(got)
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t, nil).run()
	if got := w.answer(httptest.NewRequest("GET", "/loki/api/v1/push", nil)); got != "405 use POST" {
		t.Error(got)
	}
	body := protoPush(`{app="shop"}`, "x")
	if got := w.send(body, "Sec-Fetch-Site: cross-site"); got != "403 web pages of other sites may not push" {
		t.Error(got)
	}
	w.source.pushes.Store(maxPushes)
	if got := w.send(body); got != "429 too many pushes are in work" {
		t.Error(got)
	}
	if n := w.source.pushes.Load(); n != maxPushes {
		t.Errorf("%d pushes are counted", n)
	}
}

func TestLabelsOfConfiguration(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Labels = map[string]string{"site": "north"}
		c.TenantLabel = "tenant"
	}).run()
	for _, tenant := range []string{"a", "b", ""} {
		if got := w.sendJSON(jsonPush(map[string]string{"app": "shop", "site": "mine"}, entry{1, tenant, nil}), "X-Scope-OrgID: "+tenant); got != "204" {
			t.Error(got)
		}
	}
	w.expect(map[string][]string{
		`push/{app="shop", site="north", source="push", tenant="a"}`: {"1 unknown a"},
		`push/{app="shop", site="north", source="push", tenant="b"}`: {"1 unknown b"},
		`push/{app="shop", site="north", source="push"}`:             {"1 unknown "},
	})
}

func TestIdleStreamsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).run()
		w.send(protoPush(`{app="a"}`, "x", `{app="b"}`, "x"))
		time.Sleep(idleTime - time.Second)
		w.send(protoPush(`{app="a"}`, "x"))
		time.Sleep(2 * idlePeriod)
		w.mu.Lock()
		if len(w.closed) != 1 || w.closed[`push/{app="b", source="push"}`] != 1 {
			t.Errorf("closed %v", w.closed)
		}
		w.mu.Unlock()
		w.send(protoPush(`{app="b"}`, "x"))
		if w.opened[`push/{app="b", source="push"}`] != 2 {
			t.Errorf("opened %v", w.opened)
		}
		time.Sleep(2 * idleTime)
		if s := w.source.streams; !s.Empty() {
			t.Errorf("%d streams are left, or their spellings", s.Len())
		}
	})
}

func TestSyncsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).run()
		began := time.Now()
		var senders sync.WaitGroup
		for i := range 100 {
			senders.Go(func() {
				for range 10 {
					if got := w.send(protoPush(`{app="`+strconv.Itoa(i%10)+`"}`, "x")); got != "204" {
						t.Error(got)
					}
				}
			})
		}
		senders.Wait()
		if took := time.Since(began); w.syncs > 12 || took > 12*intake.SyncPause || w.records() != 1000 || w.synced != 1000 {
			t.Errorf("%d syncs in %s, %d of %d records synced", w.syncs, took, w.synced, w.records())
		}
	})
}

// TestServer sends over real connections, from many at once.
func TestServer(t *testing.T) {
	w := newWorld(t, nil).run()
	server := httptest.NewServer(w.source.Handler())
	defer server.Close()
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for k := range 20 {
				body := protoPush(`{app="a"}`, "x", `{app="`+strconv.Itoa(k)+`"}`, "y", `{app="b"}`, "z", `{app="a"}`, "last")
				response, err := server.Client().Post(server.URL, "application/x-protobuf", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusNoContent {
					t.Errorf("sender %d: %s", i, response.Status)
				}
			}
		})
	}
	senders.Wait()
	if n := w.records(); n != 8*20*4 {
		t.Errorf("%d records", n)
	}
}

func TestConfig(t *testing.T) {
	bad := func(want string, change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	bad("max_body", func(c *Config) { c.MaxBody = 1 })
	bad("max_streams", func(c *Config) { c.MaxStreams = 0 })
	bad("labels.a-b", func(c *Config) { c.Labels = map[string]string{"a-b": "x"} })
	bad("tenant_label", func(c *Config) { c.TenantLabel = "1" })
}

// TestNoAllocations sees that nothing is allocated for an entry.
func TestNoAllocations(t *testing.T) {
	var entries []entry
	for i := range 1000 {
		entries = append(entries, entry{int64(i), "a line of some length, as they come", map[string]string{"trace": "abc", "span": "def"}})
	}
	w := newWorld(t, nil)
	j := &job{Body: intake.Body{Text: []byte(jsonPush(map[string]string{"app": "shop"}, entries...))}}
	w.source.gate.Open(nowhere{})
	if !j.Begin(&w.source.bodies, 1<<20) {
		t.Fatal("no memory")
	}
	defer j.End()
	push := func() {
		if result, err := w.source.push(t.Context(), j, 1, ""); err != nil || result.accepted != 1000 {
			t.Fatal(result, err)
		}
	}
	push()
	if n := testing.AllocsPerRun(5, push); n > 20 {
		t.Errorf("%v allocations for 1000 entries", n)
	}
}
