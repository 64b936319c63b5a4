package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one line of the table. Text is ready to be shown.
type row struct {
	work, name, cpu, ratio, wall, peak, counts, runs string
}

// table is the result of a run.
type table struct {
	rows  []row
	wrong bool // a contender that should count exactly did not
}

// add appends a row.
func (t *table) add(r row) { t.rows = append(t.rows, r) }

// markdown returns the table below its heading.
func (t *table) markdown(heading string) string {
	var s strings.Builder
	s.WriteString(heading)
	s.WriteString("\n| work | contender | CPU | × weir | wall | peak RSS | counts | runs |\n")
	s.WriteString("|---|---|--:|--:|--:|--:|---|--:|\n")
	work := ""
	for _, r := range t.rows {
		shown := r.work
		if shown == work {
			shown = ""
		}
		work = r.work
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s | %s | %s |\n",
			shown, r.name, r.cpu, r.ratio, r.wall, r.peak, r.counts, r.runs)
	}
	return s.String()
}

// verdict compares counts with what they should be.
func (t *table) verdict(got, want map[string]int) string {
	if maps.Equal(got, want) {
		return "exact"
	}
	t.wrong = true
	return fmt.Sprintf("**WRONG**: %s lines, want %s", number(total(got)), number(total(want)))
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// heading says what was measured and on what.
func (b *bench) heading(ctx context.Context) string {
	commit := "an unknown commit"
	describe := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty")
	describe.Dir = b.root
	if out, err := describe.Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf(`# Measurements

Written by %s: every contender is a whole process, its start included; all take turns
in one run; CPU is user and kernel time, the median of the runs (lowest–highest). The data is in the page
cache. What counts is the ratio: the machine differs from yours. The lines are nginx access lines as Docker
stores them, one in a hundred of which the pattern does not fit; "exact" means that the count of every status is right.

Machine: %d cores of %s, Linux %s, %s, weir at %s.
`, "`make bench`", runtime.NumCPU(), processor(), kernel(), runtime.Version(), commit)
}

// processor returns the name of the processor.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

// kernel returns the kernel's major and minor number.
func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of unknown version"
	}
	parts := strings.SplitN(strings.TrimSpace(string(text)), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// number writes n with commas.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// seconds writes a duration with two or three digits that matter.
func seconds(d time.Duration) string {
	if s := d.Seconds(); s < 10 {
		return strconv.FormatFloat(s, 'f', 2, 64) + " s"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

// mebibytes writes a size in bytes.
func mebibytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 0, 64) + " MiB" }

// times writes how many times b a is.
func times(a, b time.Duration) string {
	if b <= 0 {
		return "–"
	}
	r := float64(a) / float64(b)
	if r < 10 {
		return strconv.FormatFloat(r, 'f', 2, 64)
	}
	return strconv.FormatFloat(r, 'f', 0, 64)
}

// median returns the middle one of values, which must not be empty; of two middle ones
// the smaller.
func median[T int64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
