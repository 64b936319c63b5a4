package filter_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

// world is a filter and what came through it.
type world struct {
	t    *testing.T
	line flow.Sink
	at   filter.Line
	last *record.Batch
}

var series = filter.Series{Drop: 1, Sample: 2, Rate: 3}

func newWorld(t *testing.T, c filter.Config, slots ...string) *world {
	t.Helper()
	w := &world{t: t, at: filter.Line{Stream: "a/b", Rule: 3, Slots: slots, Series: series}}
	w.open(c)
	return w
}

func (w *world) open(c filter.Config) {
	w.t.Helper()
	if err := c.Validate(); err != nil {
		w.t.Fatal(err)
	}
	stage, err := filter.New(c, w.at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.line = stage(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		w.last = b
		return nil
	}))
}

// batch returns a batch of one record for each text, to which the rule applies.
func (w *world) batch(texts ...string) *record.Batch {
	b := &record.Batch{Slots: w.at.Slots}
	for _, text := range texts {
		b.Records = append(b.Records, record.Record{Body: b.Append([]byte(text)), Rules: 1 << 3})
	}
	return b
}

// write writes b and returns the texts that stay.
func (w *world) write(b *record.Batch) (kept []string) {
	w.t.Helper()
	if err := w.line.Write(w.t.Context(), b); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range b.Records {
		if r.Flags&record.Dropped == 0 {
			kept = append(kept, string(b.Bytes(r.Body)))
		}
	}
	return kept
}

// counted returns what the last batch adds to a series.
func (w *world) counted(series uint32) (n float64) {
	for _, d := range w.last.Deltas {
		if d.Series == series {
			n += d.Add
		}
	}
	return n
}

func TestConditions(t *testing.T) {
	slots := []string{"status", "path"}
	for _, escaped := range []bool{false, true} {
		// one tells whether a record fits c.
		one := func(c filter.Condition) bool {
			t.Helper()
			w := newWorld(t, filter.Config{Drop: []filter.Condition{c}}, slots...)
			b := w.batch()
			form := func(text string) record.Span {
				if escaped {
					return b.Append(dockerjson.Escape(nil, []byte(text)))
				}
				return b.Append([]byte(text))
			}
			r := record.Record{Body: form("GET \"/a&b\"\t200\nend"), Level: record.LevelInfo, Rules: 1 << 3}
			if escaped {
				r.Flags = record.Escaped
			}
			b.Records = append(b.Records, r)
			b.Values = append(b.Values, form("200"), form(`/a&"b`))
			kept := w.write(b)
			if len(kept) == 1 != (w.counted(1) == 0) {
				t.Errorf("%+v: %d kept, %v counted", c, len(kept), w.counted(1))
			}
			return len(kept) == 0
		}
		for _, c := range []filter.Condition{
			{Regex: `"/a.b"`}, {Contains: `"/a&b"`}, {Contains: "GET"}, {Contains: "end"}, {Contains: "\t200\n"}, {Levels: []string{"debug", "info"}},
			{Fields: map[string]string{"status": "200"}}, {Fields: map[string]string{"status": "2..", "path": `/a.*`}}, {Fields: map[string]string{"path": `/a&"b`}},
			{Fields: map[string]string{"absent": ""}}, {Fields: map[string]string{"level": "info|warn"}}, {Fields: map[string]string{"level": "info"}},
			{Regex: "GET", Contains: "end", Levels: []string{"info"}, Fields: map[string]string{"status": "200"}},
			{Contains: "GET", Unless: &filter.Condition{Contains: "POST"}}, {Unless: &filter.Condition{Levels: []string{"debug"}}},
		} {
			if !one(c) {
				t.Errorf("escaped %v: %+v does not hold", escaped, c)
			}
		}
		for _, c := range []filter.Condition{
			{Regex: `^/a`}, {Contains: "nend"}, {Contains: "t200"}, {Contains: "0026"}, {Contains: `\`}, {Contains: "get"}, {Levels: []string{"debug"}},
			{Fields: map[string]string{"status": "20"}}, {Fields: map[string]string{"status": "2.", "path": "/a.*"}}, {Fields: map[string]string{"absent": "x"}},
			{Fields: map[string]string{"level": "inf"}}, {Fields: map[string]string{"path": `.*\\.*`}},
			{Contains: "GET", Levels: []string{"warn"}}, {Contains: "GET", Unless: &filter.Condition{Contains: "200"}},
		} {
			if one(c) {
				t.Errorf("escaped %v: %+v holds", escaped, c)
			}
		}
	}
}

// FuzzContains: a piece of text is found in escaped text where it is in the plain one.
func FuzzContains(f *testing.F) {
	f.Add("GET \"/a&b\"\t200\nend", "nend")
	f.Add(`a\b<c>`, `b<`)
	f.Add("x\u2028y", "\u2028")
	f.Fuzz(func(t *testing.T, text, piece string) {
		if piece == "" || !utf8.ValidString(text) {
			return
		}
		w := newWorld(t, filter.Config{Drop: []filter.Condition{{Contains: piece}}})
		b := w.batch(string(dockerjson.Escape(nil, []byte(text))), text)
		b.Records[0].Flags = record.Escaped
		w.write(b)
		for _, r := range b.Records {
			if r.Flags&record.Dropped != 0 != strings.Contains(text, piece) {
				t.Errorf("%q in %q: flags %b", piece, text, r.Flags)
			}
		}
	})
}

// TestOthersStay: a record that the rule's parser does not fit is not its filter's.
func TestOthersStay(t *testing.T) {
	w := newWorld(t, filter.Config{Only: exprs("x"), Sample: &filter.Sample{OneIn: 1000}, Rate: filter.Rate{Records: 1, Per: 1}})
	b := w.batch("a", "b", "c")
	b.Records[0].Rules = 1 << 2
	b.Records[1].Rules = 1<<3 | 1<<2
	b.Records[2].Rules = 0
	if kept := strings.Join(w.write(b), ""); kept != "ac" || w.counted(1) != 1 {
		t.Errorf("%s stay, %v counted", kept, w.counted(1))
	}
	if kept := w.write(b); len(kept) != 2 || w.counted(1) != 1 {
		t.Error("what is dropped already is dropped again")
	}
}

func TestNeeds(t *testing.T) {
	c := filter.Config{
		Drop:   []filter.Condition{{Fields: map[string]string{"a": "1", "level": "x"}, Unless: &filter.Condition{Fields: map[string]string{"b": "1"}}}},
		Sample: &filter.Sample{OneIn: 2, By: "c", Of: &filter.Condition{Fields: map[string]string{"d": "1"}}},
	}
	if got := strings.Join(c.Fields(), ""); got != "abdc" || !c.ReadsLevel() {
		t.Errorf("reads %s, the level: %v", got, c.ReadsLevel())
	}
	for _, c := range []filter.Config{{DropLevels: []string{"info"}}, {Only: []filter.Condition{{Unless: &filter.Condition{Levels: []string{"info"}}}}}} {
		if !c.ReadsLevel() {
			t.Errorf("%+v reads no level", c)
		}
	}
	if (filter.Config{Drop: exprs("x")}).ReadsLevel() {
		t.Error("an expression reads the level")
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		config filter.Config
		want   string
	}{
		{filter.Config{}, "keeps it"},
		{filter.Config{DropLevels: []string{"unknown", "info"}}, "drops it: its level is info"},
		{filter.Config{Drop: exprs("b", "a")}, "drops it: drop[1] fits"},
		{filter.Config{Only: exprs("b")}, "drops it: nothing in only fits"},
		{filter.Config{Sample: &filter.Sample{OneIn: 10}, Rate: filter.Rate{Records: 5, Per: 1e9}}, "keeps one in 10, at most 5/s, and 5 at once"},
		{filter.Config{Sample: &filter.Sample{OneIn: 10, Of: &filter.Condition{Contains: "b"}}}, "keeps it"},
		{filter.Config{Sample: &filter.Sample{OneIn: 1, By: "f"}}, "keeps one f in 1, this one"},
		{filter.Config{Sample: &filter.Sample{OneIn: 1000000, By: "f"}}, "keeps one f in 1000000, not this one"},
	} {
		b := &record.Batch{Slots: []string{"f"}}
		v := b.Append([]byte("a"))
		b.Records = []record.Record{{Body: v, Level: record.LevelInfo}}
		b.Values = []record.Span{v}
		text, drops, err := filter.Explain(test.config, filter.Line{Slots: b.Slots}, b, 0)
		if err != nil || text != test.want || drops != (strings.HasPrefix(text, "drops") || strings.Contains(text, "not this")) {
			t.Errorf("%+v: %q, %v, %v; want %q", test.config, text, drops, err, test.want)
		}
	}
}
