package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	good := func(text string, ms int64) {
		t.Helper()
		if got, err := parseTime(text); err != nil || millis(got) != ms {
			t.Errorf("parseTime(%q) = %d, %v; want %d", text, millis(got), err, ms)
		}
	}
	good("0", 0)
	good("1795180507.25", 1795180507250)
	good("1.7951805072509e9", 1795180507251)
	good("-1.5", -1500)
	good("2026-11-20T13:00:00.125+01:00", 1795176000125)
	good("-292273086-05-16T16:47:06Z", millis(minTime))
	good("292277025-08-18T07:12:54.999999999Z", millis(maxTime))
	for _, text := range []string{"", "x", "nan", "inf", "1e300", "2026-11-20"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("parseTime(%q) = %s", text, got)
		}
	}
	for text, want := range map[string]time.Duration{"15": 15 * time.Second, "0.5": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "nan", "1e300", "-1e300", "1.5h"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %s", text, got)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, text := range []string{"0", "1795180507.25", "-9e15", "2026-11-20T13:00:00Z", "-292273086-05-16T16:47:06Z", "nan", "1h30m", "1e18"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := parseTime(text); err == nil && (at.Before(minTime) || at.After(maxTime)) {
			t.Errorf("parseTime(%q) = %s", text, at)
		}
		_, _ = parseDuration(text)
	})
}

func FuzzString(f *testing.F) {
	for _, text := range []string{"", "plain", "a\"b\\c\n\t\x00\x7f", "é€😀", "\xff\xc3", "</script>\u2028"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := &out{}
		o.string(text)
		var got, want string
		for _, r := range text { // what is not UTF-8 byte for byte
			want += string(r)
		}
		if err := json.Unmarshal(o.buf, &got); err != nil || got != want {
			t.Errorf("%q is written as %s, read as %q: %v", text, o.buf, got, err)
		}
	})
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{"": false, "gzip": true, "br, GZIP": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.5": true, "xgzip": false} {
		if got := acceptsGzip(strings.Split(header, "|")); got != want {
			t.Errorf("acceptsGzip(%q) = %v", header, got)
		}
	}
}
