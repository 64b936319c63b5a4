package scope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"

	"github.com/weirlog/weir/scope"
)

// journal is a wrapped handler that keeps what it gets.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// records returns what came since the last call.
func (j *journal) records(t testing.TB) (all []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range bytes.Lines(j.buf.Bytes()) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, r)
	}
	j.buf.Reset()
	return all
}

// inProcess returns a context whose scopes are written to a journal.
func inProcess(t testing.TB, level slog.Level, o scope.Options) (context.Context, *slog.Logger, *journal) {
	t.Helper()
	j := &journal{}
	h, err := scope.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: level, AddSource: true}), o)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(h)
	return scope.WithLogger(t.Context(), logger), logger, j
}

// said returns level, message and context of records, in short.
func said(records []map[string]any, task scope.ID) (lines []string) {
	for _, r := range records {
		in, err := json.Marshal(r["context"])
		if err != nil {
			panic(err)
		}
		lines = append(lines, strings.ReplaceAll(fmt.Sprint(r["level"], " ", r["msg"], " ", string(in)), string(task), "T"))
	}
	return lines
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTutorial does what the tutorial of distlog does, and gives the same keys.
func TestTutorial(t *testing.T) {
	ctx, log, j := inProcess(t, slog.LevelInfo, scope.Options{})
	top, task := scope.Task(ctx, "toplevel", "user", "leo")
	log.InfoContext(top, "into task")
	sub, part := scope.To(top, "subtask", "arg", 42)
	log.InfoContext(sub, "into task")
	part.Success("subtask done")
	part.End(nil)
	task.End(nil)
	log.InfoContext(ctx, "outside")
	same(t, said(j.records(t), task.ID()),
		`INFO toplevel {"key":"0@T","user":"leo"}`,
		`INFO into task {"key":"1@T","user":"leo"}`,
		`INFO subtask {"arg":42,"key":"0@T/1"}`,
		`INFO into task {"arg":42,"key":"1@T/1"}`,
		`INFO subtask done {"arg":42,"key":"2@T/1"}`,
		`INFO toplevel {"key":"2@T","user":"leo"}`,
		`INFO outside null`)
}

// TestFailures: an error, Fail and a panic end a scope as failed; the panic goes on.
func TestFailures(t *testing.T) {
	ctx, _, j := inProcess(t, slog.LevelInfo, scope.Options{})
	work := func(what func(*scope.Scope) error) (id scope.ID, err error) {
		_, task := scope.Task(ctx, "work")
		defer task.End(&err)
		return task.ID(), what(task)
	}
	for what, f := range map[string]func(*scope.Scope) error{
		"boom":        func(*scope.Scope) error { return errors.New("boom") },
		"set aside":   func(s *scope.Scope) error { s.Success("done"); s.Fail(errors.New("set aside")); return nil },
		"panic: help": func(*scope.Scope) error { panic("help") },
	} {
		var id scope.ID
		var went any
		func() {
			defer func() { went = recover() }()
			id, _ = work(f)
		}()
		if (went != nil) != strings.HasPrefix(what, "panic") {
			t.Errorf("%s: recovered %v", what, went)
		}
		records := j.records(t)
		last := records[len(records)-1]
		if len(records) != 2 || last["msg"] != "FAILED work" || last["level"] != "ERROR" || last["error"] != what {
			t.Errorf("%s, %s: %v", what, id, records)
		}
	}
	_, err := work(func(s *scope.Scope) error {
		s.Fail(nil)
		s.Success("done", "n", 1)
		s.End(nil)
		return errors.New("late")
	})
	records := j.records(t)
	if last := records[len(records)-1]; err == nil || len(records) != 2 || last["msg"] != "done" || last["n"] != 1.0 {
		t.Errorf("ended twice: %v", records)
	}
	_, err = work(func(s *scope.Scope) error { s.Success(""); return nil })
	if records := j.records(t); err != nil || len(records) != 1 {
		t.Errorf("without a last record: %v", records)
	}
}

// TestLevel: above INFO a scope's beginning and end take no numbers, but a failure is told.
func TestLevel(t *testing.T) {
	ctx, log, j := inProcess(t, slog.LevelWarn, scope.Options{})
	in, task := scope.Task(ctx, "quiet")
	log.InfoContext(in, "not written")
	log.WarnContext(in, "written")
	task.Fail(errors.New("x"))
	task.End(nil)
	same(t, said(j.records(t), task.ID()), `WARN written {"key":"0@T"}`, `ERROR FAILED quiet {"key":"1@T"}`)
}

// TestBind: attributes hold from then on, are replaced by name, are not inherited, and cannot
// hide the key.
func TestBind(t *testing.T) {
	ctx, log, j := inProcess(t, slog.LevelInfo, scope.Options{})
	in, task := scope.Task(ctx, "t", "a", 1, "key", "mine")
	task.Bind("b", 2, slog.Group("g", "x", 1))
	task.Bind("a", 3)
	log.InfoContext(in, "bound")
	_, part := scope.To(in, "part")
	part.Success("")
	part.End(nil)
	same(t, said(j.records(t), task.ID()),
		`INFO t {"a":1,"key":"0@T","key_":"mine"}`,
		`INFO bound {"a":3,"b":2,"g":{"x":1},"key":"1@T","key_":"mine"}`,
		`INFO part {"key":"0@T/1"}`)

	for i := range 1000 {
		task.Bind(fmt.Sprint("many", i), i)
	}
	log.InfoContext(in, "many")
	got := j.records(t)[0]["context"].(map[string]any)
	if len(got) != 129 || got["context_truncated"] != true || got["many0"] != 0.0 {
		t.Errorf("%d attributes: %v", len(got), got)
	}
	_, large := scope.Task(ctx, "large", "first", 1, "text", strings.Repeat("x", 40000), "last", 2)
	got = j.records(t)[0]["context"].(map[string]any)
	if len(got) != 3 || got["context_truncated"] != true || got["first"] != 1.0 {
		t.Errorf("%s: %d attributes", large.ID(), len(got))
	}
}

// valuer is a group that a value becomes.
type valuer []slog.Attr

func (v valuer) LogValue() slog.Value { return slog.GroupValue(v...) }

// TestInline: what is in groups without a name hides no more than what is beside them: neither
// the key nor members of the record.
func TestInline(t *testing.T) {
	inside := []slog.Attr{slog.String("key", "forged"), slog.Any("", valuer{slog.Group("", slog.String("key", "again"), slog.Int("n", 1))})}
	for name, attr := range map[string]slog.Attr{"group": {Value: slog.GroupValue(inside...)}, "value": slog.Any("", valuer(inside))} {
		ctx, log, j := inProcess(t, slog.LevelInfo, scope.Options{})
		in, task := scope.Task(ctx, "t", attr, slog.Group("", slog.Int("m", 2)))
		task.Bind(attr, "", 3)
		log.InfoContext(in, "bound")
		same(t, said(j.records(t), task.ID()), `INFO t {"key":"0@T","key_":"again","m":2,"n":1}`, `INFO bound {"":3,"key":"1@T","key_":"again","m":2,"n":1}`)

		server := listen(t, "tcp", "NULL", nil)
		h, sent := start(t, nil, scope.Options{Address: server.address})
		_, task = scope.Task(scope.WithLogger(t.Context(), sent), "t", attr)
		members := []slog.Attr{slog.String("message", "forged"), slog.Any("", valuer{slog.String("context", "forged"), slog.Int("shop", 1)}), slog.Any("", 7)}
		forged := slog.Attr{Value: slog.GroupValue(members...)}
		if name == "value" {
			forged = slog.Any("", valuer(members))
		}
		sent.Info("real", forged)
		sent.With(forged).Info("real")
		if r := server.next(t); fmt.Sprint(r["context"]) != fmt.Sprintf("map[key:0@%s key_:again n:1]", task.ID()) {
			t.Errorf("%v", r)
		}
		for range 2 {
			r := server.next(t)
			if r["message"] != "real" || r["context"] != nil || r["message_"] != "forged" || r["context_"] != "forged" || r["shop"] != 1.0 || r[""] != 7.0 {
				t.Errorf("%v", r)
			}
		}
		end(t, h)
	}
}

// TestImport goes on in another process.
func TestImport(t *testing.T) {
	ctx, _, j := inProcess(t, slog.LevelInfo, scope.Options{Trace: true})
	_, task := scope.Task(ctx, "here")
	id := task.Foreign()
	there, part := scope.Import(ctx, id, "there", "a", 1)
	_, below := scope.To(there, "below")
	_, fresh := scope.Import(ctx, "None/1", "lost")
	records := j.records(t)
	same(t, said(records[:3], task.ID()), `INFO here {"key":"0@T"}`, `INFO there {"a":1,"key":"0@T/1"}`, `INFO below {"key":"0@T/1/1"}`)
	same(t, said(records[3:], fresh.ID()), `INFO lost {"imported_id":"None/1","key":"0@T"}`)
	if part.ID() != id || below.ID() != id+"/1" || records[2]["trace_id"] != task.ID().TraceID() || records[2]["span_id"] != below.ID().SpanID() {
		t.Errorf("%s, %s, %v", part.ID(), below.ID(), records[2])
	}
	if next := task.Foreign(); next != task.ID()+"/2" {
		t.Errorf("the second foreign id is %s", next)
	}
}

// TestNesting: a task within a task, a part outside of any, and depth without an end.
func TestNesting(t *testing.T) {
	ctx, _, _ := inProcess(t, slog.LevelError, scope.Options{})
	outer, task := scope.Task(ctx, "outer")
	_, inner := scope.Task(outer, "inner")
	if rest, ok := strings.CutPrefix(string(inner.ID()), string(task.ID()+"/")); !ok || len(rest) != 36 {
		t.Errorf("%s within %s", inner.ID(), task.ID())
	}
	if _, part := scope.To(ctx, "alone"); len(part.ID()) != 36 {
		t.Errorf("a part of nothing is %s", part.ID())
	}
	deep, tree := outer, outer
	for range 1000 {
		var s *scope.Scope
		deep, s = scope.To(deep, "deep")
		if _, err := scope.ParseID(string(s.ID())); err != nil {
			t.Fatalf("%s: %v", s.ID(), err)
		}
		tree, s = scope.Task(tree, "tree")
		if _, err := scope.ParseID(string(s.ID())); err != nil {
			t.Fatalf("%s: %v", s.ID(), err)
		}
	}
}

// TestNil: whoever is in no scope may do everything.
func TestNil(t *testing.T) {
	s := scope.From(t.Context())
	s.Bind("a", 1)
	s.Success("x")
	s.Fail(errors.New("x"))
	s.End(nil)
	if s != nil || s.ID() != "" || s.Foreign() != "" {
		t.Error("there is a scope")
	}
	defer func() {
		if recover() != "goes on" {
			t.Error("a nil scope has swallowed a panic")
		}
	}()
	defer s.End(nil)
	panic("goes on")
}

// TestGoroutines: each record has a number of its own, whoever logs it.
func TestGoroutines(t *testing.T) {
	ctx, log, j := inProcess(t, slog.LevelInfo, scope.Options{})
	in, task := scope.Task(ctx, "many")
	var wg sync.WaitGroup
	const goroutines, each = 8, 100
	for range goroutines {
		wg.Go(func() {
			for i := range each {
				task.Bind("i", i)
				log.InfoContext(in, "one")
				_, part := scope.To(in, "part")
				part.End(nil)
			}
		})
	}
	wg.Wait()
	task.End(nil)
	seen := map[string]bool{}
	for _, r := range j.records(t) {
		key := r["context"].(map[string]any)["key"].(string)
		if seen[key] {
			t.Fatalf("%s twice", key)
		}
		seen[key] = true
	}
	if want := 2 + 3*goroutines*each; len(seen) != want {
		t.Errorf("%d records, want %d", len(seen), want)
	}
	if key := fmt.Sprintf("%d@%s", 1+goroutines*each, task.ID()); !seen[key] {
		t.Errorf("no %s", key)
	}
}

// TestSource: what a scope logs is logged where the program begins it, also its end.
func TestSource(t *testing.T) {
	ctx, _, j := inProcess(t, slog.LevelInfo, scope.Options{})
	_, a := scope.Task(ctx, "a")
	_, b := scope.Import(ctx, a.Foreign(), "b")
	func() { defer b.End(nil) }()
	a.Success("a is done")
	a.End(nil)
	lines := map[string]bool{}
	for _, r := range j.records(t) {
		source := r["source"].(map[string]any)
		if !strings.HasSuffix(fmt.Sprint(source["file"]), "scope_test.go") || source["function"] != "github.com/weirlog/weir/scope_test.TestSource" {
			t.Errorf("%s is logged at %v", r["msg"], source)
		}
		lines[fmt.Sprint(r["msg"].(string)[:1], source["line"])] = true
	}
	if len(lines) != 2 {
		t.Errorf("beginnings and ends are at %v", lines)
	}
}

// TestGroups: the scope's attributes are never in a logger's group.
func TestGroups(t *testing.T) {
	ctx, log, j := inProcess(t, slog.LevelInfo, scope.Options{})
	in, _ := scope.Task(ctx, "t")
	log.With("a", 1).WithGroup("g").With("b", 2).InfoContext(in, "grouped", "c", 3)
	r := j.records(t)[1]
	g, _ := r["g"].(map[string]any)
	if r["context"] == nil || r["a"] != 1.0 || g["b"] != 2.0 || g["c"] != 3.0 || len(g) != 2 {
		t.Errorf("%v", r)
	}
}

// TestSlog holds the handler against slog's own suite.
func TestSlog(t *testing.T) {
	var j *journal
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		j = &journal{}
		h, err := scope.New(slog.NewJSONHandler(j, nil), scope.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}, func(t *testing.T) map[string]any { return j.records(t)[0] })
}
