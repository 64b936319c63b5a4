package file

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/logfile"
)

// Config says which files are followed, and how.
type Config struct {
	// Paths are the files to follow, as patterns: * and ? stand for any text and any one
	// letter within a name, [a-z] for a letter of a set, ** for any number of folders. Files
	// that appear later are found. A file that was rotated away (access.log.1, also with .gz
	// or a date) belongs to the log it comes from, if that fits a pattern too. What is in
	// data_dir, or in the directory of a file sink, is left out.
	Paths []string `yaml:"paths"`
	// Exclude are patterns of files not to follow. One without a slash is for names in any
	// folder.
	Exclude []string `yaml:"exclude"`
	// Format is what a line is: raw, docker (of Docker's json-file driver), cri (of a
	// container runtime for Kubernetes), or auto, which decides by the first lines of each
	// file. Default: auto.
	Format string `yaml:"format"`
	// Start is how much is read of a file that exists when weir runs for the first time:
	// beginning, end, or a time back such as 10m, for which the lines must contain times;
	// where they do not it is as end. Files that appear later are read whole. Default: 60s.
	Start string `yaml:"start"`
	// Labels are added to the streams of all files, beside filename and source.
	Labels map[string]string `yaml:"labels"`
	// Poll looks at the files in this period, instead of waiting to be told of changes.
	// Default: 0, which polls (every 250ms) only where the file system does not tell.
	Poll time.Duration `yaml:"poll"`
	// MaxLine is where longer lines are cut. Default: 1MiB.
	MaxLine config.Bytes `yaml:"max_line"`
}

// Default returns the settings of a source that says nothing.
func Default() Config {
	return Config{Format: "auto", Start: "60s", MaxLine: logfile.DefaultMaxLineBytes}
}

// Bounds of settings.
const (
	minLine = 1 << 10
	maxLine = 64 << 20
	minPoll = 10 * time.Millisecond
)

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	var problems []error
	add := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if len(c.Paths) == 0 {
		add("paths", "give at least one pattern")
	}
	for i, p := range c.Paths {
		if message := checkPattern(p); message != "" {
			add(fmt.Sprintf("paths[%d]", i), message)
		}
	}
	for i, p := range c.Exclude {
		if message := checkPattern(p); message != "" {
			add(fmt.Sprintf("exclude[%d]", i), message)
		}
	}
	if _, ok := logfile.ParseFormat(c.Format); !ok {
		add("format", fmt.Sprintf("%q is not a format: use auto, raw, docker or cri", c.Format))
	}
	if _, err := parseStart(c.Start); err != nil {
		add("start", fmt.Sprintf("%q: use beginning, end, or a time such as 10m", c.Start))
	}
	if c.Poll != 0 && c.Poll < minPoll {
		add("poll", "use 0, or at least "+minPoll.String())
	}
	if c.MaxLine < minLine || c.MaxLine > maxLine {
		add("max_line", "use a size from 1KiB to 64MiB")
	}
	return config.Join(problems...)
}

func checkPattern(p string) string {
	switch _, err := filepath.Match(p, ""); {
	case p == "":
		return "the pattern is empty"
	case err != nil:
		return fmt.Sprintf("%q: a [ without its ]", p)
	}
	return ""
}

// start is a parsed Config.Start.
type start struct {
	end  bool
	back time.Duration // 0: the beginning, unless end
}

func parseStart(s string) (start, error) {
	switch s {
	case "beginning":
		return start{}, nil
	case "end":
		return start{end: true}, nil
	}
	d, err := config.ParseDuration(s)
	if err != nil {
		return start{}, err
	}
	if d <= 0 {
		return start{end: true}, nil
	}
	return start{back: d}, nil
}
