package filter

import (
	"time"

	"github.com/weirlog/weir/internal/record"
)

// noticeEvery is how often a stream says at most that records of it were left out.
const noticeEvery = time.Second

// whole is a token but for what adding up may lose of it.
const whole = 1 - 1e-6

// limiter lets records pass at a rate. It has two buckets, which fill with tokens at that
// rate: one by the time of the records, one by the clock. A record passes if one of them has
// a token, and takes one of both, so that they are not spent twice.
//
// So what was written at the rate passes, however fast it is read, and however late; and
// where the records' times stand still or are wrong the clock counts. Time of records that
// goes back fills nothing until it is ahead of where it was.
type limiter struct {
	perNano float64 // tokens
	burst   float64
	own     float64 // tokens by the time of the records; down to -burst
	wall    float64 // tokens by the clock; down to -burst
	latest  int64   // time of records up to which own was filled
	clock   time.Time

	// since is when the first of what was left out came that no notice has told of.
	since          time.Time
	records, bytes int64
}

func newLimiter(c Config) *limiter {
	burst := float64(c.Burst)
	if c.Burst == 0 {
		burst = float64(c.Rate.Records)
	}
	return &limiter{perNano: float64(c.Rate.Records) / float64(c.Rate.Per), burst: burst, own: burst, wall: burst}
}

// begin takes note of the time at the start of a batch, and adds the notice that is due: a
// second after the first record was left out, or when nothing follows for the time being.
func (l *limiter) begin(b *record.Batch, now time.Time) {
	if !l.clock.IsZero() {
		l.wall = l.filled(l.wall, now.Sub(l.clock))
	}
	l.clock = now
	if l.records > 0 && (len(b.Records) == 0 || now.Sub(l.since) >= noticeEvery) {
		b.Gaps = append(b.Gaps, record.Gap{Bytes: l.bytes, Records: l.records, Reason: Limited})
		l.records, l.bytes = 0, 0
	}
}

// end asks for another batch soon if there is something to tell.
func (l *limiter) end(b *record.Batch) {
	if l.records > 0 {
		b.Held = true
	}
}

func (l *limiter) filled(tokens float64, d time.Duration) float64 {
	return min(l.burst, tokens+l.perNano*float64(max(d, 0)))
}

// passes tells whether r passes.
func (l *limiter) passes(r *record.Record) bool {
	if r.Time > l.latest {
		if l.latest != 0 {
			l.own = l.filled(l.own, time.Duration(r.Time-l.latest))
		}
		l.latest = r.Time
	}
	if l.own >= whole || l.wall >= whole {
		l.own, l.wall = max(l.own-1, -l.burst), max(l.wall-1, -l.burst)
		return true
	}
	if l.records == 0 {
		l.since = l.clock
	}
	l.records++
	l.bytes += int64(r.Body.Len)
	return false
}
