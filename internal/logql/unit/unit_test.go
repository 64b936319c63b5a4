package unit_test

import (
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql/unit"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond,
		"1d": 24 * time.Hour, "1w2d": 9 * 24 * time.Hour, "1y": 365 * 24 * time.Hour, "3us4µs5μs6ns": 12006, "0s": 0,
	} {
		if d, err := unit.ParseDuration(text); err != nil || d != want {
			t.Errorf("ParseDuration(%s) = %v, %v; want %v", text, d, err, want)
		}
	}
	for _, text := range []string{"", "5", "m", "5x", "5mm", "-5m", ".m", "1.2.3s", "300y", "1 m"} {
		if d, err := unit.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%s) = %v", text, d)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", 7 * 24 * time.Hour: "1w", 8 * 24 * time.Hour: "8d", -time.Hour: "-1h", 1: "1ns", 1_001_001: "1ms1us1ns",
	} {
		if got := unit.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %s; want %s", d, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]uint64{
		"5": 5, "5B": 5, "5KB": 5000, "5kb": 5000, "5KiB": 5120, "1.5 MiB": 3 << 19, "3k": 3000, "1G": 1e9, "1,000": 1000, "2TiB": 2 << 40, "1PB": 1e15, "1EiB": 1 << 60, "5Ki": 5120,
	} {
		if n, err := unit.ParseBytes(text); err != nil || n != want {
			t.Errorf("ParseBytes(%s) = %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "B", "-5", "5X", "5KBB", "5i", "5ib", "99EB", "1.2.3", "5 K B"} {
		if n, err := unit.ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%s) = %d", text, n)
		}
	}
}

func FuzzUnits(f *testing.F) {
	f.Add("1h30m")
	f.Add("1.5KiB")
	f.Add("9223372036854775807ns")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = unit.ParseBytes(text)
		d, err := unit.ParseDuration(text)
		if err != nil {
			return
		}
		if again, err := unit.ParseDuration(unit.FormatDuration(d)); err != nil || again != d || d < 0 {
			t.Fatalf("%q is %d, and %s is %d, %v", text, d, unit.FormatDuration(d), again, err)
		}
	})
}
