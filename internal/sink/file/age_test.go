package file

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/deliver"
)

// TestMaxAge removes rotated files that are old, and nothing that a crash would need.
func TestMaxAge(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 14, MaxFiles: 9, MaxAge: time.Hour}, newStates())
	if err := errors.Join(s.Write(t.Context(), batch(1, 9)), s.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	names := func() (all []string) {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "shop", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			all = append(all, filepath.Base(name))
		}
		return all
	}
	age := func(name string, d time.Duration) {
		t.Helper()
		at := time.Now().Add(-d)
		if err := os.Chtimes(filepath.Join(dir, "shop", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want ...string) {
		t.Helper()
		s.looked = time.Time{}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("there are %q; want %q", got, want)
		}
	}
	has("shop.log", "shop.log.1", "shop.log.2", "shop.log.3", "shop.log.4")
	if err := os.WriteFile(filepath.Join(dir, "shop", "shop.log.x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.log.1", "shop.log.3", "shop.log.4", "shop.log.x"} {
		age(name, 2*time.Hour)
	}
	has("shop.log", "shop.log.1", "shop.log.2", "shop.log.x") // .1 may be what the cursor means
	age("shop.log", 2*time.Hour)
	has("shop.log", "shop.log.2", "shop.log.x")
	if err := (Config{Dir: "x", Selection: deliver.SelectAll(), MaxAge: time.Second}).Validate(); err == nil {
		t.Error("a second passes")
	}
}
