package docker

import (
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
)

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	bad := func(want string, change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want a problem with %s: %v", want, err)
		}
	}
	bad("host: ", func(c *Config) { c.Host = "npipe:////./pipe/docker" })
	bad("include: ", func(c *Config) { c.Include = nil })
	bad("exclude_images: ", func(c *Config) { c.ExcludeImages = []string{" "} })
	bad("start: ", func(c *Config) { c.Start = "yesterday" })
	bad("root: ", func(c *Config) { c.Root = "var/lib/docker" })
	bad("reconcile: ", func(c *Config) { c.Reconcile = time.Millisecond })
	bad("stats_interval: ", func(c *Config) { c.StatsInterval = time.Millisecond })
	bad("stats_retention: ", func(c *Config) { c.StatsRetention = time.Second })
	bad("stats_root: ", func(c *Config) { c.StatsRoot = "host" })
	bad("labels: ", func(c *Config) { c.Labels = map[string]string{"a-b": "c"} })
}

func TestWanted(t *testing.T) {
	c := Default()
	c.Include, c.Exclude = []string{"web*", "db"}, []string{"*-test"}
	c.ExcludeImages, c.ExcludeLabels = []string{"bad:*"}, []string{"hidden", "stage=de*"}
	check := func(name, image, label, value string, want bool) {
		t.Helper()
		d := dockerapi.Details{Name: name, Image: image, Labels: map[string]string{label: value}}
		if c.wanted(&d) != want {
			t.Errorf("%s of %s with %s=%s: %v", name, image, label, value, !want)
		}
	}
	check("web-1", "nginx:1", "", "", true)
	check("db", "nginx:1", "", "", true)
	check("db2", "nginx:1", "", "", false)
	check("web-test", "nginx:1", "", "", false)
	check("web-1", "bad:2", "", "", false)
	check("web-1", "nginx:1", "hidden", "", false)
	check("web-1", "nginx:1", "stage", "dev", false)
	check("web-1", "nginx:1", "stage", "prod", true)
	check("web-1", "nginx:1", settingEnable, "false", false)
	check("other", "bad:2", settingEnable, "true", true)
	check("other", "bad:2", settingName, "web", false)
	check("other", "ok", settingName, "web", true)
	c.IncludeLabels, c.IncludeImages = []string{"team"}, []string{"nginx:*"}
	check("web-1", "nginx:1", "team", "shop", true)
	check("web-1", "nginx:1", "", "", false)
	check("web-1", "redis:1", "team", "shop", false)
}

func TestPatterns(t *testing.T) {
	check := func(pattern, text string, want bool) {
		t.Helper()
		if matchPattern(pattern, text) != want {
			t.Errorf("%q of %q: %v", text, pattern, !want)
		}
	}
	check("*", "", true)
	check("a", "a", true)
	check("a", "ab", false)
	check("a*", "ab", true)
	check("*b", "ab", true)
	check("a*b*c", "a-b-b-c", true)
	check("a*b*c", "acb", false)
	check("*aa", "aaa", true)
	check("a*a", "a", false)
	check("**", "x", true)
}

func TestStream(t *testing.T) {
	c := Default()
	c.Labels = map[string]string{"site": "a", "container": "not this"}
	id := strings.Repeat("ab", 32)
	check := func(name string, labels map[string]string, wantID, wantLabels string) {
		t.Helper()
		s := c.stream("docker", &dockerapi.Details{ID: id, Name: name, Image: "nginx:1", Labels: labels})
		if s.ID != wantID || s.Labels.String() != wantLabels || s.Source != "docker" {
			t.Errorf("%s: %s %s, want %s %s", name, s.ID, s.Labels, wantID, wantLabels)
		}
	}
	check("web", nil, "docker/web", `{container="web", image="nginx:1", site="a"}`)
	check("", nil, "docker/"+id[:12], `{container="`+id[:12]+`", image="nginx:1", site="a"}`)
	check(id[:12]+"_shop-web-2", map[string]string{composeProject: "shop", composeService: "web", composeNumber: "2"},
		"docker/shop-web-2", `{compose_project="shop", compose_service="web", container="shop-web-2", image="nginx:1", site="a"}`)
	check("custom", map[string]string{composeProject: "shop", composeService: "web", composeNumber: "2"},
		"docker/shop-web-2", `{compose_project="shop", compose_service="web", container="custom", image="nginx:1", site="a"}`)
	check("shop-web-run-1", map[string]string{composeProject: "shop", composeService: "web", composeNumber: "1", composeOneOff: "True"},
		"docker/shop-web-run-1", `{compose_project="shop", compose_service="web", container="shop-web-run-1", image="nginx:1", site="a"}`)
	check("x1", map[string]string{settingName: "api", settingLabels + "team-2": "ops", settingLabels: "no"},
		"docker/api", `{container="api", image="nginx:1", site="a", team_2="ops"}`)
}

func TestOwnContainer(t *testing.T) {
	id, other := strings.Repeat("0a", 32), strings.Repeat("1b", 32)
	check := func(mounts, groups, want string) {
		t.Helper()
		if got := findID(mounts, groups); got != want {
			t.Errorf("findID(%q, %q) = %q", mounts, groups, got)
		}
	}
	mount := "610 600 254:0 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n"
	host := "90 23 0:44 / /var/lib/docker/containers/" + other + "/mounts/shm rw - tmpfs shm rw\n"
	check(host+mount, "0::/\n", id)
	check(host, "0::/system.slice/weir.service\n", "")
	check("", "12:memory:/docker/"+id+"\n", id)
	check("", "0::/system.slice/docker-"+id+".scope\n", id)
	check("", "", "")
	if !isSelf(id, id, "") || isSelf(other, id, other[:12]) || !isSelf(id, "", id[:12]) || isSelf(id, "", "web") {
		t.Error("isSelf")
	}
}
