package weir_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependencies holds go.mod against the table of modules, and ARCHITECTURE.md too,
// which names every direct dependency with its reason.
func TestDependencies(t *testing.T) {
	gomod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	architecture, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.]+\.[a-z]+/\S+) v\S+$`)
	for _, m := range direct.FindAllSubmatch(gomod, -1) {
		path := string(m[1])
		if !slices.ContainsFunc(modules, func(m module) bool { return m.path == path }) {
			t.Errorf("go.mod: %s is not in the table of modules: say who owns it and why", path)
		}
		if architecture != nil && !bytes.Contains(architecture, []byte(strings.TrimPrefix(path, "github.com/"))) {
			t.Errorf("ARCHITECTURE.md does not name the dependency %s", path)
		}
	}
}

// TestMakefile keeps the Makefile small and every target explained.
func TestMakefile(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z][a-z-]*):(.*)$`).FindAllStringSubmatch(string(makefile), -1)
	if len(targets) > 10 {
		t.Errorf("%d targets; at most ten", len(targets))
	}
	for _, target := range targets {
		if !strings.Contains(target[2], "## ") {
			t.Errorf("target %s has no line of help", target[1])
		}
	}
}

// machines are the traces that the machine of one author leaves in files for all. The hints
// are what a pattern needs at least, because looking for those is quicker.
var machines = []struct {
	what    string
	pattern *regexp.Regexp
	hints   string
}{
	{"a path of one machine", regexp.MustCompile(`(^|[\s"'=(:])/(work|root|workspace|Users)/[a-zA-Z0-9_.]`), "/work /root/ /Users/"},
	{"somebody's home", regexp.MustCompile(`(^|[\s"'=(])/home/[a-z]`), "/home/"},
	{"a mirror or proxy of one network", regexp.MustCompile(`https?://[a-z0-9.-]*(proxy|mirror|artifactory|nexus|verdaccio)[a-z0-9-]*\.[a-z0-9.-]+[:/]`), "proxy mirror artifactory nexus verdaccio"},
	{"a package registry's setting", regexp.MustCompile(`(GOPROXY|GOSUMDB|npm_config_registry|PIP_INDEX_URL)=`), "GOPROXY= GOSUMDB= npm_config_registry= PIP_INDEX_URL="},
}

// TestNoMachine looks through every text file that is, or is about to be, committed.
func TestNoMachine(t *testing.T) {
	for _, name := range committed(t) {
		// What programs print names their homes, so captured bytes are left alone; and here
		// stand the patterns.
		if strings.Contains(name, "testdata/") || name == "house_text_test.go" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(data[:min(len(data), 8192)], 0) >= 0 {
			continue // deleted, or binary
		}
		for _, m := range machines {
			for _, hint := range strings.Fields(m.hints) {
				for _, at := range places(data, hint) {
					line := lineAt(data, at)
					if m.pattern.Match(line) {
						t.Errorf("%s:%d: %s: %.80s", name, 1+bytes.Count(data[:at], []byte("\n")), m.what, bytes.TrimSpace(line))
					}
				}
			}
		}
	}
}

// places returns where needle stands in data.
func places(data []byte, needle string) (at []int) {
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte(needle))
		if i < 0 {
			return at
		}
		at = append(at, from+i)
		from += i + len(needle)
	}
}

// lineAt returns the line of data that holds the byte at.
func lineAt(data []byte, at int) []byte {
	start := bytes.LastIndexByte(data[:at], '\n') + 1
	if end := bytes.IndexByte(data[at:], '\n'); end >= 0 {
		return data[start : at+end]
	}
	return data[start:]
}

// committed lists the files git knows or would add; without git, all but what is ignored.
func committed(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-co", "--exclude-standard").Output()
	if err == nil {
		return strings.Fields(string(out))
	}
	var names []string
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains([]string{".git", "bin", "tmp", "dist", "node_modules"}, d.Name()) {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
