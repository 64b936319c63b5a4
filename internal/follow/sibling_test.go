package follow

import (
	"slices"
	"testing"
)

func TestRotated(t *testing.T) {
	good := func(path, log string) {
		t.Helper()
		if got, ok := Rotated(path); !ok || got != log {
			t.Errorf("Rotated(%s) = %q, %v; want %q", path, got, ok, log)
		}
	}
	good("/var/log/access.log.1", "/var/log/access.log")
	good("access.log.12.gz", "access.log")
	good("access.log.old", "access.log")
	good("access.log-20261120", "access.log")
	good("access.log-20261120.gz", "access.log")
	good("access.log-20261120-1", "access.log")
	good("access.log-2026112007", "access.log")
	good("access.log-1795198066", "access.log")
	good("access.log.2026-11-20", "access.log")
	good("access.log.2026-11-20_18-07", "access.log")
	good("access.log.2026-11-20T18:07:46Z", "access.log")
	good("access-20261120.log", "access.log")
	good("access-2026-11-20T18-07-46.117.log.gz", "access.log")
	good("web-2-20261120.log", "web-2.log")
	good("0.log.20261120-180746", "0.log")
	bad := func(path string) {
		t.Helper()
		if got, ok := Rotated(path); ok {
			t.Errorf("Rotated(%s) = %q", path, got)
		}
	}
	bad("access.log")
	bad("access.log.gz")
	bad("access.log.0")
	bad("access.log.01")
	bad("access.log.1000000")
	bad("app-1.log")
	bad("app-12345678.log")
	bad("10.0.0.1-error")
	bad("host-192168001001.log")
	bad("/.1")
	bad("20261120")
	bad("1")
}

func TestCompareNatural(t *testing.T) {
	sorted := []string{"0.log", "9.log", "10.log", "a", "a-20261120", "a-20261120-1", "a-20261120-10", "a-20261121", "a2", "a10", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := compareNatural(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compareNatural(%q, %q) = %d", a, b, got)
			}
		}
	}
	if a, b := shape("app-2026.1.log"), shape("app-7.22.log"); a != b {
		t.Errorf("shapes %q and %q", a, b)
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a.log", "a.log.1", "a-20261120.log.gz", "a.log.2026-11-20", "..", "", "7"} {
		f.Add(s, "a.log.2")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if log, ok := Rotated(a); ok && len(log) >= len(a) {
			t.Fatalf("%q is rotated from %q", a, log)
		}
		suffixOf(a, b)
		names := []string{a, b, "a.log.10"}
		slices.SortFunc(names, compareNatural)
		if compareNatural(a, b) != -compareNatural(b, a) {
			t.Fatalf("the order of %q and %q is not one", a, b)
		}
	})
}
