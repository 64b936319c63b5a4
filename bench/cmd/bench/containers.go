package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/bench/measure"
	"github.com/weirlog/weir/internal/enginetest"
)

// herd is a number of containers that are measured at an interval.
type herd struct {
	size     int
	interval time.Duration
	how      time.Duration // for how long
}

// measured has weir measure the containers of a real engine, and docker stats do it once.
func (b *bench) measured(ctx context.Context) error {
	herds := []herd{{50, 20 * time.Second, time.Minute}, {200, time.Second, time.Minute}}
	if b.quick {
		herds = []herd{{20, time.Second, 5 * time.Second}}
	}
	all := b.measurers(ctx)
	const docker = "`docker stats --no-stream`"
	if !slices.ContainsFunc(all, func(m measurer) bool { return b.wants(m.name) }) && !b.wants(docker) {
		return nil
	}
	why := laboratory(func(t testing.TB) {
		e := enginetest.Start(t)
		if !e.Own {
			t.Skip("the processes of an engine are counted only if the bench may start one")
		}
		running := 0
		for _, h := range herds {
			b.say("starting %d containers", h.size-running)
			for ; running < h.size && ctx.Err() == nil; running++ {
				e.Run(enginetest.Container{Name: "bench-" + strconv.Itoa(running), Cmd: []string{"sleep", "100000"}})
			}
			var ours time.Duration // weir's, with the files
			for i, m := range all {
				if !b.wants(m.name) || ctx.Err() != nil {
					continue
				}
				if cpu := b.herdMeasurer(ctx, e, h, m, ours); i == 0 {
					ours = cpu
				}
			}
			if b.wants(docker) && ctx.Err() == nil {
				b.herdDocker(ctx, e, h, docker)
			}
		}
	})
	if why != "" && ctx.Err() == nil {
		b.table.add(row{work: "measure containers", name: all[0].name, counts: "SKIP: " + why})
	}
	return ctx.Err()
}

func (h herd) work() string {
	return fmt.Sprintf("measure %d idle containers every %v", h.size, h.interval)
}

// measurer is a program that measures containers and serves the numbers.
type measurer struct {
	name, skip string
	command    func(ctx context.Context, dir string, h herd, engine, listen string) (*exec.Cmd, error)
}

// measurers returns them, weir first.
func (b *bench) measurers(ctx context.Context) []measurer {
	weir := func(name, read string) measurer {
		return measurer{name: name, command: func(ctx context.Context, dir string, h herd, engine, listen string) (*exec.Cmd, error) {
			config := filepath.Join(dir, "weir.yaml")
			text := fmt.Sprintf("data_dir: %s/state\nhttp: {listen: %q}\nsources: {docker: {host: %q, stats_interval: %v, stats_read: %s}}\nrules: []\n", dir, listen, engine, h.interval, read)
			return exec.CommandContext(ctx, b.weir, "run", "--config", config), os.WriteFile(config, []byte(text), 0o600)
		}}
	}
	return []measurer{weir("**weir**, from the kernel's files", "file"), weir("**weir**, from the engine", "api"), b.cadvisor(ctx)}
}

// cadvisor is cAdvisor as far as it is a library. It is built only if it is wanted: that takes
// a minute the first time.
func (b *bench) cadvisor(ctx context.Context) measurer {
	m := measurer{name: "cAdvisor 0.52.1, its library"}
	if !b.wants(m.name) {
		return m
	}
	b.say("building cAdvisor")
	binary := filepath.Join(b.data, "cadvisor")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = filepath.Join(b.root, "bench", "cadvisor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		m.skip = fmt.Sprintf("cAdvisor's modules cannot be built: %v %.200s", err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
	}
	m.command = func(ctx context.Context, _ string, h herd, engine, listen string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, binary, "-docker", engine, "-every", h.interval.String(), "-listen", listen), nil
	}
	return m
}

// herdMeasurer adds a row for one of them, and returns the processor time that it took; ours is
// what it is compared with, itself if zero.
func (b *bench) herdMeasurer(ctx context.Context, e *enginetest.Engine, h herd, m measurer, ours time.Duration) time.Duration {
	r := row{work: h.work(), name: m.name, runs: "1"}
	if m.skip != "" {
		r.counts = "SKIP: " + m.skip
		b.table.add(r)
		return 0
	}
	b.say("measuring %d containers for %v: %s", h.size, h.how, m.name)
	cpu, err := b.herdRun(ctx, e, h, m, &r)
	if err != nil {
		b.fail(&r, err)
	} else {
		r.ratio = times(cpu, cmp.Or(ours, cpu))
	}
	b.table.add(r)
	return cpu
}

func (b *bench) herdRun(ctx context.Context, e *enginetest.Engine, h herd, m measurer, r *row) (time.Duration, error) {
	dir, err := os.MkdirTemp(b.scratch, "herd-")
	if err != nil {
		return 0, err
	}
	listen, err := freeAddress()
	if err != nil {
		return 0, err
	}
	cmd, err := m.command(ctx, dir, h, e.Host, listen)
	if err != nil {
		return 0, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer cmd.Cancel()
	url := "http://" + listen + "/metrics"
	if err := heartbeats(ctx, url, h.size); err != nil {
		return 0, err
	}
	pid, engine := cmd.Process.Pid, engineCPU(e)
	before, err := measure.CPU(pid)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	select {
	case <-time.After(h.how):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := measure.CPU(pid)
	if err != nil {
		return 0, err
	}
	took := time.Since(start)
	theirs := engineCPU(e) - engine
	memory, err := measure.Memory(pid)
	if err != nil {
		return 0, err
	}
	share := func(cpu time.Duration) float64 { return 100 * cpu.Seconds() / took.Seconds() }
	r.cpu = fmt.Sprintf("%.2f %% of a core", share(after-before))
	r.wall, r.peak = seconds(took), mebibytes(memory.Peak)
	r.counts = fmt.Sprintf("the engine meanwhile %.1f %%", share(theirs))
	return after - before, heartbeats(ctx, url, h.size)
}

// heartbeats waits until so many containers are measured.
func heartbeats(ctx context.Context, url string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	got := 0
	for {
		if text, err := get(ctx, url); err == nil {
			// cAdvisor measures groups that are no containers as well: these have no image.
			if got = len(ofContainer.FindAllIndex(text, -1)); got == want {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d containers are measured", got, want)
		case <-again.C:
		}
	}
}

// ofContainer finds one series of each container.
var ofContainer = regexp.MustCompile(`(?m)^container_memory_working_set_bytes\{[^}]*image="[^"]`)

// herdDocker adds a row for one call of docker stats.
func (b *bench) herdDocker(ctx context.Context, e *enginetest.Engine, h herd, name string) {
	r := row{work: h.work(), name: name, runs: "1"}
	docker, err := exec.LookPath("docker")
	if err != nil {
		r.counts = "SKIP: no docker command (Debian: `apt-get install docker.io`)"
		b.table.add(r)
		return
	}
	cmd := exec.CommandContext(ctx, docker, "stats", "--no-stream", "--format", "{{.Name}}")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.Host)
	engine := engineCPU(e)
	out, cost, err := measure.Run(cmd)
	theirs := engineCPU(e) - engine
	if n := bytes.Count(out, []byte("\n")); err == nil && n != h.size {
		err = fmt.Errorf("%d of %d containers", n, h.size)
	}
	if err != nil {
		b.fail(&r, err)
		b.table.add(r)
		return
	}
	r.cpu = fmt.Sprintf("%s once, %.1f %% of a core at that pace", seconds(cost.CPU), 100*cost.CPU.Seconds()/h.interval.Seconds())
	r.wall, r.peak = seconds(cost.Wall), mebibytes(cost.Peak)
	r.counts = fmt.Sprintf("the engine meanwhile %s", seconds(theirs))
	b.table.add(r)
}

// engineCPU is the processor time of all processes of an engine so far: its folder is in the
// command lines of dockerd, containerd and the shims.
func engineCPU(e *enginetest.Engine) (total time.Duration) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0
	}
	folder := []byte(filepath.Dir(e.Root))
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, folder) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if cpu, err := measure.CPU(pid); err == nil {
			total += cpu
		}
	}
	return total
}

// laboratory runs work with what enginetest, which is made for tests, asks of a test, and
// returns why it could not be done.
func laboratory(work func(t testing.TB)) (why string) {
	l := &lab{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(l)
	}()
	<-done
	for _, f := range slices.Backward(l.cleanups) {
		f()
	}
	return strings.Join(l.said, "; ")
}

// lab is as much of a test as enginetest needs. What it does not have panics.
type lab struct {
	testing.TB
	cleanups []func()
	said     []string // what went wrong
}

// Helper does nothing: there are no lines of a test to show.
func (*lab) Helper() {}

// Log says nothing.
func (*lab) Log(...any) {}

// Logf says nothing.
func (*lab) Logf(string, ...any) {}

// Name is part of labels.
func (*lab) Name() string { return "bench" }

// Cleanup has f run at the end.
func (l *lab) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }

// Errorf notes what went wrong.
func (l *lab) Errorf(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

// Fatal ends the work.
func (l *lab) Fatal(args ...any) { l.said = append(l.said, fmt.Sprint(args...)); runtime.Goexit() }

// Fatalf ends the work.
func (l *lab) Fatalf(format string, args ...any) { l.Fatal(fmt.Sprintf(format, args...)) }

// Skip ends the work.
func (l *lab) Skip(args ...any) { l.Fatal(strings.TrimPrefix(fmt.Sprint(args...), "SKIP: ")) }
