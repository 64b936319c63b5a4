package filter_test

import (
	"context"
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

// TestClassify: a record is of the first class that it fits, whatever rules apply to it.
func TestClassify(t *testing.T) {
	stage, err := filter.Classify([]filter.Condition{
		{Levels: []string{"error", "fatal"}},
		{Contains: "slow", Unless: &filter.Condition{Fields: map[string]string{"task": "import"}}},
		{Levels: []string{"error", "debug"}},
	}, []string{"task"})
	if err != nil {
		t.Fatal(err)
	}
	b := new(record.Batch)
	add := func(text, task string, level record.Level, flags record.Flags) {
		b.Records = append(b.Records, record.Record{Body: b.Append([]byte(text)), Level: level, Flags: flags})
		b.Values = append(b.Values, b.Append([]byte(task)))
	}
	b.Slots = []string{"task"}
	add("slow", "", record.LevelError, 0)
	add("slow", "", record.LevelInfo, 0)
	add("slow", "import", record.LevelInfo, 0)
	add("slow", "import", record.LevelDebug, 0)
	add("x", "", record.LevelDebug, 0)
	add("x", "", record.LevelUnknown, 0)
	add("x", "", record.LevelError, record.Dropped)
	var got []uint8
	next := stage(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		got = got[:0]
		for _, r := range b.Records {
			got = append(got, r.Class)
		}
		return nil
	}))
	if err := next.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if want := []uint8{1, 2, 0, 3, 3, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("the classes are %v, want %v", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { _ = next.Write(context.Background(), b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := filter.Classify([]filter.Condition{{Regex: "("}}, nil); err == nil {
		t.Error("an expression that is none is taken")
	}
}
