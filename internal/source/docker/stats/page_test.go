package stats

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/metric"
)

// TestPage compares the families with docs/containers.md: each is there with its type, and
// there is no other but for those of the logs, which are not this package's.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/containers.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (gauge|counter) \\|").FindAllStringSubmatch(string(page), -1) {
		told[row[1]] = row[2]
	}
	f, err := newFamilies(metric.New())
	if err != nil {
		t.Fatal(err)
	}
	all := []*metric.Family{f.up, f.started, f.state, f.health, f.collector.Family()}
	for _, more := range [][]*metric.Family{f.ours, f.facts, f.advised, f.traffic, f.disk} {
		all = append(all, more...)
	}
	there := map[string]bool{}
	for _, f := range all {
		d := f.Desc()
		there[d.Name] = true
		if told[d.Name] != d.Kind.String() {
			t.Errorf("%s is a %s, the page says %q", d.Name, d.Kind, told[d.Name])
		}
		if d.Help == "" {
			t.Errorf("%s has no help", d.Name)
		}
	}
	for name := range told {
		if logs := strings.HasPrefix(name, "container_logs_"); !logs && !there[name] {
			t.Errorf("the page has %s, which is not there", name)
		}
	}
}
