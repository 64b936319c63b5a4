package filter

import (
	"context"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Classify returns a stage that says of which class records are, that is which is the first of
// these conditions that holds for them, whatever rules apply to them. What is dropped is of
// none.
func Classify(classes []Condition, slots []string) (flow.Stage, error) {
	conditions, err := compileAll(classes, slots)
	if err != nil {
		return nil, err
	}
	s := &stage{}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for i := range b.Records {
				if r := &b.Records[i]; r.Flags&record.Dropped == 0 {
					r.Class = uint8(1 + s.anyHolds(conditions, b, i))
				}
			}
			return next.Write(ctx, b)
		})
	}, nil
}
