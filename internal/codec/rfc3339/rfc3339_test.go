package rfc3339_test

import (
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/rfc3339"
)

func TestParse(t *testing.T) {
	bad := func(in string) {
		t.Helper()
		if ns, ok := rfc3339.Parse([]byte(in)); ok {
			t.Errorf("Parse(%q) = %d", in, ns)
		}
	}
	bad("")
	bad("2026-11-20")
	bad("2026-11-20T18:07:46")
	bad("2026-11-20 18:07:46Z")
	bad("2026-11-20T18:07:46.Z")
	bad("2026-11-20T18:07:46z")
	bad("2026-11-20T18:07:46ZZ")
	bad("2026-00-20T18:07:46Z")
	bad("2026-13-20T18:07:46Z")
	bad("2026-11-31T18:07:46Z")
	bad("2026-02-29T18:07:46Z")
	bad("2100-02-29T18:07:46Z")
	bad("2026-11-20T24:07:46Z")
	bad("2026-11-20T18:60:46Z")
	bad("2026-11-20T18:07:60Z")
	bad("2026-11-20T18:07:46+1:00")
	bad("2026-11-20T18:07:46+24:00")
	bad("2026-11-20T18:07:46+01:60")
	bad("2026-11-2/T18:07:46Z")

	good := func(in string) {
		t.Helper()
		want, err := time.Parse(time.RFC3339Nano, in)
		if ns, ok := rfc3339.Parse([]byte(in)); err != nil || !ok || ns != want.UnixNano() {
			t.Errorf("Parse(%q) = %d, %v; want %d, %v", in, ns, ok, want.UnixNano(), err)
		}
	}
	good("1970-01-01T00:00:00Z")
	good("2024-02-29T23:59:59.999999999Z")
	good("2000-02-29T00:00:00.5-12:30")
	good("2026-11-20T18:07:46.1234567891234567891234567890Z")
	good("1678-01-01T00:00:00Z")
	good("2261-12-31T23:59:59+00:00")
	if ns, ok := rfc3339.Parse([]byte("0001-01-01T00:00:00Z")); ns != 0 || !ok {
		t.Errorf("the zero time is %d, %v", ns, ok)
	}
}

// FuzzParse compares with package time.
func FuzzParse(f *testing.F) {
	f.Add("2026-11-20T18:07:46.11701285Z")
	f.Add("2024-02-29T23:59:59+01:00")
	f.Add("0000-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, in string) {
		ns, ok := rfc3339.Parse([]byte(in))
		want, err := time.Parse(time.RFC3339Nano, in)
		if !ok {
			return // time.Parse takes more, such as hours of one digit and commas
		}
		if err != nil {
			t.Fatalf("Parse(%q) = %d; package time says %v", in, ns, err)
		}
		if y := want.UTC().Year(); y < 1679 || y > 2260 {
			return
		}
		if ns != want.UnixNano() {
			t.Errorf("Parse(%q) = %d; want %d", in, ns, want.UnixNano())
		}
	})
}

// TestDays goes through every day of the range, at a different time each.
func TestDays(t *testing.T) {
	for at := time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2262; at = at.Add(24*time.Hour + 1234567) {
		text := at.Format(time.RFC3339Nano)
		if ns, ok := rfc3339.Parse([]byte(text)); !ok || ns != at.UnixNano() {
			t.Fatalf("Parse(%q) = %d, %v; want %d", text, ns, ok, at.UnixNano())
		}
	}
}

func BenchmarkParse(b *testing.B) {
	in := []byte("2026-11-20T18:07:46.11701285Z")
	for b.Loop() {
		if _, ok := rfc3339.Parse(in); !ok {
			b.Fatal("not a time")
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	in := []byte("2026-11-20T18:07:46.11701285Z")
	if n := testing.AllocsPerRun(100, func() { _, _ = rfc3339.Parse(in) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
