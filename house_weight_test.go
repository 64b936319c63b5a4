package weir_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stubs is where the modules stand that are replaced by the few names that are asked of them.
const stubs = "./internal/stub/"

// heavy are import paths that Prometheus' database names and that weir is not linked with:
// sign-in to clouds, Kubernetes, discovery, helpers of tests, metrics that nobody reads. What
// is named all the same is replaced below stubs. They made the binary twice as big, and a
// weir that does nothing take half as much memory again.
var heavy = []string{
	"cloud.google.com/", "github.com/Azure/", "github.com/AzureAD/", "github.com/aws/", "github.com/davecgh/", "github.com/gogo/", "github.com/google/go-cmp/",
	"github.com/googleapis/", "github.com/mwitkow/", "github.com/prometheus/client_golang/", "github.com/prometheus/client_model/",
	"github.com/prometheus/procfs", "github.com/prometheus/sigv4", "github.com/stretchr/", "go.opentelemetry.io/", "go.yaml.in/", "golang.org/x/oauth2",
	"google.golang.org/", "gopkg.in/", "k8s.io/", "sigs.k8s.io/",
}

// TestWeight looks at what the command is linked with.
func TestWeight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{with .Replace}}{{.Path}}{{end}}{{end}}", "./cmd/weir").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		for _, problem := range tooHeavy(line) {
			t.Error(problem)
		}
	}
}

// tooHeavy says what is wrong with a package and what replaces its module.
func tooHeavy(line string) (problems []string) {
	path, replaced, _ := strings.Cut(line, " ")
	if strings.HasPrefix(replaced, stubs) {
		return nil
	}
	for _, prefix := range heavy {
		if strings.HasPrefix(path, prefix) {
			problems = append(problems, fmt.Sprintf("the command is linked with %s: replace it below %s, or say in heavy why not", path, stubs))
		}
	}
	return problems
}

// TestTooHeavy has that bite.
func TestTooHeavy(t *testing.T) {
	for line, want := range map[string]int{
		"github.com/aws/aws-sdk-go-v2/aws ":                                           1,
		"k8s.io/client-go/rest ":                                                      1,
		"k8s.io/client-go/rest ./internal/stub/clientgo":                              0,
		"k8s.io/client-go/rest ../fork":                                               1,
		"github.com/prometheus/prometheus/tsdb ":                                      0,
		"github.com/weirlog/weir/internal/tsdb ":                                      0,
		"google.golang.org/grpc ":                                                     1,
		"github.com/prometheus/client_golang/prometheus ./internal/stub/clientgolang": 0,
	} {
		if got := tooHeavy(line); len(got) != want {
			t.Errorf("%s: %q; want %d", line, got, want)
		}
	}
}

var replacement = regexp.MustCompile(`(?m)^\s*(?:replace )?(\S+) => (\S*/internal/stub/\S+)$`)

// TestStubs holds the folder of stubs against go.mod: each is named there, each says which
// module it stands for, and the bench's module, which replacements do not reach, has the same.
func TestStubs(t *testing.T) {
	mine, benchs := replaced(t, "go.mod"), replaced(t, "bench/go.mod")
	if !maps.Equal(mine, benchs) {
		t.Errorf("go.mod replaces %v\nbench/go.mod replaces %v; want the same", mine, benchs)
	}
	folders, err := filepath.Glob(stubs + "*")
	if err != nil || len(folders) == 0 {
		t.Fatal("no stubs: ", err)
	}
	used := slices.Collect(maps.Values(mine))
	for _, folder := range folders {
		if !slices.Contains(used, filepath.Base(folder)) {
			t.Errorf("%s: nothing is replaced by it", folder)
		}
	}
	for path, folder := range mine {
		text, err := os.ReadFile(filepath.Join(stubs, folder, "go.mod"))
		if err != nil || !strings.HasPrefix(string(text), "module "+path+"\n") {
			t.Errorf("%s%s/go.mod: it stands for %s and does not say so (%v)", stubs, folder, path, err)
		}
	}
}

// replaced returns which folders of stubs stand for which modules.
func replaced(t *testing.T, gomod string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(gomod)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range replacement.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = filepath.Base(m[2])
	}
	return all
}
