package crawl_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// TestAPI notices every change of what the package exports, its comments included. A change
// that is meant is taken with WEIR_UPDATE=1, and goes into the changelog.
func TestAPI(t *testing.T) {
	for pkg, golden := range map[string]string{".": "testdata/api.txt"} {
		got, err := exec.Command("go", "doc", "-all", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("WEIR_UPDATE") == "1" {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what go doc -all %s prints; if that is meant, run this test with WEIR_UPDATE=1", golden, pkg)
		}
	}
}
