package docker

import (
	"path"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/source/docker/stats"
)

// Config says which containers of which engine are followed, and how.
type Config struct {
	// Host is the engine's endpoint: unix:///path, tcp://address:port, http://… or
	// https://…. Default: DOCKER_HOST, else unix:///var/run/docker.sock.
	Host string `yaml:"host"`
	// TLS is for engines that listen on tcp:// with certificates.
	TLS TLS `yaml:"tls"`
	// Include are patterns of the names of containers to follow; * stands for any text. A
	// container's label weir.enable=true includes it, weir.enable=false excludes it,
	// whatever is said here. Default: ["*"].
	Include []string `yaml:"include"`
	// Exclude are patterns of names not to follow, even if included.
	Exclude []string `yaml:"exclude"`
	// IncludeLabels, if any are given, limits the containers to those with one of these
	// labels: "name", or "name=pattern".
	IncludeLabels []string `yaml:"include_labels"`
	// ExcludeLabels leaves out containers with one of these labels.
	ExcludeLabels []string `yaml:"exclude_labels"`
	// IncludeImages, if any are given, limits the containers to those of images that fit
	// one of these patterns, as in "nginx:*".
	IncludeImages []string `yaml:"include_images"`
	// ExcludeImages leaves out containers of images that fit.
	ExcludeImages []string `yaml:"exclude_images"`
	// Labels are added to the streams of all containers. Labels of a container that begin
	// with weir.labels. are added to its stream too: weir.labels.team=shop makes team=shop.
	// Its label weir.name takes the place of its name, for patterns and streams alike.
	Labels map[string]string `yaml:"labels"`
	// Start is how much is read of a container that exists when weir runs for the first
	// time: beginning, end, or a time back such as 10m. A container's label weir.start says
	// it for that one. What appears later is read whole. Default: 60s.
	Start string `yaml:"start"`
	// Read is how logs are read: file reads json-file logs from the disk, api asks the
	// engine, auto takes the file where it can be read. Default: auto.
	Read Read `yaml:"read"`
	// Root is where the engine's data folder (/var/lib/docker as a rule) is seen from weir,
	// if that is another place, as /host/var/lib/docker.
	Root string `yaml:"root"`
	// Reconcile is how often the list of containers is compared with what is followed,
	// beside the engine's events. Default: 30s.
	Reconcile time.Duration `yaml:"reconcile"`
	// Events writes what happens to the containers (start, die with its exit code, oom,
	// health, …) as records of a stream with the label log="events" (docs/containers.md).
	// Default: false.
	Events bool `yaml:"events"`
	// StatsInterval is how often containers are measured: processor, memory, network, disk,
	// processes (docs/containers.md). 0 measures nothing. Default: METRICS_COLLECTION_INTERVAL
	// in seconds, else 20s.
	StatsInterval time.Duration `yaml:"stats_interval"`
	// StatsRead is where the numbers come from: file reads the kernel's files, api asks the
	// engine, auto takes the files where they can be read and are certainly the container's.
	// Default: auto.
	StatsRead stats.Read `yaml:"stats_read"`
	// StatsRoot is where the file system of the engine's machine, with its proc and
	// sys/fs/cgroup, is seen from weir, if that is another place, as /host.
	StatsRoot string `yaml:"stats_root"`
	// StatsRetention is how long the heartbeat and the start time of a container that is gone
	// stay, so that an alert on the heartbeat's age fires. Default: 1h.
	StatsRetention time.Duration `yaml:"stats_retention"`
	// LastMetricsFile is a file whose content becomes the time of the last measurement, in
	// whole Unix seconds, for those who watch its age. It is not written while containers
	// cannot be measured. Its directory must exist and let weir write. Default:
	// LAST_METRICS_COLLECTED_AT_FILE, else none.
	LastMetricsFile string `yaml:"last_metrics_file"`
	// LastLogsFile is the same for the logs: every 5 s, while the engine answers. Default:
	// LAST_LOGS_COLLECTED_AT_FILE, else none.
	LastLogsFile string `yaml:"last_logs_file"`
}

// TLS is the certificates for an engine.
type TLS struct {
	// CertDir is a folder with ca.pem, cert.pem and key.pem. Default: DOCKER_CERT_PATH.
	CertDir string `yaml:"cert_dir"`
	// Verify checks the engine's certificate. Default: true.
	Verify bool `yaml:"verify"`
}

// Read is a way to read logs.
type Read string

// The ways to read logs.
const (
	ReadAuto Read = "auto"
	ReadFile Read = "file"
	ReadAPI  Read = "api"
)

// Values lists the ways, for the configuration.
func (Read) Values() []string { return []string{string(ReadAuto), string(ReadFile), string(ReadAPI)} }

// Default returns a configuration that follows all containers of this machine.
func Default() Config {
	return Config{
		TLS:       TLS{Verify: true},
		Include:   []string{"*"},
		Start:     "60s",
		Read:      ReadAuto,
		Reconcile: 30 * time.Second,

		StatsInterval: 20 * time.Second, StatsRead: stats.ReadAuto, StatsRetention: time.Hour,
	}
}

// Validate reports every problem of the configuration.
func (c Config) Validate() error {
	var problems []error
	bad := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if c.Host != "" {
		if err := dockerapi.CheckHost(c.Host); err != nil {
			bad("host", err.Error())
		}
	}
	if len(c.Include) == 0 {
		bad("include", `give at least one pattern; "*" is all containers`)
	}
	for _, list := range []struct {
		key      string
		patterns []string
	}{
		{"include", c.Include}, {"exclude", c.Exclude}, {"include_labels", c.IncludeLabels}, {"exclude_labels", c.ExcludeLabels},
		{"include_images", c.IncludeImages}, {"exclude_images", c.ExcludeImages},
	} {
		for _, p := range list.patterns {
			if strings.TrimSpace(p) == "" {
				bad(list.key, "a pattern is empty")
			}
		}
	}
	if _, _, err := parseStart(c.Start); err != nil {
		bad("start", `write "beginning", "end", or a time back such as 10m`)
	}
	if c.Root != "" && !path.IsAbs(c.Root) {
		bad("root", "give an absolute path, as /host/var/lib/docker")
	}
	if c.Reconcile < time.Second {
		bad("reconcile", "at least 1s")
	}
	switch {
	case c.StatsInterval != 0 && c.StatsInterval < time.Second:
		bad("stats_interval", "at least 1s, or 0 to measure nothing")
	case c.StatsInterval != 0 && c.StatsRetention < c.StatsInterval:
		bad("stats_retention", "at least stats_interval")
	}
	if c.StatsRoot != "" && !path.IsAbs(c.StatsRoot) {
		bad("stats_root", "give an absolute path, as /host")
	}
	for _, f := range []struct{ key, path string }{{"last_metrics_file", c.LastMetricsFile}, {"last_logs_file", c.LastLogsFile}} {
		if f.path != "" && !path.IsAbs(f.path) {
			bad(f.key, "give an absolute path, as /run/weir/last")
		}
	}
	if c.LastMetricsFile != "" && c.LastMetricsFile == c.LastLogsFile {
		bad("last_logs_file", "it is the same as last_metrics_file")
	}
	for name := range c.Labels {
		if name != labelName(name) {
			bad("labels", `a label's name has letters, digits and _ alone: "`+name+`"`)
		}
	}
	return config.Join(problems...)
}

// parseStart returns how far back reading begins, or that it begins with the beginning.
func parseStart(s string) (back time.Duration, beginning bool, err error) {
	switch s {
	case "beginning":
		return 0, true, nil
	case "end":
		return 0, false, nil
	}
	back, err = config.ParseDuration(s)
	return back, false, err
}
