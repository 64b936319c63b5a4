package task_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/task"
)

// body returns a record with a body as it is kept.
func body(text string, fields ...kept.Field) []byte {
	line := new(kept.Appender).Append(nil, &kept.Record{Time: moment, Level: record.LevelInfo, Body: []byte(text), Fields: fields})
	return line[:len(line)-1]
}

func TestReadRecords(t *testing.T) {
	trace := strings.ReplaceAll(uuid, "-", "")
	good := func(line []byte, scope string, seq int64) {
		t.Helper()
		if id, s, n, ok := task.Read(line); !ok || s != scope || n != seq || !strings.HasPrefix(s, id) {
			t.Errorf("%s: %q, %q, %d, %t; want %q, %d", line, id, s, n, ok, scope, seq)
		}
	}
	bad := func(line []byte) {
		t.Helper()
		if id, s, n, ok := task.Read(line); ok {
			t.Errorf("%s: %q, %q, %d; want nothing", line, id, s, n)
		}
	}
	key := func(text string) kept.Field { return kept.Field{Name: []byte("key"), Value: []byte(text)} }
	good(body("hello", key("0@"+uuid)), uuid, 0)
	good(body("hello", key("12@"+uuid+"/1")), uuid+"/1", 12)
	good(body(`{"context": {"key": "3@`+uuid+`/2"}}`), uuid+"/2", 3)
	good(body(`{"key": "3@`+uuid+`/2"}`), uuid+"/2", 3)
	good(body(`{"context": {"key": "3@`+uuid+`"}, "key": "mine"}`), uuid, 3)
	good(body(`{"key": "mine", "context": {"key": "3@`+uuid+`"}}`), uuid, 3)
	good(body(`{"task_uuid":"`+uuid+`","task_level":[2,3,4]}`), uuid+"/2/3", 4)
	good(body(`{"task_uuid":"`+uuid+`","task_level":"/2/3/4"}`), uuid+"/2/3", 4)
	good(body(`{"task_uuid":"`+strings.ToUpper(uuid)+`","task_level":[ 2 , 3 ]}`), uuid+"/2", 3)
	good(body(`{"traceId":"`+trace+`","x":{"y":[1,{}]}}`), uuid, -1)
	good(body(`{"trace":{"id":"`+trace+`"},"span":{"id":"00000000000000a1"}}`), uuid, -1)
	good(body(`ts=1 trace_id=`+trace), uuid, -1)
	good(body(`{"pid":3,"host":"h/x","key":"1@<built-in function id>/2"}`), "<built-in function id>@h_x:3/2", 1)
	good(body(`{"key":"1@<built-in function id>"}`), "<built-in function id>@h:", 1)
	good(body(`{"key":"1@`+uuid+`","n":1}`), uuid, 1)
	bad(body("hello"))
	bad(body(`{"key": "` + uuid + `"}`))
	bad(body(`{"key": "0@example.com", "context": null}`))
	bad(body(`{"context": {"key": {"key": "0@` + uuid + `"}}}`))
	bad(body(`{"context": "0@` + uuid + `"}`))
	bad(body(`{"key": "0@` + uuid + `"`))
	bad(body(`{"key": "0@` + uuid + `", "n": 01}`))
	bad(body(`{"key": "0@` + uuid + strings.Repeat("/1", 600) + `"}`))
	bad(body(`{"key": "99999999999999999999@` + uuid + `"}`))
	bad(body(`{"task_uuid":"` + uuid + `","task_level":[]}`))
	bad(body(`{"task_uuid":"` + uuid + `","task_level":[1,-2]}`))
	bad(body(`{"task_uuid":"` + uuid + `","task_level":[` + strings.Repeat("1,", 600) + `1]}`))
	bad(body(`{"trace_id":"` + strings.Repeat("0", 32) + `"}`))
	bad(body(`{"trace_id":"` + strings.Repeat("x", 32) + `"}`))
	bad(body(`{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `,"key":"0@` + uuid + `"}`))
	bad([]byte("no line at all"))
	bad(nil)
}

// TestHostileTasks has records that want to be much more than they are.
func TestHostileTasks(t *testing.T) {
	w := newWorld(t)
	w.Limits = task.Limits{Nodes: 2000}
	w.key("a", "0@"+uuid, 0, "i:job")
	for i := range 100 {
		w.key("a", fmt.Sprintf("999999999999999999@%s/%d%s", uuid, i, strings.Repeat("/999999999999999999", 100)), 1, "i:deep")
	}
	for i := range 2000 { // numbers that leave a gap between any two
		w.key("a", fmt.Sprintf("%d@%s/7", i*3%2000*2, uuid), 2, "i:holes")
	}
	w.show()
	tree, err := w.Tree(t.Context(), request(t, uuid, 0))
	if err != nil || len(tree.Nodes) != 2000 || tree.Omitted == 0 || tree.Records != 2101 {
		t.Fatalf("%v: %d nodes, %d of %d records omitted", err, len(tree.Nodes), tree.Omitted, tree.Records)
	}
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		if n.Parent >= i || n.Missing < 0 || len(n.Gaps) > 16 || n.Depth > 102 {
			t.Errorf("%+v", n)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"context": {"key": "3@` + uuid + `/2", "user": "u1"}, "levelname": "INFO", "created": 1795197433.6622624}`,
		`{"task_uuid":"` + uuid + `","task_level":[2,3,4],"action_status":"failed","reason":"no"}`,
		`{"trace_id":"f738d4aa6a484facbe7ef34721792d8c","span_id":"00000000000000a1","parent_span_id":"00000000000000a1"}`,
		`trace_id=f738d4aa6a484facbe7ef34721792d8c key=3@` + uuid, `{"key":"1@<built-in function id>/2","process":7}`, `{"key":"1@None/2"}`,
	} {
		f.Add(seed, "3@"+uuid)
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		line := body(text, kept.Field{Name: []byte("key"), Value: []byte(key)}, kept.Field{Name: []byte("context_user"), Value: []byte(text)})
		id, scope, seq, ok := task.Read(line)
		if !ok {
			return
		}
		if !strings.HasPrefix(scope, id) || id == "" || seq < -1 || strings.Count(scope, "/") >= 512 {
			t.Errorf("%q, %q, %d", id, scope, seq)
		}
		if parsed, ok := task.ParseID(scope); !ok || parsed.Root != id || parsed.Scope != scope {
			t.Errorf("%q is read again as %+v, %t", scope, parsed, ok)
		}
	})
}
