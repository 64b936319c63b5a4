package exec

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// modeVariable makes the test's binary a plugin.
const modeVariable = "WEIR_TEST_PLUGIN"

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		answers(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// answers is the plugin. What it does with a line is in the line's text.
func answers(mode string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		var r map[string]any
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			os.Exit(9)
		}
		body := r["body"].(string)
		switch {
		case strings.Contains(body, "drop"):
			fmt.Println("null")
		case strings.Contains(body, "nonsense"):
			fmt.Println("{nonsense")
		case strings.Contains(body, "silence"):
			fmt.Println("{}")
		case strings.Contains(body, "loud"):
			fmt.Println(`{"level":"loud"}`)
		case strings.Contains(body, "crash"):
			os.Exit(3)
		case strings.Contains(body, "once"):
			name := mode
			if _, err := os.Stat(name); err != nil {
				_ = os.WriteFile(name, nil, 0o600)
				os.Exit(3)
			}
			fmt.Println(in.Text())
		case strings.Contains(body, "step"):
			fmt.Println(`{"id":1000000}`)
		case strings.Contains(body, "change"):
			answer, _ := json.Marshal(map[string]any{"id": r["id"], "body": "changed \"it\"", "level": "warn", "time": "2026-11-21T05:06:07Z",
				"fields": map[string]any{"status": 404, "user": "ann \"b\"", "gone": "", "path": nil}})
			fmt.Println(string(answer))
		default:
			fmt.Println(in.Text()) // as it came
		}
	}
}

// world is a plugin with a line.
type world struct {
	t        *testing.T
	plugin   *Plugin
	line     flow.Sink
	registry *metric.Registry
	got      []string
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	c := Default()
	c.Command, c.Env, c.Timeout = []string{os.Args[0]}, map[string]config.Secret{modeVariable: config.Secret(t.TempDir() + "/was")}, 20*time.Second
	if change != nil {
		change(&c)
	}
	w := &world{t: t, registry: metric.New()}
	l, err := ledger.New(w.registry, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if w.plugin, err = New(c, flow.PluginDeps{Name: "plugin", Log: slog.New(slog.DiscardHandler), Ledger: l.Component("plugin", "plugin", "exec")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.plugin.Close() })
	w.line = w.plugin.Stage(flow.PluginLine{Rule: 1, Dropped: 7})(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		w.got = w.got[:0]
		for i, r := range b.Records {
			if r.Flags&record.Dropped == 0 {
				w.got = append(w.got, text(b, i))
			}
		}
		return nil
	}))
	return w
}

// text returns a record as a person would write it down.
func text(b *record.Batch, i int) string {
	r := &b.Records[i]
	plain := func(s record.Span) string {
		if r.Flags&record.Escaped != 0 {
			return string(jsontext.Unescape(nil, b.Bytes(s)))
		}
		return string(b.Bytes(s))
	}
	out := r.Level.String() + " " + plain(r.Body)
	for k, name := range b.Slots {
		if span := b.Row(i)[k]; span.Len > 0 {
			out += " " + name + "=" + plain(span)
		}
	}
	var fields []string
	for _, f := range b.Fields {
		if f.Record == i {
			fields = append(fields, string(b.Bytes(f.Name))+":"+plain(f.Value))
		}
	}
	slices.Sort(fields)
	return strings.Join(append([]string{out}, fields...), " ")
}

// batch returns records with these texts.
func batch(texts ...string) *record.Batch {
	b := &record.Batch{Stream: &record.Stream{ID: "a/b", Labels: record.Labels{{Name: "app", Value: "b"}}}}
	for _, text := range texts {
		b.Records = append(b.Records, record.Record{Time: 5e9, Level: record.LevelInfo, Rules: 1, Body: b.Append([]byte(text))})
	}
	return b
}

// has writes a batch and compares what goes on.
func (w *world) has(b *record.Batch, want ...string) {
	w.t.Helper()
	if err := w.line.Write(w.t.Context(), b); err != nil {
		w.t.Fatal(err)
	}
	if !slices.Equal(w.got, want) {
		w.t.Errorf("%q went on; want %q", w.got, want)
	}
}

// counted tells whether the ledger has an event so often.
func (w *world) counted(event string, n int) {
	w.t.Helper()
	if want := fmt.Sprintf("event=%q} %d\n", event, n); !strings.Contains(string(w.registry.AppendText(nil, metric.Text)), want) {
		w.t.Errorf("no %s in\n%s", want, w.registry.AppendText(nil, metric.Text))
	}
}

func TestAnswers(t *testing.T) {
	for _, size := range []int{1, 2, 500} {
		w := newWorld(t, func(c *Config) { c.Batch = size })
		w.has(batch("a", "drop b", "silence c", "d"), "info a", "info silence c", "info d")
		b := batch("drop a", "drop b", "c")
		b.Records[0].Rules = 0 // of another rule
		w.has(b, "info drop a", "info c")
		if len(b.Deltas) != 1 || b.Deltas[0] != (record.Delta{Series: 7, Add: 1}) {
			t.Errorf("deltas %+v", b.Deltas)
		}
		w.has(batch())
	}
}

// TestChange changes everything, in both forms of text.
func TestChange(t *testing.T) {
	w := newWorld(t, nil)
	for _, flags := range []record.Flags{0, record.Escaped} {
		b := batch("change a", "b\t\\")
		b.Slots = []string{"path", "status"}
		put := func(text string) record.Span {
			if flags != 0 {
				return b.Append(jsontext.Escape(nil, []byte(text)))
			}
			return b.Append([]byte(text))
		}
		for i := range b.Records {
			b.Values = append(b.Values, put("/a\"b"), put("200"))
			b.Fields = append(b.Fields, record.Field{Record: i, Name: b.Append([]byte("gone")), Value: put("x")})
			b.Records[i].Body, b.Records[i].Flags = put(string(b.Bytes(b.Records[i].Body))), flags
		}
		w.has(b, `warn changed "it" status=404 status:404 user:ann "b"`, "info b\t\\ path=/a\"b status=200 gone:x")
		if b.Records[0].Time != time.Date(2026, 11, 21, 5, 6, 7, 0, time.UTC).UnixNano() || b.Records[1].Time != 5e9 {
			t.Errorf("times %d, %d", b.Records[0].Time, b.Records[1].Time)
		}
	}
}

// TestBytes: what is not UTF-8 stays as it is, if the program does not change it.
func TestBytes(t *testing.T) {
	w := newWorld(t, nil)
	w.has(batch("a\xff\xfeb", "c"), "info a\xff\xfeb", "info c")
}

// TestNonsense is counted, and the record goes on as it is.
func TestNonsense(t *testing.T) {
	w := newWorld(t, nil)
	w.has(batch("a", "nonsense b", "loud c", "d"), "info a", "info nonsense b", "info loud c", "info d")
	w.counted("record unchanged without an answer", 2)
	w.counted("the answer is no record", 2)
	w.counted("program started", 1)
	if text := string(w.registry.AppendText(nil, metric.Text)); strings.Contains(text, "weir_component_dropped_total{") {
		t.Errorf("records that go on count as dropped:\n%s", text)
	}
}

// TestFailures: records without an answer go on, are dropped, or wait.
func TestFailures(t *testing.T) {
	for _, what := range []string{"crash", "step"} {
		w := newWorld(t, nil)
		w.has(batch("drop a", "b "+what, "c", "drop d"), "info b "+what, "info c", "info drop d")
		w.counted("record unchanged without an answer", 3)
		w.has(batch("drop a"), "info drop a") // it is not started again at once
		w = newWorld(t, func(c *Config) { c.OnError = DropOn })
		w.has(batch("a", "b "+what, "c"), "info a")
		w.counted("record dropped without an answer", 2)
	}
	w := newWorld(t, func(c *Config) { c.OnError = WaitOn })
	w.has(batch("drop a", "change", "b once", "c"), `warn changed "it" status:404 user:ann "b"`, "info b once", "info c")
	w.counted("program started", 2)
}

// TestWaitEnds with the context.
func TestWaitEnds(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.OnError, c.Command = WaitOn, []string{"/nonexistent/program"} })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.line.Write(ctx, batch("a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

// TestTogether has several lines use one program.
func TestTogether(t *testing.T) {
	w := newWorld(t, nil)
	ended := make(chan error)
	for range 4 {
		go func() {
			line := w.plugin.Stage(flow.PluginLine{Rule: 1, Dropped: 7})(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
				if b.Records[0].Flags&record.Dropped == 0 || b.Records[1].Flags&record.Dropped != 0 || b.Records[2].Level != record.LevelWarn {
					return fmt.Errorf("it has %+v", b.Records)
				}
				return nil
			}))
			var err error
			for range 50 {
				if err != nil {
					break
				}
				err = errors.Join(err, line.Write(t.Context(), batch("drop", "a", "change")))
			}
			ended <- err
		}()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"null", "{}", `{"id":1,"body":"x","level":"warn","time":"2026-11-21T05:06:07Z","fields":{"a":1,"b":null,"c":"d"}}`, `{"fields":{"1":2}}`, "[", `{"body":"\ud800"}`} {
		f.Add([]byte(seed), true)
	}
	l, err := ledger.New(metric.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	p, err := New(Config{Program: Default().Program, Batch: 1, OnError: KeepOn}, flow.PluginDeps{})
	if err == nil {
		f.Fatal("a program without a name passes")
	}
	p = &Plugin{config: Default(), deps: flow.PluginDeps{Ledger: l.Component("plugin", "x", "exec")}}
	f.Fuzz(func(t *testing.T, line []byte, escaped bool) {
		b := batch("a", "b")
		b.Slots, b.Values = []string{"a"}, []record.Span{b.Append([]byte("x")), {}}
		if escaped {
			b.Records[0].Flags |= record.Escaped
		}
		s := &stage{plugin: p, line: flow.PluginLine{Rule: 1}, asked: []int{0, 1}, ids: []uint64{1, 2}}
		_ = s.answer(b, 0, line)
		_ = s.answer(b, 1, line)
		s.setFields(b)
		last := 0
		for _, field := range b.Fields {
			if field.Record < last || field.Value.Len == 0 || !isName(string(b.Bytes(field.Name))) {
				t.Errorf("fields %+v", b.Fields)
			}
			last = field.Record
		}
		for i := range b.Records {
			_ = text(b, i)
		}
	})
}
