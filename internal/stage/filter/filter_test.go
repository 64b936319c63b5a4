package filter_test

import (
	"context"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

// exprs are conditions of regular expressions alone.
func exprs(all ...string) (conditions []filter.Condition) {
	for _, x := range all {
		conditions = append(conditions, filter.Condition{Regex: x})
	}
	return conditions
}

func TestFilter(t *testing.T) {
	for _, test := range []struct {
		config filter.Config
		want   string // a letter for each kept record
	}{
		{filter.Config{}, "abc"},
		{filter.Config{DropLevels: []string{"debug", "warn"}}, "b"},
		{filter.Config{Drop: exprs("^a", "c$")}, "b"},
		{filter.Config{Only: exprs(`^"`)}, "b"},
		{filter.Config{Only: exprs("a", "c"), DropLevels: []string{"warn"}}, "a"},
		{filter.Config{Drop: exprs(`(?P<q>["'])\w`, `^[^"]$`)}, ""},
		{filter.Config{Only: exprs(`\W\bb\b`)}, "b"},
		{filter.Config{Only: exprs(`(?s:^.*["].*$)`)}, "b"},
	} {
		b := new(record.Batch)
		b.Records = []record.Record{
			{Body: b.Append([]byte("a")), Level: record.LevelDebug, Rules: 1},
			{Body: b.Append([]byte(`\"b`)), Level: record.LevelInfo, Flags: record.Escaped, Rules: 1},
			{Body: b.Append([]byte("c")), Level: record.LevelWarn, Rules: 1},
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
		stage, err := filter.New(test.config, filter.Line{})
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

func TestNoAllocations(t *testing.T) {
	stage, err := filter.New(filter.Config{Drop: exprs(`GET /health`, `bot\b`), Only: exprs(`HTTP/\d`)}, filter.Line{})
	if err != nil {
		t.Fatal(err)
	}
	line := stage(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	b := new(record.Batch)
	b.Records = []record.Record{{Flags: record.Escaped, Rules: 1, Body: b.Append([]byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 512 \"-\" \"curl/8\"`))}}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _ = line.Write(ctx, b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if b.Records[0].Flags&record.Dropped != 0 {
		t.Error("it was dropped")
	}
}

func TestValidate(t *testing.T) {
	c := filter.Config{DropLevels: []string{"loud"}}
	if err := c.Validate(); err == nil || err.Error() != `drop_levels[0]: "loud" is no level; use trace, debug, info, warn, error, fatal` {
		t.Errorf("Validate = %v", err)
	}
	if err := (filter.Config{Drop: exprs("(")}).Validate(); err == nil {
		t.Error("a broken expression passes")
	}
}
