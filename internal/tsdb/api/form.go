package api

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
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
			return form{}, &failure{http.StatusUnsupportedMediaType, "bad_data", "use application/x-www-form-urlencoded"}
		}
	}
	if err := r.ParseForm(); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return form{}, err
		}
		return form{}, badData(fmt.Errorf("error parsing form values: %w", err))
	}
	return form{r.Form, r.PathValue("name"), time.Now()}, nil
}

func (f form) get(name string) string { return f.values.Get(name) }

// The times that Prometheus knows as its first and last.
var (
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()
)

// time returns a time, or what it is by default.
func (f form) time(name string, otherwise time.Time) (time.Time, error) {
	text := f.get(name)
	if text == "" {
		return otherwise, nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, invalid(name, fmt.Errorf("invalid time value for '%s': %w", name, err))
	}
	return t, nil
}

// window returns the time that a request without samples is about: by default all.
func (f form) window() (start, end int64, err error) {
	from, err := f.time("start", minTime)
	if err != nil {
		return 0, 0, err
	}
	to, err := f.time("end", maxTime)
	return millis(from), millis(to), err
}

func millis(t time.Time) int64 { return t.Unix()*1000 + int64(t.Nanosecond())/int64(time.Millisecond) }

// maxSeconds is how far from 1970 a time is understood: further than samples can be, and
// near enough that its milliseconds are a number.
const maxSeconds = 9e15

// parseTime reads Unix seconds, which may have a fraction, and RFC 3339.
func parseTime(text string) (time.Time, error) {
	if t, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(t) || math.Abs(t) > maxSeconds {
			return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
		}
		seconds, fraction := math.Modf(t)
		return time.Unix(int64(seconds), int64(math.Round(fraction*1000)/1000*float64(time.Second))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	switch text { // what clients send as all there is, in years that time cannot read
	case minTime.Format(time.RFC3339Nano):
		return minTime, nil
	case maxTime.Format(time.RFC3339Nano):
		return maxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
}

// parseDuration reads seconds, and durations as Prometheus writes them.
func parseDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		ns := seconds * float64(time.Second)
		if math.IsNaN(ns) || ns >= math.MaxInt64 || ns <= math.MinInt64 {
			return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", text)
		}
		return time.Duration(ns), nil
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
}

// limit returns how many elements an answer may have; 0 is any number.
func (f form) limit() (int, error) {
	text := f.get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && n < 0 {
		err = errors.New("limit must be non-negative")
	}
	if err != nil {
		return 0, invalid("limit", err)
	}
	return n, nil
}

// selectors returns the matchers of each match[]. A selector that matches what has no labels
// would select everything, and is refused.
func (a *API) selectors(f form) ([][]*labels.Matcher, error) {
	sets, err := a.parser.ParseMetricSelectors(f.values["match[]"])
	if err != nil {
		return nil, invalid("match[]", err)
	}
next:
	for _, set := range sets {
		for _, m := range set {
			if !m.Matches("") {
				continue next
			}
		}
		return nil, invalid("match[]", errors.New("match[] must contain at least one non-empty matcher"))
	}
	return sets, nil
}
