package count_test

import (
	"context"
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/count"
)

func TestLevels(t *testing.T) {
	head := count.Levels{Info: 1, Warning: 2, Error: 3}.Stage()(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	b := new(record.Batch)
	for level, n := range map[record.Level]int{record.LevelUnknown: 1, record.LevelTrace: 1, record.LevelDebug: 1, record.LevelInfo: 2, record.LevelError: 2, record.LevelFatal: 1} {
		for range n {
			b.Records = append(b.Records, record.Record{Level: level})
		}
	}
	if err := head.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if want := []record.Delta{{Series: 1, Add: 5}, {Series: 3, Add: 3}}; !slices.Equal(b.Deltas, want) {
		t.Errorf("got %v", b.Deltas)
	}
}
