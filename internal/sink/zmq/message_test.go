package zmq

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

func newWriter() *writer {
	return &writer{node: "web-1", system: Staging, distlog: func(source string) bool { return source == "app" }}
}

// messages returns topics and bodies.
func messages(t testing.TB, b *record.Batch) (all [][2]string) {
	t.Helper()
	w := newWriter()
	w.begin(b)
	for i := range b.Records {
		out, end := w.append([]byte("before"), i)
		all = append(all, [2]string{string(out[len("before"):end]), string(out[end:])})
	}
	return all
}

// attributesOf returns the attributes of a body, numbers as they are written.
func attributesOf(t testing.TB, body string) (m map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m
}

// standard are the attributes of every log record of Python's that distlog sends.
var standard = strings.Fields("name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created msecs relativeCreated thread threadName processName process context message asctime hostname")

// TestOtherRecords: records that do not come from distlog have its form.
func TestOtherRecords(t *testing.T) {
	b := batch(&files, 7, 1)
	r := &b.Records[0]
	r.Time, r.Level, r.Flags, r.Weight, r.Body = 1_795_298_405_123_456_789, record.LevelError, record.Stderr, 3, b.Append([]byte("a \"b\"\nc\xff"))
	with(b, "status", "500", "message", "x", "lineno", "seven", "wire_topic", "PLP", "wire_pickle", "gARk", "context_a", "b", "key", "3@u/1")
	got := messages(t, b)[0]
	m := attributesOf(t, got[1])
	for _, name := range standard {
		if _, ok := m[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	at := time.Unix(1_795_298_405, 0)
	for name, want := range map[string]any{
		"name": "files", "msg": "a \"b\"\nc\uFFFD", "message": `a "b"\nc` + "\uFFFD", "levelname": "ERROR", "levelno": json.Number("40"), "lineno": json.Number("0"),
		"created": json.Number("1795298405.123456789"), "msecs": json.Number("123.456"), "asctime": at.Format("2006-01-02 15:04:05") + ",123", "hostname": "web-1",
		"status": "500", "field_message": "x", "field_lineno": "seven", "field_wire_topic": "PLP", "field_wire_pickle": "gARk", "context_a": "b",
		"context": map[string]any{"key": "3@u/1"}, "args": nil, "process": nil,
		"weir": map[string]any{"stream": "files//a.log", "seq": json.Number("7"), "labels": map[string]any{"filename": "/a.log", "source": "files"}, "stderr": true, "weight": json.Number("3"), "raw": base64.StdEncoding.EncodeToString([]byte("a \"b\"\nc\xff"))},
	} {
		if !reflect.DeepEqual(m[name], want) {
			t.Errorf("%s is %#v, want %#v", name, m[name], want)
		}
	}
	if got[0] != "SLJ" {
		t.Errorf("the topic is %s", got[0])
	}
}

// TestDistlogRecords: without the message as it came, a record of distlog's has what weir knows of it.
func TestDistlogRecords(t *testing.T) {
	b := with(batch(&logs, 1, 1), "name", "shop.cart", "pathname", "/srv/shop/cart.py", "lineno", "17", "funcName", "add", "process", "4711", "processName", "MainProcess",
		"thread", "140735", "threadName", "MainThread", "taskName", "Task-1", "key", "0@u", "context_user", "bob", "order", "9")
	got := messages(t, b)[0]
	m := attributesOf(t, got[1])
	for name, want := range map[string]any{
		"name": "shop.cart", "pathname": "/srv/shop/cart.py", "filename": "cart.py", "module": "cart", "lineno": json.Number("17"), "funcName": "add", "process": json.Number("4711"),
		"thread": json.Number("140735"), "taskName": "Task-1", "order": "9", "hostname": "h", "context": map[string]any{"key": "0@u", "user": "bob"}, "msg": "line 1", "levelname": "INFO",
	} {
		if !reflect.DeepEqual(m[name], want) {
			t.Errorf("%s is %#v, want %#v", name, m[name], want)
		}
	}
	if _, ok := m["context_user"]; ok || got[0] != "TLJ" {
		t.Errorf("%q", got)
	}
	if got := messages(t, batch(&other, 1, 1))[0][0]; got != "SPJ" { // a topic that was none of distlog's
		t.Errorf("the topic is %s", got)
	}
}

// TestAsItCame: the two frames are what came.
func TestAsItCame(t *testing.T) {
	packed := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for i, test := range []struct {
		fields []string
		want   [2]string
	}{
		{[]string{"wire_topic", "TLJ", "wire_json", `{"a": NaN, "b": "é\u00e9"}`}, [2]string{"TLJ", `{"a": NaN, "b": "é\u00e9"}`}},
		{[]string{"wire_topic", "TLP", "wire_pickle", packed("\x80\x04.\x00\xff")}, [2]string{"TLP", "\x80\x04.\x00\xff"}},
		{[]string{"wire_json", "{}"}, [2]string{"", "{}"}}, // the topic was empty
		{[]string{"wire_topic_base64", packed("P\xffJ"), "wire_json", "{}"}, [2]string{"P\xffJ", "{}"}},
		{[]string{"wire_topic", strings.Repeat("long", 1000), "wire_json", "{}"}, [2]string{strings.Repeat("long", 1000), "{}"}},
	} {
		if got := messages(t, with(batch(&logs, 1, 1), test.fields...))[0]; got != test.want {
			t.Errorf("%d: got %q", i, got)
		}
	}
	if got := messages(t, with(batch(&logs, 1, 1), "wire_topic", "TLP", "wire_pickle", "***"))[0]; got[0] != "TLJ" || attributesOf(t, got[1])["msg"] != "line 1" {
		t.Errorf("what is damaged became %q", got)
	}
}

// TestFields belong to their records, also where some are left out.
func TestFields(t *testing.T) {
	b := with(batch(&files, 1, 1), "a", "1")
	for i := 2; i < 6; i++ {
		more := batch(&files, i, 1)
		r := more.Records[0]
		r.Body = b.Append(more.Bytes(r.Body))
		b.Records = append(b.Records, r)
		with(b, "a", fmt.Sprint(i))
	}
	w := newWriter()
	w.begin(b)
	for _, i := range []int{0, 2, 4} {
		out, end := w.append(nil, i)
		if m := attributesOf(t, string(out[end:])); m["a"] != fmt.Sprint(i+1) || m["msg"] != fmt.Sprint("line ", i+1) {
			t.Errorf("record %d: %s", i, out)
		}
	}
}

// TestLevels are Python's.
func TestLevels(t *testing.T) {
	for level, want := range map[record.Level]string{
		record.LevelUnknown: "NOTSET 0", record.LevelTrace: "Level 5 5", record.LevelDebug: "DEBUG 10", record.LevelInfo: "INFO 20", record.LevelWarn: "WARNING 30", record.LevelError: "ERROR 40", record.LevelFatal: "CRITICAL 50",
	} {
		b := batch(&files, 1, 1)
		b.Records[0].Level = level
		m := attributesOf(t, messages(t, b)[0][1])
		if got := fmt.Sprint(m["levelname"], " ", m["levelno"]); got != want {
			t.Errorf("%s is %s", level, got)
		}
	}
}

func TestDoesNotAllocate(t *testing.T) {
	b := with(batch(&logs, 1, 1), "name", "shop.cart", "lineno", "17", "key", "0@u", "context_user", "bob", "order", "9")
	w := newWriter()
	var out []byte
	write := func() {
		w.begin(b)
		out, _ = w.append(out[:0], 0)
	}
	write()
	if n := testing.AllocsPerRun(100, write); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMessage: whatever is in a record, what is made of it is JSON with every attribute once.
func FuzzMessage(f *testing.F) {
	f.Add("text", "name", "shop", "key", "1@u", int64(1_795_298_405_123_456_789), true)
	f.Add("a\nb\xff", "context_a", "\x00", "lineno", "-0", int64(-5), false)
	f.Add("", "wire_json", "{}", "wire_topic", "x", int64(0), true)
	f.Fuzz(func(t *testing.T, body, name1, value1, name2, value2 string, at int64, ours bool) {
		if name1 == name2 || strings.ToValidUTF8(name1, "") != name1 || strings.ToValidUTF8(name2, "") != name2 {
			return // a record has each name once, and names are letters and digits
		}
		stream := &files
		if ours {
			stream = &logs
		}
		b := &record.Batch{Stream: stream, First: 1}
		b.Records = append(b.Records, record.Record{Time: at, Level: record.LevelWarn, Body: b.Append([]byte(body))})
		with(b, name1, value1, name2, value2)
		got := messages(t, b)[0]
		if ours && (strings.HasPrefix(name1, "wire_") || strings.HasPrefix(name2, "wire_")) {
			return // as it came
		}
		if m := attributesOf(t, got[1]); m["weir"] == nil || m["created"] == nil || len(got[0]) != 3 {
			t.Errorf("%q", got)
		}
	})
}
