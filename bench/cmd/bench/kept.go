package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
)

// queryRounds is how often a query is asked; the first answer warms up and is left out.
const queryRounds = 11

// keptMixed measures keeping the logs of a hundred applications, and searching them all.
func (b *bench) keptMixed(ctx context.Context) error {
	set, err := b.set(dataset.Spec{Lines: 10_000_000, Files: 100, Mixed: true})
	if err != nil {
		return err
	}
	const name = "**weir**, with the text kept"
	if !b.wants(name) {
		return nil
	}
	config, err := b.weirConfig(filepath.Join(set.Dir, "access-*.log"), "127.0.0.1:0", "keep: {}")
	if err != nil {
		return err
	}
	b.say("keeping 100 streams")
	var t tries
	c := contender{note: func([]byte) string { return "" }, command: func(ctx context.Context, _ dataset.Set) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, b.weir, "run", "--once", "--config", config), nil
	}}
	t.once(ctx, c, set)
	r := row{work: fmt.Sprintf("keep %s mixed lines of 100 streams, %d MB", number(set.Lines), set.Bytes/1e6), name: name}
	if t.err != nil {
		b.fail(&r, t.err)
		b.table.add(r)
		return nil
	}
	b.fill(&r, c, &t, set)
	disk, err := diskUse(filepath.Join(filepath.Dir(config), "state", "streams"))
	if err != nil {
		return err
	}
	r.counts = fmt.Sprintf("%.1f MB on disk", float64(disk)/1e6)
	b.table.add(r)
	return b.queries(ctx, set, config)
}

// keptRuns measures counting, keeping and compressing set, and queries on what is kept.
func (b *bench) keptRuns(ctx context.Context, set dataset.Set) error {
	const name = "**weir**, with the text kept"
	if !b.wants(name) {
		return nil
	}
	c := contender{name: name, counts: expositionCounts}
	var configs []string
	c.command = func(ctx context.Context, set dataset.Set) (*exec.Cmd, error) {
		config, err := b.weirConfig(filepath.Join(set.Dir, "access-*.log"), "127.0.0.1:0", "keep: {}")
		configs = append(configs, config)
		return exec.CommandContext(ctx, b.weir, "run", "--once", "--metrics", "-", "--config", config), err
	}
	var t tries
	for range min(b.rounds, 3) {
		b.say("keeping the text")
		t.once(ctx, c, set)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r := row{work: "count, keep and compress the same lines", name: name}
	if t.err != nil {
		b.fail(&r, t.err)
		b.table.add(r)
		return nil
	}
	b.fill(&r, c, &t, set)
	last := configs[len(configs)-1]
	disk, err := diskUse(filepath.Join(filepath.Dir(last), "state", "streams"))
	if err != nil {
		return err
	}
	r.counts += fmt.Sprintf(", %.1f MB on disk", float64(disk)/1e6)
	b.table.add(r)
	return b.queries(ctx, set, last)
}

// diskUse returns the size of all files below dir.
func diskUse(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// query is a question to the kept text, and what its answer should be.
type query struct {
	name, text string
	limit      int
	want       map[string]int // by status, or "" for a sum; nil: lines, up to limit
	lines      int            // how many, where want is nil; of a question for label values, how many of these
	label      string         // in place of text: the label whose values are asked for
}

// questions returns the queries on set.
func questions(set dataset.Set) ([]query, error) {
	const s = `{source="access"}`
	if len(set.Counts) == 0 {
		return []query{
			{name: "an absent literal", text: s + ` |= "zqxj-absent-literal"`, limit: 100},
			{name: "a common literal, limit 100", text: s + ` |= "order placed"`, limit: 100, lines: 100},
			{name: "total, from the index", text: `sum(count_over_time(` + s + `[2h]))`, want: map[string]int{"": set.Lines}},
			{name: "values of a label", label: "filename", lines: len(set.Paths)},
			{name: "lines by level, from the index", text: `sum(sum by (detected_level) (count_over_time(` + s + `[2h])))`, want: map[string]int{"": set.Lines}},
		}, nil
	}
	rare, err := someID(set)
	if err != nil {
		return nil, err
	}
	byStatus := map[string]int{}
	fives, all := 0, 0
	for status, n := range set.Counts {
		byStatus[status] = n
		all += n
		if status[0] == '5' {
			fives += n
		}
	}
	// The status is stored; under another name it has to be had from the text.
	extracted := strings.ReplaceAll(dataset.Pattern, "<status>", "<code>")
	return []query{
		{name: "a rare literal", text: s + ` |= "` + rare + `"`, limit: 100, lines: 1},
		{name: "an absent literal", text: s + ` |= "zqxj-absent-literal"`, limit: 100},
		{name: "a common literal, limit 100", text: s + ` |= "GET"`, limit: 100, lines: 100},
		{name: "count of a regex", text: `sum(count_over_time(` + s + ` |~ " 5\\d\\d " [2h]))`, want: map[string]int{"": -1}},
		{name: "group by a status extracted when asked", text: `sum by (code) (count_over_time(` + s + " | regexp `" + extracted + "` | code != \"\" [2h]))", want: byStatus},
		{name: "group by the stored status, from the index", text: `sum by (status) (count_over_time(` + s + ` | status != "" [2h]))`, want: byStatus},
		{name: "total, from the index", text: `sum(count_over_time(` + s + `[2h]))`, want: map[string]int{"": set.Lines}},
		{name: "lines by level, from the index", text: `sum(sum by (detected_level) (count_over_time(` + s + `[2h])))`, want: map[string]int{"": set.Lines}},
		{name: "values of a label", label: "filename", lines: len(set.Paths)},
	}, nil
}

// someID returns the request id of a line in the middle of the set.
func someID(set dataset.Set) (string, error) {
	f, err := os.Open(set.Paths[len(set.Paths)/2])
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	part := make([]byte, 8192)
	if _, err := f.ReadAt(part, info.Size()/2); err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(part), " rid=")
	if !ok || len(rest) < 32 {
		return "", errors.New("no request id in the middle of the data set")
	}
	return rest[:32], nil
}

// serving is a weir that answers from what was kept.
type serving struct {
	base string // of its addresses
	cmd  *exec.Cmd
}

// serveKept starts weir on what was kept with a configuration.
func (b *bench) serveKept(ctx context.Context, config string) (*serving, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(config)
	path := filepath.Join(dir, "serve.yaml")
	text := fmt.Sprintf("data_dir: %s\nhttp: {listen: %q}\nsources: {none: {type: file, paths: [%q]}}\n", filepath.Join(dir, "state"), listen, filepath.Join(dir, "no.log"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.weir, "run", "--config", path)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &serving{"http://" + listen, cmd}
	if _, err := settled(ctx, s.base+"/metrics", nil); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *serving) stop() {
	_ = s.cmd.Cancel()
	_ = s.cmd.Wait()
}

// queries starts weir on what was kept, asks, and adds a row for each question.
func (b *bench) queries(ctx context.Context, set dataset.Set, config string) error {
	s, err := b.serveKept(ctx, config)
	if err != nil {
		return err
	}
	defer s.stop()
	all, err := questions(set)
	if err != nil {
		return err
	}
	work := fmt.Sprintf("search %s kept lines, warm", number(set.Lines))
	for _, q := range all {
		r := row{work: work, name: "**weir**: " + q.name}
		if err := b.ask(ctx, &r, q, s); err != nil {
			b.fail(&r, err)
		}
		b.table.add(r)
	}
	b.table.add(b.zstdcat(ctx, work, filepath.Join(filepath.Dir(config), "state", "streams")))
	return nil
}

// path returns what is asked of Loki's API.
func (q *query) path() string {
	day := url.Values{"start": {"2026-11-20T17:00:00Z"}, "end": {"2026-11-20T20:00:00Z"}}
	switch {
	case q.label != "":
		return "/loki/api/v1/label/" + q.label + "/values?" + day.Encode()
	case q.want == nil:
		day["query"], day["limit"] = []string{q.text}, []string{strconv.Itoa(q.limit)}
		return "/loki/api/v1/query_range?" + day.Encode()
	}
	return "/loki/api/v1/query?" + url.Values{"query": {q.text}, "time": {"2026-11-20T19:30:00Z"}}.Encode()
}

// ask puts one query and fills its row: medians of wall time and of weir's CPU time.
func (b *bench) ask(ctx context.Context, r *row, q query, s *serving) error {
	body, err := s.ask(ctx, r, q.path())
	if err != nil {
		return err
	}
	if q.label != "" {
		return judgeValues(r, q, body)
	}
	return b.judge(r, q, body)
}

// ask asks for a path some times and fills a row but for what the answer says, which it returns.
func (s *serving) ask(ctx context.Context, r *row, path string) (body []byte, err error) {
	pid := s.cmd.Process.Pid
	var wall, cpu []time.Duration
	for round := range queryRounds {
		before, err := measure.CPU(pid)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if body, err = get(ctx, s.base+path); err != nil {
			return nil, err
		}
		took := time.Since(start)
		after, err := measure.CPU(pid)
		if err != nil {
			return nil, err
		}
		if round > 0 {
			wall, cpu = append(wall, took), append(cpu, after-before)
		}
	}
	memory, err := measure.Memory(pid)
	r.wall = fmt.Sprintf("%.1f ms", median(wall).Seconds()*1000)
	r.cpu = fmt.Sprintf("%.0f ms", median(cpu).Seconds()*1000)
	r.peak, r.runs = mebibytes(memory.Peak), number(len(wall))
	return body, err
}

// judgeValues compares the values of a label with what they should be.
func judgeValues(r *row, q query, body []byte) error {
	var answer struct{ Data []string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if r.counts = number(len(answer.Data)) + " values"; len(answer.Data) != q.lines {
		return fmt.Errorf("%d values, want %d", len(answer.Data), q.lines)
	}
	return nil
}

// judge compares an answer with what it should be.
func (b *bench) judge(r *row, q query, body []byte) error {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
				Values [][]any           `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: %w", http.StatusText(http.StatusOK), err)
	}
	if q.want == nil {
		n := 0
		for _, stream := range answer.Data.Result {
			n += len(stream.Values)
		}
		r.counts = number(n) + " lines"
		if n != q.lines {
			return fmt.Errorf("%d lines, want %d", n, q.lines)
		}
		return nil
	}
	got := map[string]int{}
	for _, series := range answer.Data.Result {
		text, _ := series.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		got[cmp.Or(series.Metric["status"], series.Metric["code"])] = int(v)
	}
	if n := q.want[""]; n < 0 {
		r.counts = number(got[""])
		return nil
	}
	r.counts = b.table.verdict(got, q.want)
	return nil
}

// zstdcat measures the way without weir: unpack all and search.
func (b *bench) zstdcat(ctx context.Context, work, streams string) row {
	r := row{work: work, name: "`zstdcat *.zst \\| rg -c` of an absent literal"}
	for _, program := range []string{"zstdcat", "rg"} {
		if _, err := exec.LookPath(program); err != nil {
			r.counts = "SKIP: no " + program + " (Debian: `apt-get install zstd ripgrep`)"
			return r
		}
	}
	var t tries
	c := contender{name: r.name, note: func([]byte) string { return "" }}
	c.command = func(ctx context.Context, _ dataset.Set) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, "sh", "-c", `zstdcat "$0"/*/*.zst | rg -c zqxj-absent-literal || true`, streams), nil
	}
	for range b.rounds {
		t.once(ctx, c, dataset.Set{})
	}
	if t.err != nil {
		b.fail(&r, t.err)
		return r
	}
	b.fill(&r, c, &t, dataset.Set{})
	return r
}
