package main

import (
	"strings"
	"testing"
)

// TestRequirement requires releases alone, since others cannot be fetched.
func TestRequirement(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "require github.com/weirlog/weir v1.2.3\n", "1.2.3": "require github.com/weirlog/weir v1.2.3\n",
		"v1.2.3-rc.1": "require github.com/weirlog/weir v1.2.3-rc.1\n",
		"devel":       "", "": "", "v0.0.0-20261122045346-7dc63cf00000": "", "v1.2.4-0.20261122045346-7dc63cf00000": "",
		"v1.2.3+dirty": "", "v0.0.0-20261122045346-7dc63cf00000+dirty": "",
	} {
		require, command := requirement(version)
		switch {
		case want != "" && (require != want || command != ""):
			t.Errorf("%q: %q, after %q", version, require, command)
		case want == "" && (strings.Contains(require, "require github") || !strings.Contains(require, command) || !strings.Contains(command, "go mod edit -replace github.com/weirlog/weir=")):
			t.Errorf("%q: %q, after %q", version, require, command)
		}
	}
}
