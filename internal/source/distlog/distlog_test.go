package distlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/source/distlog/hostiletest"
	"github.com/weirlog/weir/internal/zmq"
)

const vm = `{host="vm", kind="log", source="app", system="production"}`

// TestTutorial: what distlog's tutorial sends becomes the same records as JSON and as pickles, but
// for their times and ids.
func TestTutorial(t *testing.T) {
	once := regexp.MustCompile(`^[0-9.]+ | (process|thread)=[0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}`)
	var both [2][]string
	for i, name := range []string{"distlog-json-tutorial.frames", "distlog-pickle-tutorial.frames"} {
		w := newWorld(t, nil).run()
		p := w.dial()
		for _, m := range captured(t, name) {
			p.send(m...)
		}
		w.records(7)
		w.stop()
		for _, r := range w.got[vm] {
			both[i] = append(both[i], once.ReplaceAllString(r, ""))
		}
	}
	want := []string{
		"info toplevel name=root pathname=/srv/apps/shop/emit_basic.py lineno=",
		"info into task name=root",
	}
	for i := range both[0] {
		if i < len(want) && !strings.HasPrefix(both[0][i], want[i]) {
			t.Errorf("record %d is %s", i, both[0][i])
		}
	}
	if len(both[0]) != 7 || len(both[1]) != 7 {
		t.Fatalf("%d records of JSON and %d of pickles", len(both[0]), len(both[1]))
	}
	for i, r := range both[0] {
		if a, b := words(r), words(both[1][i]); a != b {
			t.Errorf("record %d\nas JSON   %s\nas pickle %s", i, a, b)
		}
	}
}

// words are the words of a text that name fields, with their values, in any order.
func words(text string) string {
	all := strings.Fields(text)
	seen := map[string]bool{}
	for _, w := range all {
		seen[w] = true
	}
	return fmt.Sprint(len(all), seen)
}

// TestRich looks at every kind of record that a log has.
func TestRich(t *testing.T) {
	w := newWorld(t, nil).run()
	p := w.dial()
	for _, m := range captured(t, "distlog-json-rich.frames") {
		p.send(m...)
	}
	w.records(21)
	const context = `context_job=count up context_until=10 context_nested={"a": [1, 2.5, null, true], "u": "\u00e9\u20ac\ud83d\ude00"}`
	const usual = " thread=140400928568000 threadName=MainThread processName=MainProcess process=9139 "
	for i, want := range map[int]string{
		0: "1795197433.662262400 info counting up to 10 name=root pathname=/srv/apps/shop/emit_basic.py lineno=20 funcName=rich" + usual +
			"key=0@f738d4aa-6a48-4fac-be7e-f34721792d8c " + context + " msg=counting up to %d",
		1:  "1795197433.663133400 debug debug x 7 name=root…",
		2:  `1795197433.663384000 warn from library\nsecond line name=thirdparty.lib…`,
		3:  "1795197433.663560600 info sub one name=root pathname=/srv/apps/shop/emit_basic.py lineno=24 funcName=rich" + usual + "key=0@f738d4aa-6a48-4fac-be7e-f34721792d8c/1 context_a=1",
		11: "1795197433.666175800 fatal crit name=root…",
		13: "1795197433.668216000 error caught it\nTraceback (most recent call last):\n  File \"/srv/apps/shop/emit_basic.py\", line 33, in rich\n    1 / 0…",
		14: "1795197433.674510000 info with extra name=root pathname=/srv/apps/shop/emit_basic.py lineno=36 funcName=rich" + usual +
			"key=4@f738d4aa-6a48-4fac-be7e-f34721792d8c " + context + " context_extra_key=bound context_n=3 request_id=abc-123 n=12",
		15: "1795197433.674862100 info with stack\nStack (most recent call last):\n…",
	} {
		got := w.got[vm][i]
		if rest, cut := strings.CutSuffix(want, "…"); got != want && !(cut && strings.HasPrefix(got, rest)) {
			t.Errorf("record %d:\n got %s\nwant %s", i, got, want)
		}
	}
	if got := w.got[vm][16]; !strings.Contains(got, " levelname=Level 25") {
		t.Errorf("a level of its own: %s", got)
	}
	for level, n := range map[string]float64{"info": 17, "debug": 1, "warn": 1, "error": 2, "fatal": 0} {
		if got := w.sum("weir_distlog_records_total", `level="`+level+`"`, `system="production"`, `kind="log"`); level != "info" && level != "fatal" && got != n {
			t.Errorf("%v records of level %s, want %v", got, level, n)
		}
	}
	if got := w.sum("weir_distlog_records_total"); got != 21 {
		t.Errorf("%v records are counted", got)
	}
}

// TestRaw plays the bytes of libzmq, whole and one at a time.
func TestRaw(t *testing.T) {
	raw, err := os.ReadFile("testdata/distlog-zmtp-json-tutorial.raw")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{len(raw), 1} {
		w := newWorld(t, nil).run()
		conn, err := net.Dial("tcp", w.source.bound[0].String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetNoDelay(true)
		for i := 0; i < len(raw); i += step {
			if _, err := conn.Write(raw[i:min(i+step, len(raw))]); err != nil {
				t.Fatal(err)
			}
		}
		w.records(7)
		conn.Close()
		w.stop()
	}
}

// TestRecords: one record each.
func TestRecords(t *testing.T) {
	is := func(topic, body, stream, want string) {
		t.Helper()
		w := newWorld(t, nil).run()
		w.dial().text(topic, body)
		w.records(1)
		w.has(stream, want)
		w.stop()
	}
	const here = `{host="127.0.0.1", kind="log", source="app", system="production"}`
	is("PLJ", `{"message": "a", "levelno": 20}`, here, "info a")
	is("SLJ", `{"message": "a"}`, `{host="127.0.0.1", kind="log", source="app", system="staging"}`, "unknown a")
	is("TPJ", `{"message": "a"}`, `{host="127.0.0.1", kind="performance", source="app", system="test"}`, "unknown a")
	is("??J", `{"message": "a"}`, `{host="127.0.0.1", kind="other", source="app", system="other"}`, "unknown a")
	is("PLJ", `{"message": "", "hostname": "vm"}`, vm, "unknown ")
	is("PLJ", `{"m\u0065ssage": "a\n\u00e9\ud83d\ude00\ud800", "hostname": "v\u006d"}`, vm, "unknown a\né😀�")
	is("PLJ", `{"msg": {"a": 1}, "message": "{'a': 1}"}`, here, `unknown {'a': 1} msg={"a": 1}`)
	is("PLJ", `{"msg": "a %s", "levelno": 30}`, here, `warn a %s`)
	is("PLJ", `{"message": "a", "levelno": 5, "levelname": "TRACE"}`, here, "trace a levelname=TRACE")
	is("PLJ", `{"message": "a", "levelname": "WARNING"}`, here, "warn a levelname=WARNING")
	is("PLJ", `{"message": "a", "levelno": 0}`, here, "unknown a")
	is("PLJ", `{"message": "a", "created": 1700000000.25}`, here, "1700000000.250000000 unknown a")
	is("PLJ", `{"message": "a", "created": 17000000002500e-4}`, here, "1700000000.250000000 unknown a")
	is("PLJ", `{"message": "a", "n": 1e400, "big": 123456789012345678901234567890, "nan": NaN, "t": true, "none": null, "l": [NaN]}`, here,
		"unknown a n=1e400 big=123456789012345678901234567890 nan=NaN t=true l=[NaN]")
	is("PLJ", `{"message": "a", "x-y": 1, "1": 2, "é": 3, "": 4, "x_y": 5}`, here, "unknown a x_y=5 _1=2 _=4")
	is("PLJ", `{"message": "a", "message": "b", "x": 1, "x": "2"}`, here, "unknown b x=2")
	is("PLJ", `{"message": "a", "context": {"key": "mine", "n": 1}, "context_n": 2}`, here, "unknown a context_key=mine context_n=2")
	is("PLJ", `{"message": "a", "context": {"key": "0@u\/1"}}`, here, "unknown a key=0@u/1")
	is("PLJ", `{"message": "a", "pathname": "/x/y.py", "filename": "z.py", "module": "m"}`, here, "unknown a pathname=/x/y.py filename=z.py module=m")
	is("PLJ", `{"message": "a", "args": [1], "asctime": "x", "msecs": 1, "relativeCreated": 2, "exc_info": 3}`, here, "unknown a")
	is("PLJ", `{"a": 1, "b": {"c": NaN}, "hostname": "vm", "context": {"key": "0@u", "n": 1}}`, vm,
		`unknown {"a": 1, "b": {"c": NaN}, "hostname": "vm", "context": {"key": "0@u", "n": 1}} key=0@u`)
	is("PLJ", `{}`, here, "unknown {}")
	is("PLP", "\x80\x04}(\x8c\x01aK\x01\x8c\x01b]K\x02au.", here, `unknown {"a":1,"b":[2]}`)
	is("PLP", "(dS'message'\nS'old'\nsS'levelno'\nI40\ns.", here, "error old")
	is("PLP", "\x80\x04}(\x8c\x07message\x8c\x01x\x8c\x07created\x47\x41\xd9\x55\x5b\xd3\x10\x00\x00\x8c\x04when"+
		"cdatetime\ndate\n(C\x04\x07\xe9\x0b\x15tR\x8c\x07context}\x8c\x03key\x8c\x03\x30@us\x8c\x04nothN\x8c\x07contextN\x8c\x01K\x88u.", here,
		"1700097868.250000000 unknown x when=2025-11-21 key=0@u K=true")
}

// TestLong: what is too long loses its end, or is left out, and is counted.
func TestLong(t *testing.T) {
	w := newWorld(t, nil).run()
	p := w.dial()
	p.text("PLJ", `{"message": "`+strings.Repeat("é", 1<<20)+`", "hostname": "vm"}`)
	p.text("PLJ", `{"message": "a", "x": "`+strings.Repeat("x", 70_000)+`", "y": 1, "hostname": "vm"}`)
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, `, "f%d": 1`, i)
	}
	p.text("PLJ", `{"message": "b"`+many.String()+`, "hostname": "vm"}`)
	w.records(3)
	w.has(vm, "unknown 1048576 bytes, flags 8", "unknown a", "unknown b f0=1…")
	if n := strings.Count(w.got[vm][2], "=1"); n != maxFields {
		t.Errorf("%d fields", n)
	}
	if got := w.sum("weir_component_dropped_total", `reason="fields"`); got != 2+300-maxFields {
		t.Errorf("%v fields are counted as left out", got)
	}
}

// TestKeepWire: a message can be had again as it came.
func TestKeepWire(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.KeepWire = true }).run()
	p := w.dial()
	a, b := captured(t, "distlog-json-rich.frames"), captured(t, "distlog-pickle-tutorial.frames")
	sent := append(a[:len(a):len(a)], b...)
	for _, m := range sent {
		p.send(m...)
	}
	w.records(len(sent))
	for i, m := range sent {
		record := w.got[vm][i]
		want := " wire_topic=" + string(m[0]) + " wire_json=" + string(m[1])
		if m[0][2] == 'P' {
			want = " wire_topic=" + string(m[0]) + " wire_pickle=" + base64.StdEncoding.EncodeToString(m[1])
		}
		if !strings.HasSuffix(record, want) {
			t.Errorf("record %d is %s\nwant %s", i, record, want)
		}
	}
}

// TestWireNames: what a message is as it came is not up to who sends it.
func TestWireNames(t *testing.T) {
	w := newWorld(t, nil).run()
	p := w.dial()
	p.text("PLJ", `{"message": "a", "hostname": "vm", "wire_topic": "PLP", "wire_pickle": "gARk", "wire_json": "{}", "wire_topic_base64": "eA==", "wire_topic_": "x"}`)
	w.records(1)
	w.has(vm, "unknown a wire_topic_=x wire_pickle_=gARk wire_json_={} wire_topic_base64_=eA==")
	w.stop()
	w = newWorld(t, func(c *Config) { c.KeepWire = true }).run()
	p = w.dial()
	long := strings.Repeat("long", 200)
	p.text("\xffLJ", `{"message": "a"}`)
	p.text(long, `{"message": "b", "wire_json": "x"}`)
	w.records(2)
	w.has(`{host="127.0.0.1", kind="log", source="app", system="other"}`, `unknown a wire_topic_base64=/0xK wire_json={"message": "a"}`)
	w.has(`{host="127.0.0.1", kind="other", source="app", system="other"}`, `unknown b wire_json_=x wire_topic=`+long+` wire_json={"message": "b", "wire_json": "x"}`)
}

// TestStreams: hosts have streams of their own, as many as are allowed; further ones share one.
func TestStreams(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxStreams = 3; c.Labels = map[string]string{"team": "shop"} }).run()
	p := w.dial()
	for i := range 5 {
		for range 2 {
			p.text("PLJ", fmt.Sprintf(`{"message": "%d", "hostname": "h%d"}`, i, i))
		}
	}
	p.text("PLJ", `{"message": "again", "hostname": "h1"}`)
	w.records(11)
	w.has(`{host="h0", kind="log", source="app", system="production", team="shop"}`, "unknown 0", "unknown 0")
	w.has(`{host="h1", kind="log", source="app", system="production", team="shop"}`, "unknown 1", "unknown 1", "unknown again")
	w.has(`{kind="log", overflow="true", source="app", system="production", team="shop"}`,
		"unknown 3 hostname=h3", "unknown 3 hostname=h3", "unknown 4 hostname=h4", "unknown 4 hostname=h4")
}

// TestBackPressure: while lines do not take, the sender cannot send on for ever, and when they
// do nothing is lost.
func TestBackPressure(t *testing.T) {
	w := newWorld(t, nil).run()
	w.mu.Lock()
	w.block = true
	w.mu.Unlock()
	p := w.dial()
	var frames []byte
	frames = p.session.AppendFrame(frames, []byte("PLJ"), true)
	frames = p.session.AppendFrame(frames, []byte(`{"message": "`+strings.Repeat("x", 20_000)+`", "hostname": "vm"}`), false)
	sent := 1
	for ; ; sent++ {
		_ = p.conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := p.conn.Write(frames)
		if err != nil {
			w.mu.Lock()
			w.block = false
			w.cond.Broadcast()
			w.mu.Unlock()
			p.write(frames[n:])
			break
		}
		if sent > 50_000 {
			t.Fatal("a gigabyte was taken that nobody wanted")
		}
	}
	w.records(sent)
	if w.written != sent {
		t.Errorf("%d records of %d", w.written, sent)
	}
}

// TestStop: what has come in when the end comes is written.
func TestStop(t *testing.T) {
	w := newWorld(t, nil).run()
	p := w.dial()
	p.text("PLJ", `{"message": "first"}`)
	w.records(1)
	for i := range 5000 {
		p.text("PLJ", fmt.Sprintf(`{"message": "%d"}`, i))
	}
	w.stop()
	if w.written != 5001 {
		t.Errorf("%d records of 5001", w.written)
	}
}

// discard takes all that is written.
func (w *world) discard(t testing.TB) *taker {
	w.source.lines = worldLines{w}
	line, err := w.source.lines.Open(flow.Input{Stream: w.source.bad.stream, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	w.source.bad.line = line
	return newTaker(w.source, zmq.Peer{Name: "test"})
}

// TestDoesNotAllocate: records cost no allocation, of JSON and of pickles.
func TestDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"distlog-json-tutorial.frames", "distlog-pickle-tutorial.frames"} {
		w := newWorld(t, nil)
		taker := w.discard(t)
		messages := captured(t, name)
		ctx := context.Background()
		take := func() {
			for _, m := range messages {
				if err := taker.Message(ctx, m); err != nil {
					t.Fatal(err)
				}
			}
			if b := taker.batch; len(b.Records) > 100 {
				b.Reset(b.Stream)
				taker.build.reset()
			}
		}
		for range 1000 {
			take()
		}
		if n := testing.AllocsPerRun(100, take); n != 0 {
			t.Errorf("%s: %v allocations for %d records", name, n, len(messages))
		}
	}
}

// FuzzMessage sees that no message ends the source, and that what it becomes is whole.
func FuzzMessage(f *testing.F) {
	for _, name := range []string{"distlog-json-rich.frames", "distlog-pickle-tutorial.frames"} {
		for _, m := range captured(f, name) {
			f.Add(m[0], m[1])
		}
	}
	f.Add([]byte("PLJ"), []byte(`{"message":"a","context":{"key":"1@x"},"é-":1}`))
	for _, m := range hostiletest.Messages() {
		if p := m.Parts; len(p) == 2 && len(p[1]) < 1000 {
			f.Add(p[0], p[1])
		}
	}
	w := newWorld(f, func(c *Config) { c.KeepWire = true; c.MaxStreams = 5 })
	taker := w.discard(f)
	f.Fuzz(func(t *testing.T, topic, body []byte) {
		before := bytes.Clone(body)
		if err := taker.Message(context.Background(), [][]byte{topic, body}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, body) {
			t.Error("the message was changed")
		}
		if b := taker.batch; b != nil {
			seen := map[string]bool{}
			for _, x := range b.Fields {
				name := string(b.Bytes(x.Name))
				at := fmt.Sprint(x.Record, name)
				if seen[at] || !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) {
					t.Errorf("field %q", name)
				}
				seen[at] = true
			}
		}
		inBounds(t, taker, len(body))
		if err := taker.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := taker.held(); n > mostIdle {
			t.Errorf("%d bytes are held", n)
		}
		w.got = map[string][]string{}
	})
}
