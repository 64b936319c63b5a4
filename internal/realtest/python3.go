package realtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Python returns the path of a Python 3 that has the modules, or skips the test. Debian's own
// is asked first: that is the one that Debian's packages are for.
func Python(t testing.TB, modules ...string) string {
	t.Helper()
	program := "import sys"
	for _, module := range modules {
		program += ", " + module
	}
	program += "; print('.'.join(map(str, sys.version_info[:3])))"
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if out, err := exec.Command(path, "-c", program).Output(); err == nil {
			Used(t, strings.Join(append([]string{"python " + strings.TrimSpace(string(out))}, modules...), " with "))
			return path
		}
	}
	packages := "python3"
	for _, module := range modules {
		packages += " python3-" + module
	}
	Skip(t, strings.TrimPrefix(packages, "python3 "), "not installed (Debian: apt-get install "+packages+")")
	return ""
}
