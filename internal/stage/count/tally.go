package count

import (
	"context"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Tally is the durable series that count everything a line takes in.
type Tally struct {
	Records, Bytes, Cut uint32
	// Gap returns the series that count gaps of a reason and the bytes known to be lost.
	Gap func(reason string) (gaps, bytes uint32)
}

// Stage returns the stage that counts records, the bytes of their text as it was read,
// records that lost their end, and gaps.
func (t Tally) Stage() flow.Stage {
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			if n := len(b.Records); n > 0 {
				size, cut := uint64(0), 0
				for i := range b.Records {
					size += uint64(b.Records[i].Body.Len)
					if b.Records[i].Flags&record.Cut != 0 {
						cut++
					}
				}
				b.Deltas = append(b.Deltas, record.Delta{Series: t.Records, Add: float64(n)}, record.Delta{Series: t.Bytes, Add: float64(size)})
				if cut > 0 {
					b.Deltas = append(b.Deltas, record.Delta{Series: t.Cut, Add: float64(cut)})
				}
			}
			for _, g := range b.Gaps {
				gaps, lost := t.Gap(g.Reason)
				b.Deltas = append(b.Deltas, record.Delta{Series: gaps, Add: 1})
				if g.Bytes > 0 {
					b.Deltas = append(b.Deltas, record.Delta{Series: lost, Add: float64(g.Bytes)})
				}
			}
			return next.Write(ctx, b)
		})
	}
}
