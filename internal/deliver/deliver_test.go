package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// states keeps values in memory, and counts how often they were made durable.
type states struct {
	values map[string][]byte
	syncs  int
	fail   error
}

func (s *states) Load(key string) []byte { return s.values[key] }

func (s *states) Store(key string, value []byte) {
	if s.values[key] = value; value == nil {
		delete(s.values, key)
	}
}

func (s *states) Sync(context.Context) error {
	s.syncs++
	return s.fail
}

// recorder is a target that notes what it gets.
type recorder struct {
	got    []uint64
	fail   error
	closed int
}

func (r *recorder) Send(ctx context.Context, b *record.Batch) (Result, error) {
	if _, ok := ctx.Deadline(); !ok {
		return Result{}, errors.New("no deadline")
	}
	if r.fail != nil {
		return Result{}, r.fail
	}
	for i := range b.Records {
		if b.Records[i].Flags&record.Dropped == 0 {
			r.got = append(r.got, b.First+uint64(i))
		}
	}
	return Result{}, nil
}

func (r *recorder) Close() error {
	r.closed++
	return nil
}

// batch returns n records from the number first on.
func batch(stream string, first, n int) *record.Batch {
	return &record.Batch{Stream: &record.Stream{ID: stream}, First: uint64(first), Records: make([]record.Record, n)}
}

func TestCursor(t *testing.T) {
	st, target := &states{values: map[string][]byte{}}, new(recorder)
	s := New(Deps{Name: "a", State: st}, target, time.Minute)
	write := func(b *record.Batch) error { return errors.Join(s.Write(t.Context(), b), s.Flush(t.Context())) }
	if _, ok := s.Next("x"); ok {
		t.Error("it knows a stream before the first record")
	}
	if err := errors.Join(write(batch("x", 5, 0)), write(batch("x", 5, 2))); err != nil {
		t.Fatal(err)
	}
	target.fail = errors.New("away")
	if err := write(batch("x", 7, 2)); !errors.Is(err, target.fail) {
		t.Errorf("the error is %v", err)
	}
	unwanted := batch("x", 7, 2)
	unwanted.Records[0].Flags, unwanted.Records[1].Flags = record.Dropped, record.Dropped
	if err := write(unwanted); err != nil {
		t.Errorf("what nobody wants is sent: %v", err)
	}
	s = New(Deps{Name: "a", State: st}, target, time.Minute)
	if next, ok := s.Next("x"); next != 9 || !ok {
		t.Errorf("it goes on with %d", next)
	}
	if !slices.Equal(target.got, []uint64{5, 6}) {
		t.Errorf("the target got %v", target.got)
	}
}

// TestForget drops the cursors of streams that are gone, those of earlier runs included.
func TestForget(t *testing.T) {
	st := &states{values: map[string][]byte{}}
	d := Deps{Name: "a", State: st, Remembers: func(stream string) bool { return stream == "new/7" }}
	for i := range minCursors {
		name := fmt.Sprint("old/", i)
		st.Store(Prefix("a")+name, appendCursor(nil, 3))
		d.Streams = append(d.Streams, name)
	}
	s := New(d, new(recorder), time.Minute)
	for i := range 10 {
		if err := s.Write(t.Context(), batch(fmt.Sprint("new/", i), 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil || len(st.values) != 1 {
		t.Errorf("%d cursors stay, %v", len(st.values), err)
	}
	if next, ok := s.Next("new/7"); next != 2 || !ok {
		t.Errorf("the cursor is %d", next)
	}
}

// TestUnknownCursor has cursors of a weir that is newer: they are none, and the log says so once.
func TestUnknownCursor(t *testing.T) {
	var log strings.Builder
	st := &states{values: map[string][]byte{}}
	st.Store(Prefix("a")+"s", []byte{2, 9})
	st.Store(Prefix("a")+"t", []byte{2, 9})
	c := NewCursors(Deps{Name: "a", State: st, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, stream := range []string{"s", "t", "none"} {
		if next, ok := c.Next(stream); next != 0 || ok {
			t.Errorf("%s: %d, %v", stream, next, ok)
		}
	}
	if n := strings.Count(log.String(), "newer weir"); n != 1 || !strings.Contains(log.String(), "stream=s ") {
		t.Errorf("%d times: %s", n, log.String())
	}
}

// TestIdentity is durable before it is used, and stays.
func TestIdentity(t *testing.T) {
	st := &states{values: map[string][]byte{}, fail: errors.New("no disk")}
	d := Deps{Name: "a", State: st}
	if _, err := IdentityOf(t.Context(), d); !errors.Is(err, st.fail) {
		t.Errorf("the error is %v", err)
	}
	st.values, st.fail = map[string][]byte{}, nil
	first, err := IdentityOf(t.Context(), d)
	if err != nil || st.syncs != 2 || first.Random == 0 {
		t.Errorf("%+v, %v after %d syncs", first, err, st.syncs)
	}
	if again, err := IdentityOf(t.Context(), d); again != first || err != nil || st.syncs != 2 {
		t.Errorf("then it is %+v, %v", again, err)
	}
	if other, err := IdentityOf(t.Context(), Deps{Name: "b", State: st}); other == first || err != nil {
		t.Errorf("another sink's is %+v, %v", other, err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(appendCursor(nil, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		next, ok := parseCursor(b)
		if again, _ := parseCursor(appendCursor(nil, next)); ok && again != next {
			t.Errorf("%d came back as %d", next, again)
		}
	})
}

func TestSelection(t *testing.T) {
	labels := record.Labels{{Name: "app", Value: "shop"}, {Name: "system", Value: "P"}}
	var a kept.Appender
	line := func(level record.Level, body string, fields ...string) []byte {
		r := kept.Record{Time: 1e18, Level: level, Body: []byte(body)}
		for i := 0; i+1 < len(fields); i += 2 {
			r.Fields = append(r.Fields, kept.Field{Name: []byte(fields[i]), Value: []byte(fields[i+1])})
		}
		return a.Append(nil, &r)
	}
	for _, test := range []struct {
		match, level string
		line         []byte
		want         bool
	}{
		{`{}`, "warn", line(record.LevelWarn, "x"), true},
		{`{}`, "warn", line(record.LevelInfo, "x"), false},
		{`{}`, "trace", line(record.LevelUnknown, "x"), false},
		{`{} |= "time out"`, "", line(record.LevelInfo, `say "time out"`), true},
		{`{} |= "time out"`, "", line(record.LevelInfo, `timeout`), false},
		{`{} |= "time out"`, "error", line(record.LevelInfo, `time out`), false},
		{`{app="shop"} | task="import"`, "", line(record.LevelInfo, "x", "task", "import"), true},
		{`{app="shop"} | task="import"`, "", line(record.LevelInfo, "x", "task", "export"), false},
		{`{app="shop"} | task="import"`, "", line(record.LevelInfo, "x"), false},
		{`{} | system="P"`, "", line(record.LevelInfo, "x"), true},
		{`{} | detected_level=~"warn|error"`, "", line(record.LevelError, "x"), true},
		{`{} | detected_level=~"warn|error"`, "", line(record.LevelInfo, "x"), false},
		{`{} | json | amount > 100`, "", line(record.LevelInfo, `{"amount": 101}`), true},
		{`{} | json | amount > 100`, "", line(record.LevelInfo, `{"amount": 99}`), false},
		{"{x!~`}`} !~ `a+`", "", line(record.LevelInfo, `bbb`), true},
	} {
		s := Selection{Match: test.match, Level: test.level, Start: "end"}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", test.match, err)
			continue
		}
		c, err := s.Chooser()
		if err != nil || c == nil {
			t.Errorf("%s: %v", test.match, err)
			continue
		}
		c.Stream(labels)
		for range 2 {
			if got := c.Chooses(test.line, kept.LevelOf(test.line)); got != test.want {
				t.Errorf("%s, level %q: %s is chosen: %v", test.match, test.level, test.line, got)
			}
		}
	}
	if c, err := SelectAll().Chooser(); c != nil || err != nil {
		t.Errorf("all records have to be chosen one by one: %v", err)
	}
}

func TestSelectionMistakes(t *testing.T) {
	for _, test := range []struct {
		s    Selection
		want string
	}{
		{Selection{Match: "{"}, "match: at character 2: expected the name of a label"},
		{Selection{Match: ""}, "match: at character 1:"},
		{Selection{Match: `{a="}"} |= `}, "match: at character 11:"},
		{Selection{Match: `{} | nothing`}, "match: at character 6:"},
		{Selection{Match: `{} | line_format "x"`}, "match: | line_format"},
		{Selection{Match: `{} | label_format a=b`}, "match: | label_format"},
		{Selection{Match: `{} [5m]`}, "match:"},
		{Selection{Match: `{}`, Level: "loud"}, "level:"},
		{Selection{Match: `{}`, Level: "unknown"}, "level:"},
		{Selection{Match: `{}`, Start: "later"}, "start:"},
	} {
		if err := test.s.Validate(); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v; want %s", test.s, err, test.want)
		}
	}
}

func FuzzSelection(f *testing.F) {
	for _, seed := range []string{"{}", `{a="}"} |= "b" | json | c > 1`, "{a=`\\`}", `{a="\"}"}`, "}", `{"`} {
		f.Add(seed)
	}
	var a kept.Appender
	line := a.Append(nil, &kept.Record{Time: 1e18, Body: []byte("text")})
	f.Fuzz(func(_ *testing.T, match string) {
		if c, err := (Selection{Match: match}).Chooser(); err == nil && c != nil {
			c.Stream(record.Labels{{Name: "a", Value: "b"}})
			c.Chooses(line, record.LevelInfo)
		}
	})
}

func TestEncoder(t *testing.T) {
	b := &record.Batch{Stream: &record.Stream{ID: `a/"b"`, Labels: record.Labels{{Name: "app", Value: "b\n"}}}, First: 7, Slots: []string{"status", "path"}}
	put := func(text string) record.Span { return b.Append([]byte(text)) }
	b.Records = []record.Record{
		{Time: 1795237507_000000042, Level: record.LevelInfo, Body: put(`a\"b\n`), Flags: record.Escaped},
		{Time: -1, Level: record.LevelError, Body: put("x\xffy"), Flags: record.Stderr | record.Cut | record.Lost, Weight: 10},
	}
	b.Values = []record.Span{put(`2\"0`), {}, {}, {}}
	b.Fields = []record.Field{{Record: 0, Name: put("user"), Value: put("ann")}, {Record: 0, Name: put("status"), Value: put("no")}, {Record: 1, Name: put("u"), Value: put("v")}}
	var e Encoder
	for _, from := range []int{0, 1} { // the first may be left out
		e.Begin(b)
		for i, want := range []string{
			`{"time":"2026-11-21T05:05:07.000000042Z","level":"info","body":"a\"b\n","stream":"a/\"b\"","seq":7,"labels":{"app":"b\n"},"fields":{"status":"2\"0","user":"ann"}}`,
			`{"time":"1969-12-31T23:59:59.999999999Z","level":"error","body":"x�y","stream":"a/\"b\"","seq":8,"stderr":true,"cut":true,"weight":10,"lost":true,"labels":{"app":"b\n"},"fields":{"u":"v"},"raw":"eP95"}`,
		} {
			if i < from {
				continue
			}
			if got := string(e.Append(nil, b, i)); got != want || !json.Valid([]byte(got)) {
				t.Errorf("record %d is\n%s\nwant\n%s", i, got, want)
			}
		}
	}
	dst := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		e.Begin(b)
		dst = e.Append(e.Append(dst[:0], b, 0), b, 1)
	}); n > 2 { // what is no part of a record: the names of its stream
		t.Errorf("%v allocations", n)
	}
}
