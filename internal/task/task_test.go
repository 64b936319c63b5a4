package task_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/task"
)

// capture writes what distlog's client really sent, as lines of JSON, in some order.
func (w *world) capture(name string, order func(lines [][]byte)) {
	w.t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	order(lines)
	for i, line := range lines {
		w.add("app", &kept.Record{Time: moment + int64(i), Body: line})
	}
}

func asTheyAre([][]byte) {}

func TestCaptures(t *testing.T) {
	const want = "counting up to 10=success/10(sub one=success/2(sub sub=success/3 sub sub two=success/2) sub two=success/3)"
	for name, order := range map[string]func([][]byte){
		"as they are": asTheyAre,
		"backwards": func(l [][]byte) {
			for i, j := 0, len(l)-1; i < j; i, j = i+1, j-1 {
				l[i], l[j] = l[j], l[i]
			}
		},
	} {
		w := newWorld(t)
		w.capture("rich.ndjson", order)
		w.json("other", 5, `{"message":"no task","user":"7"}`)
		for _, id := range []string{uuid, "3@" + uuid, "f738d4aa6a484facbe7ef34721792d8c", strings.ToUpper(uuid)} {
			if got := w.tree(id, time.Hour*100); got != want {
				t.Errorf("%s, %s: %s\nwant %s", name, id, got, want)
			}
		}
		if got, want := w.tree("0@"+uuid+"/1/1", 0), "sub sub=success/3"; got != want {
			t.Errorf("%s: a part: %s, want %s", name, got, want)
		}
	}
}

func TestCaptureDetails(t *testing.T) {
	w := newWorld(t)
	w.capture("rich.ndjson", asTheyAre)
	w.show()
	q := request(t, uuid, 0)
	q.Lines = true
	tree, err := w.Tree(t.Context(), q)
	if err != nil || len(tree.Nodes) != 5 {
		t.Fatal(err, tree)
	}
	root, sub := tree.Nodes[0], tree.Nodes[2]
	if root.Host != "vm" || root.Process != "9139" || root.Errors != 1 || root.Warnings != 1 || root.Error != "caught it: ZeroDivisionError: division by zero" {
		t.Errorf("%+v", root)
	}
	if d := root.Duration; d < 0.0132 || d > 0.0134 {
		t.Errorf("took %v s, want 13.3 ms", d)
	}
	if len(root.Fields) != 4 || root.Fields[0] != (task.Field{Name: "job", Value: "count up"}) {
		t.Errorf("fields: %v", root.Fields)
	}
	if sub.Message != "ok 1 of 2" || sub.Name != "sub sub" || len(sub.Lines) != 3 || sub.Lines[1].Level != "error" || sub.Lines[1].Text != "deep" {
		t.Errorf("%+v", sub)
	}
	if want := time.Unix(1795197433, 663788800).UTC(); !sub.Start.Equal(want) {
		t.Errorf("began at %v, want %v", sub.Start, want)
	}
}

// TestStates goes through what becomes of scopes.
func TestStates(t *testing.T) {
	const proc = "process=7"
	for name, c := range map[string]struct {
		write func(w *world)
		after time.Duration
		want  string
	}{
		"open": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "1@"+uuid, 10, "i:step", proc)
		}, time.Minute, "job=open/2"},
		"silent for long": {func(w *world) { w.key("a", "0@"+uuid, 0, "i:job", proc) }, time.Hour, "job=lost/1"},
		"a warning with the message is no end": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "1@"+uuid, 10, "w:job", proc)
		}, 0, "job=open/2"},
		"what looked like an end goes on": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "1@"+uuid, 10, "i:job", proc)
			w.key("a", "2@"+uuid, 10, "i:more", proc)
		}, 0, "job=open/3"},
		"logged on the line of its scope": {func(w *world) {
			place := []string{proc, "pathname=/a", "lineno=7", "funcName=f"}
			w.key("a", "0@"+uuid, 0, "i:job", place...)
			w.key("a", "1@"+uuid, 10, "i:working", append(place, "action_status=started")...)
		}, 0, "job=open/2"},
		"an end on the line of its scope": {func(w *world) {
			place := []string{proc, "pathname=/a", "lineno=7", "funcName=f"}
			w.key("a", "0@"+uuid, 0, "i:job", place...)
			w.key("a", "1@"+uuid, 10, "i:working", append(place, "action_status=started")...)
			w.key("a", "2@"+uuid, 20, "i:done", place...)
		}, 0, "job=success/3"},
		"failed": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "1@"+uuid, 10, "e:FAILED job\nTraceback\nValueError: no", proc)
		}, 0, "job=failed/2"},
		"FAILED of something else": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "1@"+uuid, 10, "e:FAILED login", proc)
		}, 0, "job=open/2"},
		"aborted: its process went on with a sibling": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "0@"+uuid+"/1", 10, "i:one", proc)
			w.key("a", "0@"+uuid+"/2", 20, "i:two", proc)
			w.key("a", "1@"+uuid+"/2", 120_000, "i:two", proc)
		}, 121 * time.Second, "job=open/1(one=lost/1 two=success/2)"},
		"a moment ago": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "0@"+uuid+"/1", 10, "i:one", proc)
			w.key("a", "1@"+uuid, 20, "i:more", proc)
		}, time.Second, "job=open/2(one=open/1)"},
		"its process went on with another task": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "0@"+uuid2, 120_000, "i:other", proc)
		}, 121 * time.Second, "job=lost/1"},
		"its process went on without any": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.json("a", 120_000, `{"message": "of no task", "process": 7}`)
		}, 121 * time.Second, "job=lost/1"},
		"another process went on": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.json("a", 120_000, `{"message": "of no task", "process": 8}`)
		}, 121 * time.Second, "job=open/1"},
		"another thread went on": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc, "thread=1")
			w.key("a", "0@"+uuid2, 120_000, "i:other", proc, "thread=2")
		}, 121 * time.Second, "job=open/1"},
		"aborted: what is around it has ended": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "0@"+uuid+"/1", 10, "i:one", proc)
			w.key("a", "1@"+uuid, 20, "i:job", proc)
		}, time.Second, "job=success/2(one=lost/1)"},
		"another process may go on longer": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("b", "0@"+uuid+"/1", 10, "i:far", "process=8")
			w.key("a", "1@"+uuid, 20, "i:job", proc)
		}, time.Minute, "job=success/2(far=open/1)"},
		"gaps and repetitions": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			for range 2 {
				w.key("a", "3@"+uuid, 1, "i:x", proc)
			}
			w.key("a", "6@"+uuid, 3, "i:job", proc)
		}, 0, "job=success/3/gap4/again1"},
		"two ends, of which the last counts": {func(w *world) {
			w.key("a", "0@"+uuid, 0, "i:job", proc)
			w.key("a", "1@"+uuid, 10, "i:job", proc)
			w.key("a", "2@"+uuid, 20, "e:FAILED job", proc)
		}, 0, "job=failed/3"},
		"an end before the start": {func(w *world) {
			w.key("a", "0@"+uuid, 100, "i:job", proc)
			w.key("a", "1@"+uuid, 50, "i:job", proc)
		}, 0, "job=success/2"},
		"only a part is known": {func(w *world) {
			w.key("b", "0@"+uuid+"/4/1", 10, "i:far", "process=8")
			w.key("b", "1@"+uuid+"/4/1", 20, "i:far", "process=8")
		}, time.Hour, "?=unknown/0(?=unknown/0(far=success/2))"},
		"its first record is missing": {func(w *world) { w.key("a", "4@"+uuid, 20, "i:job", proc) }, time.Hour, "?=unknown/1/gap4"},
	} {
		w := newWorld(t)
		c.write(w)
		if got := w.tree(uuid, c.after); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if name == "its process went on without any" {
			continue // lists know of what it did in other tasks alone
		}
		if got, want := w.list(task.ListRequest{Name: "job", Patience: task.Patience{WentOn: time.Minute}}, c.after), c.want[:strings.IndexByte(c.want, '/')+1]; strings.HasPrefix(want, "job=") && !strings.HasPrefix(got, want) {
			t.Errorf("%s: a list has %s, want %s", name, got, want)
		}
	}
}

func TestDurationsAreNotNegative(t *testing.T) {
	w := newWorld(t)
	w.key("a", "0@"+uuid, 100, "i:job")
	w.key("a", "1@"+uuid, 50, "i:job")
	w.show()
	tree, err := w.Tree(t.Context(), request(t, uuid, 0))
	if err != nil || tree.Nodes[0].Duration != 0 {
		t.Errorf("%v, %+v", err, tree.Nodes)
	}
}

// TestDistlogSource reads records as the source distlog keeps them: the message with the
// traceback as text, all else as fields.
func TestDistlogSource(t *testing.T) {
	w := newWorld(t)
	place := []string{"process=7", "thread=140400928568000", "pathname=/a.py", "funcName=f", "msg=job %d"}
	w.key("a", "0@"+uuid, 0, "i:job 7", append(place, "lineno=20", "context_user=u1", "context_n=1")...)
	w.key("a", "1@"+uuid, 1, "e:no\nTraceback (most recent call last):\nValueError: bad", append(place, "lineno=21")...)
	w.key("a", "2@"+uuid, 2, "i:done, 7 of 7", append(place, "lineno=20")...)
	w.key("a", "0@"+uuid+"/1", 3, `i:{"a": 1, "message": "a dictionary"}`)
	w.show()
	tree, err := w.Tree(t.Context(), request(t, uuid, 0))
	if err != nil || len(tree.Nodes) != 2 {
		t.Fatal(err, tree)
	}
	n := tree.Nodes[0]
	if n.Name != "job 7" || n.State != task.Success || n.Message != "done, 7 of 7" || n.Error != "no: ValueError: bad" || n.Process != "7" || n.Host != "h-a" ||
		len(n.Fields) != 2 || n.Fields[0] != (task.Field{Name: "user", Value: "u1"}) || tree.Nodes[1].Name != "a dictionary" {
		t.Errorf("%+v", tree.Nodes)
	}
}

// TestCases has ids in letters of either case, of which list and tree know the same.
func TestCases(t *testing.T) {
	for _, id := range []string{uuid, "aaaaaaaa-0000-4000-8000-abcdefabcdef", "abcdefab-cdef-abcd-efab-cdefabcdefab", "12345678-1234-4234-8234-123456789012", "00000000-0000-4000-8000-00000000000a"} {
		mixed := []byte(id)
		for i := range mixed {
			if c := mixed[i]; i%2 == 0 && 'a' <= c && c <= 'f' {
				mixed[i] -= 'a' - 'A'
			}
		}
		plain := strings.ReplaceAll(id, "-", "")
		w := newWorld(t)
		w.key("a", "0@"+strings.ToUpper(id), 0, "i:job", "process=1")
		w.json("a", 1, `{"context": {"key": "0@`+string(mixed)+`/1"}, "message": "part", "process": 1}`)
		w.json("b", 2, `{"trace_id":"`+strings.ToUpper(plain)+`","span_id":"00000000000000A1","msg":"UP"}`)
		w.json("b", 3, `{"trace_id":"`+plain+`","span_id":"00000000000000b1","parent_span_id":"00000000000000a1","msg":"low"}`)
		w.json("c", 4, `{"task_uuid":"`+string(mixed)+`","task_level":[9,1],"action_type":"action","action_status":"started"}`)
		w.json("d", 5, "of no task: "+strings.ToUpper(id)+strings.Repeat(" "+id[:20], 5))
		w.key("a", "1@"+id, 6, "i:job", "process=1")
		for _, sealed := range []bool{false, true} {
			if sealed {
				for _, s := range []string{"a", "b", "c", "d"} {
					w.seal(s)
				}
			}
			for _, ask := range []string{id, strings.ToUpper(id), plain} {
				if got, want := w.tree(ask, time.Second), "job=success/2(part=lost/1 UP=unknown/1(low=unknown/1) action=open/1)"; got != want {
					t.Errorf("%s: %s, want %s", ask, got, want)
				}
			}
			if got, want := w.list(task.ListRequest{}, time.Second), "job=success/6"; got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
	}
}

// TestSharedKeys keeps apart what distlog gives all processes the same name.
func TestSharedKeys(t *testing.T) {
	w := newWorld(t)
	for _, p := range []string{"1", "2"} {
		w.key("a", "0@<built-in function id>", 0, "i:import "+p, "process="+p)
		w.key("a", "0@<built-in function id>/1", 5, "i:part "+p, "process="+p)
		w.key("a", "1@<built-in function id>", 9, "i:import "+p, "process="+p)
		w.key("a", "0@None/3", 0, "i:none "+p, "process="+p)
	}
	w.key("a", "0@"+uuid, 0, "i:job", "process=1")
	for _, p := range []string{"1", "2"} {
		w.key("a", "0@"+uuid+"/<built-in function id>", 1, "i:within "+p, "process="+p)
	}
	for id, want := range map[string]string{
		"<built-in function id>@h-a:1":         "import 1=success/2(part 1=open/1)",
		"<built-in function id>@h-a:2":         "import 2=success/2(part 2=open/1)",
		"None@h-a:2/3":                         "none 2=open/1",
		"None@h-a:1":                           "?=unknown/0(none 1=open/1)",
		uuid:                                   "job=open/1(within 1=open/1 within 2=open/1)",
		"<built-in function id>@h-b:1":         "",
		"7@<built-in function id>@h-a:1":       "import 1=success/2(part 1=open/1)",
		uuid + "/<built-in function id>@h-a:2": "within 2=open/1",
	} {
		if got := w.tree(id, 0); got != strings.ReplaceAll(want, "part 1=open", "part 1=lost") && got != strings.NewReplacer("part 1=open", "part 1=lost", "part 2=open", "part 2=lost").Replace(want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

func TestEliot(t *testing.T) {
	w := newWorld(t)
	for i, body := range []string{
		`{"task_uuid": "` + uuid + `", "task_level": [1], "timestamp": 1795000000.5, "action_type": "main", "action_status": "started", "x": 1}`,
		`{"task_uuid": "` + uuid + `", "task_level": [2], "timestamp": 1795000000.6, "message_type": "note", "text": "hello"}`,
		`{"task_uuid": "` + uuid + `", "task_level": [3, 1], "timestamp": 1795000000.7, "action_type": "part", "action_status": "started"}`,
		`{"task_uuid": "` + uuid + `", "task_level": [3, 2], "timestamp": 1795000001.7, "action_type": "part", "action_status": "failed", "exception": "builtins.ValueError", "reason": "no"}`,
		`{"task_uuid": "` + uuid + `", "task_level": [5, 1], "timestamp": 1795000001.8, "action_type": "open", "action_status": "started"}`,
		`{"task_uuid": "` + uuid + `", "task_level": [7], "timestamp": 1795000002.7, "action_type": "main", "action_status": "succeeded"}`,
	} {
		w.json("app", int64(i), body)
	}
	if got, want := w.tree(uuid, time.Minute), "main=success/3/gap2(part=failed/2 open=open/1)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSpans(t *testing.T) {
	trace := strings.ReplaceAll(uuid, "-", "")
	w := newWorld(t)
	for i, c := range [][3]string{
		{"00000000000000a1", "", "root"}, {"00000000000000B2", "00000000000000A1", "child"}, {"00000000000000c3", "00000000000000ff", "lost parent"},
		{"00000000000000d4", "00000000000000e5", "ring"}, {"00000000000000e5", "00000000000000d4", "ring too"}, {"00000000000000f6", "00000000000000f6", "own parent"},
		{"", "", "no span"},
	} {
		w.json("app", int64(i), fmt.Sprintf(`{"trace_id":%q,"span_id":%q,"parent_span_id":%q,"msg":%q}`, trace, c[0], c[1], c[2]))
	}
	w.json("other", 9, `level=info msg="in logfmt" trace_id=`+trace+` span_id=00000000000000c3`)
	want := "no span=unknown/1(root=unknown/1(child=unknown/1) lost parent=unknown/2 ring too=unknown/1(ring=unknown/1) own parent=unknown/1)"
	got := w.tree(trace, 0)
	if got != want && got != strings.Replace(want, "ring too=unknown/1(ring=unknown/1)", "ring=unknown/1(ring too=unknown/1)", 1) {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestSpansOfScopes has programs with W3C's spans below a scope, and the other way round.
func TestSpansOfScopes(t *testing.T) {
	trace := strings.ReplaceAll(uuid, "-", "")
	w := newWorld(t)
	w.key("a", "0@"+uuid, 0, "i:job")
	w.key("a", "0@"+uuid+"/1", 1, "i:call")
	w.json("b", 2, fmt.Sprintf(`{"trace_id":%q,"span_id":"00000000000000a1","parent_span_id":%q,"msg":"served"}`, trace, task.SpanOf(uuid+"/1")))
	if got, want := w.tree(uuid, 0), "job=open/1(call=open/1(served=unknown/1))"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestFilters finds tasks by the filters of sealed blocks, in bodies and in fields.
func TestFilters(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	id := ""
	for i := range 200 {
		one := fmt.Sprintf("%08x-6a48-4fac-%04x-%012x", random.Uint32(), random.Uint32()>>16, random.Uint64()>>16)
		if i == 77 {
			id = one
		}
		w.key("fields", "0@"+one, int64(i), "i:job", "user=7")
		w.json("bodies", int64(i), `{"context": {"key": "0@`+one+`"}, "message": "job", "levelname": "INFO"}`)
		w.json("none", int64(i), `GET / 200`)
		if i%10 == 9 {
			for _, s := range []string{"fields", "bodies", "none"} {
				w.seal(s)
			}
		}
	}
	if got, want := w.tree(id, 0), "job=open/1/again1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if read := w.blocks.Load(); read < 2 || read > 6 {
		t.Errorf("%d blocks were read of 60, want those that have it and few others", read)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	w.Limits = task.Limits{Nodes: 10, LineBytes: 400}
	w.key("a", "0@"+uuid, 0, "i:job")
	for i := range 20 {
		w.key("a", fmt.Sprintf("0@%s/%d", uuid, i+1), int64(i), "i:"+strings.Repeat("x", 50))
	}
	w.show()
	q := request(t, uuid, 0)
	q.Lines = true
	tree, err := w.Tree(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, n := range tree.Nodes {
		lines += len(n.Lines)
	}
	if len(tree.Nodes) != 10 || tree.Omitted != 11 || lines < 1 || lines > 3 || tree.Cut != 10-lines {
		t.Errorf("%d nodes, %d omitted, cut %d, %d lines", len(tree.Nodes), tree.Omitted, tree.Cut, lines)
	}
	if n := strings.Count(tree.Nodes[1].Lines[0].Text, "x"); n != 50 {
		t.Errorf("%d", n)
	}
}

// TestBytes has trees that would be large: deep ones, and such with long texts in each scope.
func TestBytes(t *testing.T) {
	long := strings.Repeat("\x01\u202e\"<", 300)
	for name, write := range map[string]func(w *world, i int){
		"deep": func(w *world, i int) {
			w.key("a", fmt.Sprintf("0@%s/%d%s", uuid, i, strings.Repeat("/1234567", 400)), 0, "i:deep")
		},
		"names":  func(w *world, i int) { w.key("a", fmt.Sprintf("0@%s/%d", uuid, i), 0, "i:"+long) },
		"errors": func(w *world, i int) { w.key("a", fmt.Sprintf("1@%s/%d", uuid, i), 0, "e:"+long+"\n"+long) },
		"ends": func(w *world, i int) {
			w.key("a", fmt.Sprintf("0@%s/%d", uuid, i), 0, "i:x", "pathname=/a", "lineno=1")
			w.key("a", fmt.Sprintf("1@%s/%d", uuid, i), 0, "i:"+long, "pathname=/a", "lineno=1")
		},
		"fields": func(w *world, i int) {
			w.key("a", fmt.Sprintf("0@%s/%d", uuid, i), 0, "i:x", "context_a="+long, "context_"+strings.Repeat("n", 400)+"="+long, "context_c="+long)
		},
		"hosts": func(w *world, i int) {
			w.key("a", fmt.Sprintf("0@%s/%d", uuid, i), 0, "i:x", fmt.Sprintf("host=%d%s", i, long), "process="+long)
		},
		"gaps": func(w *world, i int) {
			for k := range 40 {
				w.key("a", fmt.Sprintf("%d@%s/%d", k*1_000_000_000, uuid, i), 0, "i:x")
			}
		},
		"traces": func(w *world, i int) {
			w.json("a", 0, fmt.Sprintf(`{"trace_id":%q,"span_id":"%016x","msg":"%s"}`, strings.ReplaceAll(uuid, "-", ""), i+1, strings.Repeat("x", 500)))
		},
		"lines": func(w *world, i int) { w.key("a", fmt.Sprintf("%d@%s", i, uuid), 0, "i:"+long) },
	} {
		t.Run(name, func(t *testing.T) {
			const each = 64 << 10
			w := newWorld(t)
			w.Limits = task.Limits{Bytes: each, LineBytes: each}
			for i := range 400 {
				write(w, i+1)
			}
			w.show()
			q := request(t, uuid, 0)
			q.Lines = name == "lines"
			tree, err := w.Tree(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			for i := range tree.Nodes {
				one, err := json.Marshal(&tree.Nodes[i])
				if err != nil {
					t.Fatal(err)
				}
				text.Write(lines.AppendHarmlessJSON(nil, one))
			}
			records, lines, clipped := 0, 0, 0
			for _, n := range tree.Nodes {
				records, lines = records+n.Records, lines+len(n.Lines)
				if n.Clipped {
					clipped++
				}
			}
			if text.Len() > 2*each || tree.Bytes() > 2*each || text.Len() > tree.Bytes() {
				t.Errorf("%d bytes, counted as %d", text.Len(), tree.Bytes())
			}
			if records+tree.Omitted != tree.Records || q.Lines && lines+tree.Cut != tree.Records || clipped != tree.Clipped || tree.Omitted+tree.Cut+tree.Clipped == 0 {
				t.Errorf("%d records, of them in nodes %d, omitted %d, cut %d; %d scopes clipped, %d counted", tree.Records, records, tree.Omitted, tree.Cut, clipped, tree.Clipped)
			}
		})
	}
}

// TestHostsInKeys has hosts whose names would make keys long that are told apart by them.
func TestHostsInKeys(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.key("a", "0@"+uuid+strings.Repeat("/<built-in function id>", i), 0, "i:x", "host="+strings.Repeat("h", 10_000))
	}
	w.show()
	tree, err := w.Tree(t.Context(), request(t, uuid, 0))
	if err != nil || len(tree.Nodes) < 2 || len(tree.Nodes) > 17 {
		t.Fatalf("%v, %d nodes", err, len(tree.Nodes))
	}
	for _, n := range tree.Nodes {
		if len(n.ID) > 4096 || len(n.Host) > 300 {
			t.Errorf("%d bytes, %d of its host", len(n.ID), len(n.Host))
		}
	}
}
