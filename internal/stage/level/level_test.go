package level_test

import (
	"context"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/level"
)

const mapping = `{"default_mapping":{"warning_keywords":["WARNING","WARN"],"error_keywords":["ERROR"]},
"mappings":[{"container_keywords":["some-custom-app"],"warning_keywords":["WARN"],"error_keywords":["ERROR","Exception"],"messages_to_ignore_errors":["TODO"]}]}`

// levelOf runs one line, with fields as slots, through a stage: as it is, and escaped.
func levelOf(t *testing.T, c level.Config, m *level.Mapping, container, line string, fields ...string) record.Level {
	t.Helper()
	got := run(t, c, m, container, record.Record{}, line, fields)
	if l := run(t, c, m, container, record.Record{Flags: record.Escaped}, line, fields); l != got {
		t.Errorf("%q: %v, but escaped %v", line, got, l)
	}
	if l := run(t, c, m, container, record.Record{Flags: record.Stderr}, line, fields); l != got {
		t.Errorf("%q: %v, but on stderr %v", line, got, l)
	}
	return got
}

func run(t *testing.T, c level.Config, m *level.Mapping, container string, r record.Record, line string, fields []string) record.Level {
	t.Helper()
	b := new(record.Batch)
	text := []byte(line)
	if r.Flags&record.Escaped != 0 {
		text = dockerjson.Escape(nil, text)
	}
	r.Body = b.Append(text)
	b.Records = []record.Record{r}
	for i := 0; i < len(fields); i += 2 {
		b.Slots = append(b.Slots, fields[i])
		b.Values = append(b.Values, b.Append([]byte(fields[i+1])))
	}
	var got record.Level
	end := flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		got = b.Records[0].Level
		return nil
	})
	labels := record.NewLabels(map[string]string{"container": container})
	if err := level.New(c, m, b.Slots, labels)(end).Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLevel(t *testing.T) {
	var none *level.Mapping
	for _, test := range []struct {
		config level.Config
		line   string
		fields []string
		want   record.Level
	}{
		{level.Config{}, "WARN slow", nil, record.LevelWarn},
		{level.Config{}, "WARN slow", []string{"level", "error"}, record.LevelError},
		{level.Config{}, "WARN slow", []string{"level", "", "severity", "50"}, record.LevelError},
		{level.Config{Field: "sev"}, "WARN slow", []string{"level", "error", "sev", "debug"}, record.LevelDebug},
		{level.Config{Field: "sev"}, "WARN slow", []string{"sev", ""}, record.LevelWarn}, // as if absent
		{level.Config{Field: "sev"}, "WARN slow", []string{"sev", "custom"}, record.LevelUnknown},
		{level.Config{Field: "sev"}, "WARN slow", []string{"level", "error"}, record.LevelWarn},
		{level.Config{}, "WARN slow", []string{"level", "custom"}, record.LevelWarn},
		{level.Config{}, "2026-11-20T17:56:45.088Z\terror\tmain.go:7", nil, record.LevelError},
		{level.Config{}, "\x1b[31mERROR\x1b[0m \"red\"", nil, record.LevelError},
		{level.Config{}, `{"level":"info","msg":"ERROR"}`, nil, record.LevelInfo},
		{level.Config{}, "hello", nil, record.LevelUnknown},
	} {
		if got := levelOf(t, test.config, none, "", test.line, test.fields...); got != test.want {
			t.Errorf("%+v %q %v: %v, want %v", test.config, test.line, test.fields, got, test.want)
		}
	}
}

func TestMapping(t *testing.T) {
	m, err := level.ParseMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		container, line string
		want            record.Level
	}{
		{"shop", "an ERROR", record.LevelError},
		{"shop", "an error", record.LevelInfo}, // keywords are case-sensitive
		{"shop", "NO_ERRORS", record.LevelInfo},
		{"shop", "WARNINGS: 0", record.LevelInfo},
		{"shop", "WARN: slow", record.LevelWarn},
		{"my-some-custom-app-1", "TODO: ERROR WARN", record.LevelInfo},
		{"my-some-custom-app-1", "java.lang.Exception: x", record.LevelError},
		{"my-some-custom-app-1", "java.lang.NullPointerException: x", record.LevelError},
		{"my-some-custom-app-1", "ExceptionHandler is up, NO_Exception, NOException, Exceptions", record.LevelInfo},
		{"my-some-custom-app-1", "a real ERROR", record.LevelError},
		{"shop", "ERROR_COUNT 0, 5ERROR, ERROR5, then an ERROR", record.LevelError},
		{"shop", "\tERROR\t\"x\"", record.LevelError},
		{"shop", "WARN and ERROR", record.LevelError},
		{"", "WARN a file, not a container", record.LevelWarn},
	} {
		if got := levelOf(t, level.Config{}, m, test.container, test.line); got != test.want {
			t.Errorf("%s: %q: %v, want %v", test.container, test.line, got, test.want)
		}
	}
	for _, bad := range []string{``, `5`, `{}`, mapping + "x", mapping[:40], `{"default_mapping":{"container_keywords":["x"],"warning_keywords":[],"error_keywords":[]}}`, `{"default_mapping":{}}`, `{"default_mapping":{"warning_keywords":[],"error_keywords":[]},"x":1}`,
		`{"default_mapping":{"warning_keywords":[],"error_keywords":[]},"mappings":[{"warning_keywords":[],"error_keywords":[]}]}`} {
		if _, err := level.ParseMapping([]byte(bad)); err == nil {
			t.Errorf("ParseMapping(%s) found nothing wrong", bad)
		}
	}
}

func TestMappingSaysWhere(t *testing.T) {
	for text, want := range map[string][]string{
		"{\n\"default_mapping\": {\n\"warning_keyword\": []\n}\n}": {"line 3:", `"warning_keyword"`, "container_keywords"},
		"{\n\"default_mapping\": {\n\"warning_keywords\": 5\n}\n}": {"line 3:", "number"},
		"{\n\"default_mapping\": {,\n}\n}":                         {"line 2:", "invalid character"},
		"{\n\"default_mapping\": {\n":                              {"line 2:", "too early"},
		"{}\n":                                                     {"default_mapping is missing"},
	} {
		_, err := level.ParseMapping([]byte(text))
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %q", text, err, part)
			}
		}
	}
}

func TestSourcesLevelStays(t *testing.T) {
	given := record.Record{Level: record.LevelDebug}
	if l := run(t, level.Config{}, nil, "", given, "ERROR", []string{"level", "warn"}); l != record.LevelDebug {
		t.Errorf("it became %v", l)
	}
	if l := run(t, level.Config{Field: "level"}, nil, "", given, "ERROR", []string{"level", "warn"}); l != record.LevelWarn {
		t.Errorf("the named field made it %v", l)
	}
}

func TestNoAllocations(t *testing.T) {
	m, err := level.ParseMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	for _, container := range []string{"", "some-custom-app"} {
		b := &record.Batch{Slots: []string{"level"}}
		line := dockerjson.Escape(nil, []byte("\tERROR \"x\""))
		for range 10 {
			b.Records = append(b.Records, record.Record{Body: b.Append(line), Flags: record.Escaped})
			b.Values = append(b.Values, record.Span{})
		}
		end := flow.SinkFunc(func(context.Context, *record.Batch) error { return nil })
		sink := level.New(level.Config{}, m, b.Slots, record.NewLabels(map[string]string{"container": container}))(end)
		ctx := t.Context()
		if n := testing.AllocsPerRun(10, func() {
			for i := range b.Records {
				b.Records[i].Level = record.LevelUnknown
			}
			_ = sink.Write(ctx, b)
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func FuzzParseMapping(f *testing.F) {
	f.Add([]byte(mapping))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := level.ParseMapping(text); err == nil {
			levelOf(t, level.Config{}, m, "some-custom-app", "an ERROR")
		}
	})
}
