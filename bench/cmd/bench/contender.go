package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/weirlog/weir/bench/dataset"
)

//go:embed programs
var programs embed.FS

// contender is one way to count the statuses of a data set.
type contender struct {
	// name is what the table shows.
	name string
	// skip says why it cannot run here; empty when it can.
	skip string
	// command starts it on set as a process of its own.
	command func(ctx context.Context, set dataset.Set) (*exec.Cmd, error)
	// counts reads the counts from what it printed. Nil: it does not count statuses, and
	// note says what its output is instead.
	counts func(out []byte) (map[string]int, error)
	// note is the text for the counts of a contender without them.
	note func(out []byte) string
}

// contenders returns all ways to count, weir first.
func (b *bench) contenders() []contender {
	return []contender{
		b.weirContender(),
		b.peerContender("hand-written scan in Go, this format only", "scan"),
		b.peerContender("Go `encoding/json` + `regexp`", "regexp"),
		b.pythonContender(),
		b.mtailContender(),
		grepContender(),
	}
}

// build makes the binaries that are ours.
func (b *bench) build(ctx context.Context) error {
	b.peer = filepath.Join(b.data, "peer")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.peer, "./cmd/peer").CombinedOutput(); err != nil {
		return fmt.Errorf("build the peers (bench runs in its own folder): %w: %s", err, out)
	}
	if b.weir != "" {
		return nil
	}
	b.say("building weir")
	b.weir = filepath.Join(b.data, "weir")
	args := []string{"build", "-trimpath", "-o", b.weir}
	if b.profile != "" { // a profile says nothing of the one before
		args = append(args, "-tags", "profile", "-pgo=off")
	}
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/weir")...)
	build.Dir = b.root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build weir: %w: %s", err, out)
	}
	return nil
}

// weirContender is weir itself, reading every file once.
func (b *bench) weirContender() contender {
	return contender{
		name: "**weir**, the regex as users write it",
		command: func(ctx context.Context, set dataset.Set) (*exec.Cmd, error) {
			config, err := b.weirConfig(filepath.Join(set.Dir, "access-*.log"), "127.0.0.1:0", "keep: none")
			if err != nil {
				return nil, err
			}
			return exec.CommandContext(ctx, b.weir, "run", "--once", "--metrics", "-", "--config", config), nil
		},
		counts: expositionCounts,
	}
}

// weirConfig writes a configuration with a data folder of its own, state beside it, and
// returns its path. The rest is what follows of its only rule, and of the configuration.
func (b *bench) weirConfig(paths, listen, rest string) (string, error) {
	dir, err := os.MkdirTemp(b.scratch, "weir-")
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf(`data_dir: %s
http: {listen: "%s"}
sources:
  access: {type: file, paths: ["%s"], format: auto, start: beginning}
rules:
  - match: '{source="access"}'
    parse: {regex: '%s'}
    count: [{name: nginx.status_count, by: [status]}]
    %s
`, filepath.Join(dir, "state"), listen, paths, dataset.Pattern, rest)
	path := filepath.Join(dir, "weir.yaml")
	return path, os.WriteFile(path, []byte(config), 0o644)
}

// peerContender is one of the peers written here.
func (b *bench) peerContender(name, way string) contender {
	return contender{
		name: name,
		command: func(ctx context.Context, set dataset.Set) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, b.peer, append([]string{way}, set.Paths...)...), nil
		},
		counts: jsonCounts,
	}
}

// pythonContender is what the nginx tailer does, less its waiting for lines.
func (b *bench) pythonContender() contender {
	c := contender{name: "Python 3, `json.loads` + `re.match`", counts: jsonCounts}
	python, err := exec.LookPath("python3")
	if err != nil {
		c.skip = "no python3"
	}
	c.command = func(ctx context.Context, set dataset.Set) (*exec.Cmd, error) {
		script, err := b.program("count.py")
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, python, append([]string{script, dataset.Pattern}, set.Paths...)...), nil
	}
	return c
}

// mtailContender is Google's mtail, as Debian packages it.
func (b *bench) mtailContender() contender {
	c := contender{name: "mtail", counts: expositionCounts}
	mtail, err := exec.LookPath("mtail")
	if err != nil {
		c.skip = "no mtail (Debian: `apt-get install mtail`)"
	} else {
		c.name += " " + version(mtail, "--version")
	}
	c.command = func(ctx context.Context, set dataset.Set) (*exec.Cmd, error) {
		program, err := b.program("nginx.mtail")
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, mtail, "--one_shot", "--one_shot_format", "prometheus", "--logtostderr",
			"--progs", program, "--logs", filepath.Join(set.Dir, "access-*.log")), nil
	}
	return c
}

// grepContender is the least that reads every byte: it finds a literal.
func grepContender() contender {
	const literal = `\" 200 `
	c := contender{name: "`grep -cF '" + literal + "'`, one literal"}
	grep, err := exec.LookPath("grep")
	if err != nil {
		c.skip = "no grep"
	}
	c.command = func(ctx context.Context, set dataset.Set) (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, grep, append([]string{"-hcF", "--", literal}, set.Paths...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		return cmd, nil
	}
	c.note = func(out []byte) string { return "one status, odd lines too" }
	return c
}

// program puts one of the embedded programs where others can read it.
func (b *bench) program(name string) (string, error) {
	text, err := programs.ReadFile("programs/" + name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.scratch, name)
	return path, os.WriteFile(path, text, 0o644)
}

// version returns the first word with a digit in what a program says about itself.
func version(program, argument string) string {
	out, err := exec.Command(program, argument).CombinedOutput()
	if err != nil {
		return ""
	}
	return string(regexp.MustCompile(`[0-9][\w.~+-]*`).Find(out))
}

// jsonCounts reads {"200": 17}.
func jsonCounts(out []byte) (map[string]int, error) {
	counts := map[string]int{}
	err := json.Unmarshal(out, &counts)
	return counts, err
}

// expositionCounts reads the counter nginx_status_count of a Prometheus exposition.
func expositionCounts(out []byte) (map[string]int, error) {
	series := regexp.MustCompile(`(?m)^nginx_status_count(?:_total)?\{(?:[^}\n]*,)?status="(\d+)"[^}\n]*\} (\S+)`)
	counts := map[string]int{}
	for _, m := range series.FindAllSubmatch(out, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", m[0], err)
		}
		counts[string(m[1])] += int(v)
	}
	return counts, nil
}
