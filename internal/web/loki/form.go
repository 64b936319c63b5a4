package loki

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/unit"
)

// form is the parameters of a request: of its address, and of its body if that is a form.
type form struct {
	values url.Values
	name   string // in the path
	now    time.Time
}

func readForm(r *http.Request) (form, error) {
	if kind := r.Header.Get("Content-Type"); r.Method == http.MethodPost && kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/x-www-form-urlencoded" {
			return form{}, &requestError{http.StatusUnsupportedMediaType, "use application/x-www-form-urlencoded"}
		}
	}
	if err := r.ParseForm(); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return form{}, err
		}
		return form{}, bad(err.Error())
	}
	return form{r.Form, r.PathValue("name"), time.Now()}, nil
}

func (f form) get(name string) string { return f.values.Get(name) }

// number returns a whole number, or what it is by default.
func (f form) number(name string, otherwise int) (int, error) {
	text := f.get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, bad(fmt.Sprintf("could not parse '%s' parameter: %q is not a whole number", name, text))
	}
	return n, nil
}

// limit returns how many lines are wanted.
func (f form) limit(otherwise, most int) (int, error) {
	n, err := f.number("limit", otherwise)
	switch {
	case err != nil:
		return 0, err
	case n <= 0:
		return 0, bad("limit must be a positive value")
	case n > most:
		return 0, bad(fmt.Sprintf("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", n, most))
	}
	return n, nil
}

func (f form) direction() (logql.Direction, error) {
	switch text := f.get("direction"); strings.ToLower(text) {
	case "", "backward":
		return logql.Backward, nil
	case "forward":
		return logql.Forward, nil
	default:
		return 0, bad(fmt.Sprintf("invalid direction '%s'", text))
	}
}

// window returns the time that a request is about: by default the last stretch of it.
func (f form) window(stretch time.Duration) (start, end time.Time, err error) {
	if end, err = f.time("end", f.now); err != nil {
		return
	}
	if text := f.get("since"); text != "" {
		if stretch, err = parseDuration(text); err != nil {
			return start, end, bad(fmt.Sprintf("could not parse 'since' parameter: not a valid duration string: %q", text))
		}
	}
	last := end
	if last.After(f.now) { // the last stretch of what there is
		last = f.now
	}
	if start, err = f.time("start", known(last.Add(-stretch))); err != nil {
		return
	}
	if earliest := known(end.Add(-maxRange)); start.Before(earliest) {
		start = earliest
	}
	if end.Before(start) {
		err = bad("end timestamp must not be before or equal to start time")
	}
	return
}

func (f form) time(name string, otherwise time.Time) (time.Time, error) {
	text := f.get(name)
	if text == "" {
		return otherwise, nil
	}
	t, ok := parseTime(text)
	if !ok {
		return t, bad(fmt.Sprintf("could not parse '%s' parameter: %q is no time: use RFC 3339 or Unix seconds or nanoseconds", name, text))
	}
	return t, nil
}

// Times that weir knows, which are about as far as Unix nanoseconds reach; and the longest
// range of them, which is what a duration can say.
const (
	minSecond = -9_200_000_000 // in 1678
	maxSecond = 9_200_000_000  // in 2261
	maxRange  = maxSecond * time.Second
)

// known returns t, or the time that is nearest to it.
func known(t time.Time) time.Time {
	switch s := t.Unix(); {
	case s < minSecond:
		return time.Unix(minSecond, 0)
	case s >= maxSecond:
		return time.Unix(maxSecond, 0)
	}
	return t
}

// parseTime reads Unix seconds, which may have a fraction; Unix nanoseconds, which are
// whole numbers of more than ten digits; and RFC 3339. What lies beyond the times that
// weir knows becomes their beginning or end.
func parseTime(text string) (time.Time, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if len(text) <= 10 {
			return known(time.Unix(n, 0)), true
		}
		return known(time.Unix(0, n)), true
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(seconds) && strings.Contains(text, ".") {
		whole, fraction := math.Modf(min(max(seconds, minSecond), maxSecond))
		return time.Unix(int64(whole), int64(math.Round(fraction*1e3)*1e6)), true
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return known(t), err == nil
}

// parseDuration reads a duration as Prometheus writes them.
func parseDuration(text string) (time.Duration, error) {
	for _, fine := range []string{"ns", "us", "µs", "μs"} {
		if strings.HasSuffix(text, fine) {
			return 0, errors.New("the smallest unit is ms")
		}
	}
	if text == "0" {
		return 0, nil
	}
	return unit.ParseDuration(text)
}

// span returns a duration that may also be given in seconds.
func (f form) span(name string) (d time.Duration, given bool, err error) {
	text := f.get(name)
	if text == "" {
		return 0, false, nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		ns := seconds * 1e9
		if math.IsNaN(ns) || ns > math.MaxInt64 || ns < math.MinInt64 {
			return 0, true, bad(fmt.Sprintf("cannot parse %q to a valid duration. It overflows int64", text))
		}
		return time.Duration(ns), true, nil
	}
	if d, err = parseDuration(text); err != nil {
		return 0, true, bad(fmt.Sprintf("cannot parse %q to a valid duration", text))
	}
	return d, true, nil
}

// maxSteps is how many points a series of an answer may have.
const maxSteps = 11_000

// step returns how far the points of a series are apart: by default so far that there are
// 250, but at least a second.
func (f form) step(start, end time.Time) (time.Duration, error) {
	step, given, err := f.span("step")
	switch {
	case err != nil:
		return 0, err
	case !given:
		seconds := math.Floor(end.Sub(start).Seconds() / 250)
		return time.Duration(max(seconds, 1)) * time.Second, nil
	case step <= 0:
		return 0, bad("zero or negative query resolution step widths are not accepted. Try a positive integer")
	case end.Sub(start)/step > maxSteps:
		return 0, bad("exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter")
	}
	return step, nil
}

// interval returns how far the lines of an answer have to be apart.
func (f form) interval() (time.Duration, error) {
	d, _, err := f.span("interval")
	if err == nil && d < 0 {
		err = bad("interval must be >= 0")
	}
	return d, err
}

// wantsCategories tells whether the client wants to know where a label comes from.
func wantsCategories(r *http.Request) bool {
	for _, line := range r.Header.Values("X-Loki-Response-Encoding-Flags") {
		for flag := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(flag) == categorizeFlag {
				return true
			}
		}
	}
	return false
}

const categorizeFlag = "categorize-labels"
