package level_test

import (
	"context"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/level"
)

const mapping = `{"default_mapping":{"warning_keywords":["WARNING","WARN"],"error_keywords":["ERROR"]},
"mappings":[{"container_keywords":["some-custom-app"],"warning_keywords":["WARN"],"error_keywords":["ERROR","Exception"],"messages_to_ignore_errors":["TODO"]}]}`

// levelOf runs one line, with fields as slots, through a stage.
func levelOf(t *testing.T, c level.Config, m *level.Mapping, container, line string, fields ...string) record.Level {
	t.Helper()
	b := new(record.Batch)
	b.Records = []record.Record{{Body: b.Append([]byte(line))}}
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
		{level.Config{Field: "sev"}, "WARN slow", []string{"sev", ""}, record.LevelUnknown},
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
		{"", "WARN a file, not a container", record.LevelWarn},
	} {
		if got := levelOf(t, level.Config{}, m, test.container, test.line); got != test.want {
			t.Errorf("%s: %q: %v, want %v", test.container, test.line, got, test.want)
		}
	}
	for _, bad := range []string{``, `5`, `{}`, `{"default_mapping":{}}`, `{"default_mapping":{"warning_keywords":[],"error_keywords":[]},"x":1}`,
		`{"default_mapping":{"warning_keywords":[],"error_keywords":[]},"mappings":[{"warning_keywords":[],"error_keywords":[]}]}`} {
		if _, err := level.ParseMapping([]byte(bad)); err == nil {
			t.Errorf("ParseMapping(%s) found nothing wrong", bad)
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
