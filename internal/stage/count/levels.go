package count

import (
	"context"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Levels are the durable series that count the records of a container by three levels: all
// that is worse than a warning is an error, all that is less is info.
type Levels struct{ Info, Warning, Error uint32 }

// Stage returns the stage that counts; levels were set before it.
func (l Levels) Stage() flow.Stage {
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			var info, warning, failed int
			for i := range b.Records {
				switch level := b.Records[i].Level; {
				case level >= record.LevelError:
					failed++
				case level == record.LevelWarn:
					warning++
				default:
					info++
				}
			}
			b.Deltas = appendDelta(b.Deltas, l.Info, info)
			b.Deltas = appendDelta(b.Deltas, l.Warning, warning)
			b.Deltas = appendDelta(b.Deltas, l.Error, failed)
			return next.Write(ctx, b)
		})
	}
}

func appendDelta(dst []record.Delta, series uint32, n int) []record.Delta {
	if n == 0 {
		return dst
	}
	return append(dst, record.Delta{Series: series, Add: float64(n)})
}
