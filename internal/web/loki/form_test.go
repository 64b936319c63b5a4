package loki

import (
	"net/url"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql"
)

func TestTimes(t *testing.T) {
	good := func(text string, want time.Time) {
		t.Helper()
		if got, ok := parseTime(text); !ok || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", text, got.UTC(), ok, want.UTC())
		}
	}
	good("0", time.Unix(0, 0))
	good("-5", time.Unix(-5, 0))
	good("1795197600", time.Unix(1795197600, 0))
	good("1795197600123", time.Unix(0, 1795197600123)) // Loki reads it so too: nanoseconds
	good("1795197600123456789", time.Unix(0, 1795197600123456789))
	good("1795197600.5", time.UnixMilli(1795197600500))
	good("1795197600.803", time.UnixMilli(1795197600803))
	good("2026-11-20T18:00:00Z", time.Unix(1795197600, 0))
	good("2026-11-20T19:00:00.000000001+01:00", time.Unix(1795197600, 1))
	good("9999-01-01T00:00:00Z", time.Unix(maxSecond, 0))
	good("0001-01-01T00:00:00Z", time.Unix(minSecond, 0))
	good("99999999999999.9", time.Unix(maxSecond, 0))
	for _, text := range []string{"", "x", "1e9", "NaN", "Inf", "2026-11-20", "2026-11-20 18:00:00", "99999999999999999999", "1.2.3"} {
		if got, ok := parseTime(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// FuzzForm reads parameters: what is accepted makes sense, and nothing panics.
func FuzzForm(f *testing.F) {
	f.Add("start=1&end=2&since=1h&step=5m&interval=1&limit=10&direction=forward&query={}")
	f.Add("start=2026-11-20T18:00:00Z&end=1795197600.5&step=0.1")
	f.Add("end=-9223372036854775808&since=292y&step=9e18")
	f.Add("start=0001-01-01T00:00:00Z&end=9999-01-01T00:00:00Z&step=1y1w1d")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		form := form{values: values, now: time.Unix(1795197600, 0)}
		start, end, err := form.window(time.Hour)
		if err != nil {
			return
		}
		if end.Before(start) || end.Sub(start) > maxRange {
			t.Errorf("from %v to %v", start, end)
		}
		if step, err := form.step(start, end); err == nil {
			if step <= 0 {
				t.Errorf("step %v", step)
			}
			from, to := logql.Align(start, end, step)
			if from.After(start) || to.Before(end) {
				t.Errorf("%v to %v becomes %v to %v with step %v", start, end, from, to, step)
			}
		}
		if d, err := form.interval(); err == nil && d < 0 {
			t.Errorf("interval %v", d)
		}
		if n, err := form.limit(defaultLimit, 5000); err == nil && (n < 1 || n > 5000) {
			t.Errorf("limit %d", n)
		}
	})
}
