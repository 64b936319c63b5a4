package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/measure"
)

// manySeries is how many series a scrape and the history are measured with.
const manySeries = 20_000

// numbers measures what many series cost: a scrape of all, and their history.
func (b *bench) numbers(ctx context.Context) error {
	series := manySeries
	if b.quick {
		series /= 10
	}
	if err := b.scrape(ctx, series); err != nil {
		return err
	}
	return b.day(ctx, series)
}

// scrape measures a scrape of so many series, counted from a file with a line for each.
func (b *bench) scrape(ctx context.Context, series int) error {
	r := row{work: fmt.Sprintf("scrape %s series", number(series)), name: "**weir**: /metrics"}
	if !b.wants(r.name) {
		return nil
	}
	b.say("scraping")
	dir, err := os.MkdirTemp(b.scratch, "scrape-")
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	for i := range series {
		fmt.Fprintf(&lines, "GET /some/path/%d 200\n", i)
	}
	path := filepath.Join(dir, "paths.log")
	if err := os.WriteFile(path, lines.Bytes(), 0o644); err != nil {
		return err
	}
	err = b.serve(ctx, fmt.Sprintf(`data_dir: %s
sources: {paths: {type: file, paths: [%q], format: raw, start: beginning}}
rules:
  - match: '{}'
    parse: {pattern: '<method> <path> <status>'}
    count: [{name: hits, by: [path, status], max_series: %d}]
    keep: none
`, filepath.Join(dir, "state"), path, series), func(s subject) error {
		return b.asked(ctx, &r, s, func(body []byte) (bool, string) {
			n := bytes.Count(body, []byte("\nhits_total{"))
			return n == series, number(n) + " series"
		})
	})
	if err != nil {
		b.fail(&r, err)
	}
	b.table.add(r)
	return ctx.Err()
}

// serve runs weir with a configuration, to which it adds where it listens, while use lasts.
// The subject's url is that of its metrics.
func (b *bench) serve(ctx context.Context, config string, use func(subject) error) error {
	dir, err := os.MkdirTemp(b.scratch, "serve-")
	if err != nil {
		return err
	}
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(name, []byte(config+fmt.Sprintf("http: {listen: %q}\n", listen)), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.weir, "run", "--config", name)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	said, err := os.Create(filepath.Join(dir, "messages"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Cancel()
	url := "http://" + listen + "/metrics"
	if _, err := settled(ctx, url, nil); err != nil {
		return fmt.Errorf("%w: %s", err, messages(said.Name()))
	}
	return use(subject{pid: cmd.Process.Pid, url: url})
}

// asked gets the subject's url until the answer is right, and then some times more, and
// fills r with the medians.
func (b *bench) asked(ctx context.Context, r *row, s subject, right func(body []byte) (ok bool, what string)) error {
	var wall, cpu []time.Duration
	waited, cancel := context.WithTimeout(ctx, takeInLimit)
	defer cancel()
	for len(wall) < queryRounds {
		before, err := measure.CPU(s.pid)
		if err != nil {
			return err
		}
		start := time.Now()
		body, err := get(waited, s.url)
		took := time.Since(start)
		if waited.Err() != nil {
			return fmt.Errorf("it does not come to answer rightly: %s", r.counts)
		}
		after, failed := measure.CPU(s.pid)
		if failed != nil {
			return failed
		}
		ok := false
		if err == nil {
			ok, r.counts = right(body)
		}
		if ok {
			wall, cpu = append(wall, took), append(cpu, after-before)
		}
	}
	memory, err := measure.Memory(s.pid)
	if err != nil {
		return err
	}
	wall, cpu = wall[1:], cpu[1:] // the first warms up
	r.wall = fmt.Sprintf("%.1f ms", median(wall).Seconds()*1000)
	r.cpu = fmt.Sprintf("%.0f ms", median(cpu).Seconds()*1000)
	r.peak, r.runs = mebibytes(memory.Peak), number(len(wall))
	return nil
}

// dayMetrics are what BenchmarkDay of internal/tsdb says.
var dayMetrics = regexp.MustCompile(`([0-9.]+) (cpu-ms/round|disk-MiB|peak-rss-MiB)`)

// day measures a day of the history: a benchmark of weir makes it, with a sample of each series every
// ten seconds of a simulated time, and a weir that finds it is asked.
func (b *bench) day(ctx context.Context, series int) error {
	work := fmt.Sprintf("history: a day of %s series, every 10 s", number(series))
	made := row{work: work, name: "**weir**: take a round, blocks included", runs: number(samplesOfDay)}
	if !b.wants(made.name) {
		return nil
	}
	dir := filepath.Join(b.data, fmt.Sprintf("day-%d-series-v1", series))
	if err := b.makeDay(ctx, &made, dir, series); err != nil {
		b.fail(&made, err)
		b.table.add(made)
		return ctx.Err()
	}
	b.table.add(made)
	config := fmt.Sprintf("data_dir: %s\nhistory: {size: 4GiB}\nsources: {none: {type: file, paths: [%q]}}\n", dir, filepath.Join(b.scratch, "no.log"))
	for _, q := range []struct {
		name, path string
		values     int
	}{
		{"one series over the day, 1,440 steps", "query_range?start=2026-11-20T00:01:00Z&end=2026-11-21T00:00:00Z&step=60&query=", samplesOfDay / 6},
		{"one series over the day, all samples", "query?time=2026-11-20T23:59:59Z&query=", samplesOfDay},
	} {
		r := row{work: work, name: "**weir**: " + q.name}
		selector := fmt.Sprintf(`hits_total{path="/some/path/%d"}`, series/2)
		if q.values == samplesOfDay {
			selector += "[1d]"
		}
		b.say("asking for %s", q.name)
		err := b.serve(ctx, config, func(s subject) error {
			s.url = s.url[:len(s.url)-len("metrics")] + "api/v1/" + q.path + url.QueryEscape(selector)
			return b.asked(ctx, &r, s, func(body []byte) (bool, string) {
				n := valuesOf(body)
				return n == q.values, number(n) + " values"
			})
		})
		if err != nil {
			b.fail(&r, err)
		}
		b.table.add(r)
	}
	return ctx.Err()
}

// samplesOfDay is how many samples a series has in a day.
const samplesOfDay = 24 * 60 * 6

// makeDay makes the data folder of a day, unless it is there, and fills r with its cost.
func (b *bench) makeDay(ctx context.Context, r *row, dir string, series int) error {
	told := filepath.Join(dir, "told")
	text, err := os.ReadFile(told)
	if err != nil {
		b.say("making a day of history; that takes some minutes")
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^BenchmarkDay$", "-benchtime=1x", "-timeout=30m", "./internal/tsdb")
		cmd.Dir = b.root
		cmd.Env = append(os.Environ(), "WEIR_DAY_SERIES="+strconv.Itoa(series), "WEIR_DAY_DIR="+filepath.Join(dir, "tsdb"))
		if text, err = cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		if err := os.WriteFile(told, text, 0o644); err != nil {
			return err
		}
	}
	found := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		for _, m := range dayMetrics.FindAllStringSubmatch(lines.Text(), -1) {
			found[m[2]] = m[1]
		}
	}
	if len(found) < 3 {
		return fmt.Errorf("the benchmark says %s", text)
	}
	r.cpu, r.peak, r.counts = found["cpu-ms/round"]+" ms", found["peak-rss-MiB"]+" MiB", found["disk-MiB"]+" MiB on disk"
	return nil
}

// valuesOf counts the samples in an answer of Prometheus' API.
func valuesOf(body []byte) (n int) {
	var answer struct {
		Data struct{ Result []struct{ Values [][2]any } }
	}
	if json.Unmarshal(body, &answer) != nil {
		return -1
	}
	for _, s := range answer.Data.Result {
		n += len(s.Values)
	}
	return n
}
