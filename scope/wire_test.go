package scope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/scope"
)

// TestWire: over each transport and mechanism, what is logged arrives, in order, with the
// members that a record of distlog has.
func TestWire(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, mechanism := range []string{"NULL", "PLAIN"} {
			t.Run(network+" "+mechanism, func(t *testing.T) {
				server := listen(t, network, mechanism, nil)
				o := scope.Options{Address: server.address, Name: "shop"}
				if mechanism == "PLAIN" {
					o.User, o.Password, _ = strings.Cut(secret, "\x06")
				}
				h, log := start(t, nil, o)
				ctx, task := scope.Task(scope.WithLogger(t.Context(), log), "order", "user", "leo")
				task.Bind("n", 1)
				log.WarnContext(ctx, "two\nlines", "euro", 42)
				task.Fail(errTest)
				task.End(nil)
				end(t, h)
				first, second, third := server.next(t), server.next(t), server.next(t)
				if in := fmt.Sprint(first["context"]); in != "map[key:0@"+string(task.ID())+" user:leo]" || first["levelname"] != "INFO" {
					t.Errorf("%v", first)
				}
				if in := fmt.Sprint(second["context"]); in != "map[key:1@"+string(task.ID())+" n:1 user:leo]" {
					t.Errorf("%v", second)
				}
				if second["msg"] != "two\nlines" || second["message"] != `two\nlines` || second["euro"] != 42.0 || second["name"] != "shop" {
					t.Errorf("%v", second)
				}
				if third["message"] != "FAILED order" || third["levelno"] != 40.0 || third["exc_text"] != "*errors.errorString: boom" || third["error"] != "boom" {
					t.Errorf("%v", third)
				}
				want := scope.Stats{Sent: 3, Connections: 1}
				if got := h.Stats(); got != want {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// TestLikeDistlog holds a record against one that distlog sent: the same members in the same
// order, of the same types but for the thread, which Go does not have.
func TestLikeDistlog(t *testing.T) {
	frames, err := os.ReadFile("testdata/distlog-json-tutorial.frames")
	if err != nil {
		t.Fatal(err)
	}
	original := frames[bytes.IndexByte(frames, '{') : bytes.Index(frames, []byte(`"vm"}`))+len(`"vm"}`)]
	server := listen(t, "tcp", "NULL", nil)
	h, log := start(t, nil, scope.Options{Address: server.address})
	_, task := scope.Task(scope.WithLogger(t.Context(), log), "toplevel", "user", "leo")
	end(t, h)
	ours := []byte((<-server.received)[1])

	theirs, mine := members(t, original), members(t, ours)
	if len(theirs) != len(mine) {
		t.Fatalf("%d members, distlog has %d:\n%s\n%s", len(mine), len(theirs), ours, original)
	}
	for i := range theirs {
		if theirs[i].name != mine[i].name || theirs[i].kind != mine[i].kind && !strings.HasPrefix(theirs[i].name, "thread") {
			t.Errorf("member %d is %v, of distlog %v", i, mine[i], theirs[i])
		}
	}
	// What is the same in both programs is so to the byte.
	for _, part := range []string{
		`{"name": "root", "msg": "toplevel", "args": null, "levelname": "INFO", "levelno": 20, "pathname": "`,
		`, "exc_info": null, "exc_text": null, "stack_info": null, "lineno": `, `, "context": {"key": "0@`, `", "user": "leo"}, "message": "toplevel", "asctime": "`,
	} {
		if !bytes.Contains(original, []byte(part)) || !bytes.Contains(ours, []byte(part)) {
			t.Errorf("%s is not in both:\n%s\n%s", part, ours, original)
		}
	}
	var r struct {
		Created, Msecs, RelativeCreated float64
		Asctime, Pathname, FuncName     string
		Lineno                          int
		Process                         int
	}
	if err := json.Unmarshal(ours, &r); err != nil {
		t.Fatal(err)
	}
	when := time.UnixMicro(int64(math.Round(r.Created * 1e6)))
	if since := time.Since(when); since < 0 || since > limit {
		t.Errorf("created %f", r.Created)
	}
	if want := strings.Replace(when.Format("2006-01-02 15:04:05.000"), ".", ",", 1); r.Asctime != want || int(r.Msecs) != when.Nanosecond()/1e6 {
		t.Errorf("asctime %s, msecs %f; created is %s", r.Asctime, r.Msecs, want)
	}
	if filepath.Base(r.Pathname) != "wire_test.go" || r.Lineno == 0 || r.FuncName != "scope_test.TestLikeDistlog" || r.Process != os.Getpid() {
		t.Errorf("%s of %s", ours, task.ID())
	}
}

type member struct{ name, kind string }

// members returns those of an object in their order.
func members(t *testing.T, object []byte) (all []member) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		var v any
		if err == nil {
			err = d.Decode(&v)
		}
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		all = append(all, member{fmt.Sprint(name), fmt.Sprintf("%T", v)})
	}
	return all
}

type (
	point   struct{ X, Y int }
	loud    struct{}
	refuses struct{}
	lazy    struct{}
)

func (loud) Error() string                   { panic("no text") }
func (refuses) MarshalJSON() ([]byte, error) { return nil, errTest }
func (lazy) LogValue() slog.Value            { return slog.GroupValue(slog.Int("x", 1)) }

// TestValues: every kind of value is JSON that tells what slog.JSONHandler tells.
func TestValues(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	h, log := start(t, nil, scope.Options{Address: server.address, Level: slog.LevelDebug})
	when := time.Date(2026, 11, 20, 17, 57, 9, 355_000_000, time.UTC)
	var nobody *point
	values := []any{
		"text é € 😀 \x00\x7f\xff \"\\\b\f\n\r\t </b>", -1, int64(math.MinInt64), uint64(math.MaxUint64), 1.5, 5.0, 1e300, 1e-9, -0.5, true, time.Second, when,
		nil, []int{1, 2}, map[string]any{"é": 1}, point{1, 2}, nobody, errTest, lazy{}, json.RawMessage(`{"a":"€"}`), []byte("abc"),
	}
	for _, v := range values {
		log.Info("v", "v", v)
		var reference bytes.Buffer
		slog.New(slog.NewJSONHandler(&reference, nil)).Info("v", "v", v)
		var want map[string]any
		if err := json.Unmarshal(reference.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		if got := server.next(t); fmt.Sprint(got["v"]) != fmt.Sprint(want["v"]) {
			t.Errorf("%v arrived as %v, want %v", v, got["v"], want["v"])
		}
	}
	for want, v := range map[string]any{
		"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "!PANIC: no text": loud{}, "<nil>": (*loud)(nil),
		"!ERROR:json: error calling MarshalJSON for type scope_test.refuses: boom": refuses{}, "!ERROR:json: unsupported type: chan int": make(chan int),
	} {
		log.Info("v", "v", v)
		if got := server.next(t); got["v"] != want {
			t.Errorf("arrived as %v, want %v", got["v"], want)
		}
	}
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "DEBUG 10", slog.LevelInfo: "INFO 20", slog.LevelWarn: "WARNING 30", slog.LevelError: "ERROR 40",
		2: "Level 25 25", 12: "CRITICAL 50", -1: "Level 18 18", 100: "Level 270 270",
	} {
		log.Log(t.Context(), level, "")
		if got := server.next(t); fmt.Sprint(got["levelname"], " ", got["levelno"]) != want {
			t.Errorf("level %d is %v %v, want %s", level, got["levelname"], got["levelno"], want)
		}
	}
	for _, level := range []slog.Level{-4, 8, 0, 4} { // of one place
		log.Log(t.Context(), level, "m", "err", errTest)
		r := server.next(t)
		if failed := r["exc_text"] == "*errors.errorString: boom"; r["levelno"] != float64(20+level*10/4) || failed != (level == 8) || r["funcName"] != "scope_test.TestValues" {
			t.Errorf("%v", r)
		}
	}
	log.Error("x", "err", loud{})
	if got := server.next(t); got["exc_text"] != "!PANIC: no text" {
		t.Errorf("%v", got)
	}
	end(t, h)
}

// TestAttributes: those of loggers and records stand at the top, as what Python's extra= has,
// but do not hide the record's own; groups are objects, and empty ones are left out.
func TestAttributes(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	h, log := start(t, nil, scope.Options{Address: server.address, Trace: true})
	ctx, task := scope.Task(scope.WithLogger(t.Context(), log), "t")
	if r := server.next(t); r["trace_id"] != task.ID().TraceID() || r["span_id"] != task.ID().SpanID() {
		t.Errorf("%v", r)
	}
	log.InfoContext(ctx, "m", "name", 1, "context", 2, "", slog.GroupValue(slog.Int("msg", 3), slog.Int("z", 4)), slog.Attr{}, "empty", slog.GroupValue())
	r := server.next(t)
	if r["name"] != "root" || r["name_"] != 1.0 || r["context_"] != 2.0 || r["msg"] != "m" || r["msg_"] != 3.0 || r["z"] != 4.0 || r["empty"] != nil || len(r) != 24+6 {
		t.Errorf("%d: %v", len(r), r)
	}
	sub := log.With("a", 1).WithGroup("args").WithGroup("h").With()
	sub.InfoContext(ctx, "nothing in the groups")
	if r = server.next(t); r["a"] != 1.0 || r["args"] != nil || r["args_"] != nil {
		t.Errorf("%v", r)
	}
	sub.With("name", 2).WithGroup("i").InfoContext(ctx, "m", "c", 3)
	if r = server.next(t); fmt.Sprint(r["args_"]) != "map[h:map[i:map[c:3] name:2]]" {
		t.Errorf("%v", r)
	}
	sub.InfoContext(ctx, "m", "c", 3)
	if r = server.next(t); fmt.Sprint(r["args_"]) != "map[h:map[c:3]]" {
		t.Errorf("%v", r)
	}
	end(t, h)
}

// TestOptions: each mistake is told, each address is taken as it says.
func TestOptions(t *testing.T) {
	for problem, o := range map[string]scope.Options{
		"Address":      {Address: "http://x"},
		"Password":     {Password: "x"},
		"at most 255":  {User: strings.Repeat("x", 256)},
		"System":       {System: "TS"},
		"Local":        {Local: 7},
		"QueueRecords": {QueueRecords: -1},
	} {
		if _, err := scope.New(nil, o); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for address, want := range map[string]string{
		"tcp://log": "tcp log:5010", "tcp://log:1": "tcp log:1", "tcp://[::1]": "tcp [::1]:5010", "tcp://[::1]:2": "tcp [::1]:2", "ipc:///run/weir": "unix /run/weir",
		"tcp://": "", "tcp://:1": "", "tcp://log:0": "", "tcp://log:x": "", "tcp://::1": "", "tcp://*:5010": "", "log:5010": "", "ipc://": "", "udp://log": "",
	} {
		asked := make(chan string, 1)
		h, err := scope.New(nil, scope.Options{Address: address, Dial: dialer(asked)})
		if (err == nil) != (want != "") {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil {
			continue
		}
		if got := <-asked; got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
		end(t, h)
	}
}

// TestFallback: without a connection the wrapped handler gets what it is to get, in each way.
func TestFallback(t *testing.T) {
	refused := errors.New("refused")
	for local, want := range map[scope.Local]int{scope.Fallback: 2, scope.Always: 3, scope.Never: 0} {
		var out bytes.Buffer
		dialing, goOn := make(chan string), make(chan struct{})
		h, log := start(t, slog.NewTextHandler(&out, nil), scope.Options{
			Address: "tcp://127.0.0.1:1", Local: local, QueueRecords: 2,
			Dial: func(ctx context.Context, network, address string) (conn netConn, err error) {
				select {
				case dialing <- address:
				case <-ctx.Done():
				}
				select {
				case <-goOn:
				case <-ctx.Done():
				}
				return nil, refused
			},
		})
		<-dialing
		log.Info("nothing is known yet")
		close(goOn)
		until(t, h, "down", func(s scope.Stats) bool { return s.LastError != nil })
		log.Info("waits")
		log.Info("dropped")
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%d: %d lines, want %d:\n%s", local, got, want, out.String())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Close(ctx); err == nil {
			t.Error("Close is content")
		}
		s := h.Stats()
		if s.Dropped.QueueFull != 1 || s.Dropped.Closed != 2 || s.QueuedRecords != 0 || s.QueuedBytes != 0 || !errors.Is(s.LastError, refused) {
			t.Errorf("%+v", s)
		}
		if local == scope.Fallback && s.Local != 2 {
			t.Errorf("%+v", s)
		}
	}
}

// TestOddCalls: what a program should not do costs it nothing but what it asked for.
func TestOddCalls(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	h, _ := start(t, nil, scope.Options{Address: server.address})
	var none context.Context
	if err := h.Handle(none, slog.Record{Message: "without a context, a time and a place"}); err != nil {
		t.Error(err)
	}
	r := server.next(t)
	if r["funcName"] != "(unknown function)" || r["pathname"] != "(unknown file)" || r["lineno"] != 0.0 || r["context"] != nil {
		t.Errorf("%v", r)
	}
	end(t, h)
	log := slog.New(h)
	log.Info("after Close, to nobody")
	if s := h.Stats(); s.Local != 0 || s.Dropped.Closed != 1 {
		t.Errorf("%+v", s)
	}
}

// TestWithoutAddress: nothing is sent, and nothing fails.
func TestWithoutAddress(t *testing.T) {
	h, err := scope.New(slog.NewTextHandler(io.Discard, nil), scope.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Flush(t.Context()), h.Close(t.Context()), h.Close(t.Context())); err != nil || h.Stats() != (scope.Stats{}) {
		t.Error(err)
	}
}
