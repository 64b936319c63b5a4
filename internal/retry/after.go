package retry

import (
	"net/http"
	"strconv"
	"time"
)

// MaxAfter bounds what a server may ask for.
const MaxAfter = 15 * time.Minute

// After reads how long a server wants to be left alone, from its header Retry-After: seconds,
// or a date. It is at most MaxAfter, and 0 where the text says nothing that is understood.
func After(text string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), MaxAfter)
}
