package filter_test

import (
	"context"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

func TestFilter(t *testing.T) {
	for _, test := range []struct {
		config filter.Config
		want   string // a letter for each kept record
	}{
		{filter.Config{}, "abc"},
		{filter.Config{DropLevels: []string{"debug", "warn"}}, "b"},
		{filter.Config{Drop: []string{"^a", "c$"}}, "b"},
		{filter.Config{Only: []string{`^"`}}, "b"},
		{filter.Config{Only: []string{"a", "c"}, DropLevels: []string{"warn"}}, "a"},
	} {
		b := new(record.Batch)
		b.Records = []record.Record{
			{Body: b.Append([]byte("a")), Level: record.LevelDebug},
			{Body: b.Append([]byte(`\"b`)), Level: record.LevelInfo, Flags: record.Escaped},
			{Body: b.Append([]byte("c")), Level: record.LevelWarn},
		}
		kept := ""
		end := flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
			for i, r := range b.Records {
				if r.Flags&record.Dropped == 0 {
					kept += string(rune('a' + i))
				}
			}
			return nil
		})
		stage, err := filter.New(test.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := stage(end).Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if kept != test.want {
			t.Errorf("%+v keeps %q, want %q", test.config, kept, test.want)
		}
	}
}

func TestValidate(t *testing.T) {
	c := filter.Config{DropLevels: []string{"loud"}}
	if err := c.Validate(); err == nil || err.Error() != `drop_levels[0]: "loud" is no level; use trace, debug, info, warn, error, fatal` {
		t.Errorf("Validate = %v", err)
	}
	if err := (filter.Config{Drop: []string{"("}}).Validate(); err == nil {
		t.Error("a broken expression passes")
	}
}
