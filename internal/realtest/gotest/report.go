package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is a line of `go test -json`, as `go doc test2json` describes it.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// usedMark comes before the name of a component in the log of a test that used it.
const usedMark = "real component: "

// report collects the events of all packages.
type report struct {
	out                     io.Writer
	passed, skipped, failed int
	packages                int
	count                   map[string]*counts
	output                  map[test][]string
	used                    map[string]bool
	skips                   map[string][]string // reason: tests
}

type test struct{ pkg, name string }

type counts struct{ passed, skipped, failed int }

func newReport(out io.Writer) *report {
	return &report{
		out:    out,
		count:  map[string]*counts{},
		output: map[test][]string{},
		used:   map[string]bool{},
		skips:  map[string][]string{},
	}
}

func (r *report) add(e event) {
	at := test{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[at] = append(r.output[at], e.Output)
		if _, name, ok := strings.Cut(e.Output, usedMark); ok {
			r.used[strings.TrimSpace(name)] = true
		}
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "pass", "skip", "fail":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
		delete(r.output, at)
	}
}

func (r *report) endTest(e event) {
	n := r.of(e.Package)
	at := test{e.Package, e.Test}
	switch e.Action {
	case "pass":
		n.passed++
	case "skip":
		n.skipped++
		why := skipReason(r.output[at])
		r.skips[why] = append(r.skips[why], short(e.Package)+"."+e.Test)
	case "fail":
		n.failed++
		r.dump(at)
	}
}

func (r *report) endPackage(e event) {
	n := r.of(e.Package)
	r.passed += n.passed
	r.skipped += n.skipped
	r.failed += n.failed
	if e.Action == "fail" {
		r.failPackage(e, n)
		return
	}
	if n.passed+n.skipped == 0 {
		return
	}
	r.packages++
	skipped := ""
	if n.skipped > 0 {
		skipped = fmt.Sprintf(", %d skipped", n.skipped)
	}
	fmt.Fprintf(r.out, "ok    %-40s %7.2fs  %d passed%s\n", short(e.Package), e.Elapsed, n.passed, skipped)
}

// failPackage prints what a failed package said outside of the tests that failed: a test
// that was cut short (a panic, a race, a time-out) has output but no end.
func (r *report) failPackage(e event, n *counts) {
	if n.failed == 0 {
		r.failed++
	}
	for _, at := range slices.SortedFunc(maps.Keys(r.output), func(a, b test) int { return strings.Compare(a.name, b.name) }) {
		if at.pkg == e.Package {
			r.dump(at)
			delete(r.output, at)
		}
	}
	why := ""
	if e.FailedBuild != "" {
		why = "  does not build"
	}
	fmt.Fprintf(r.out, "FAIL  %-40s %7.2fs  %d failed, %d passed%s\n", short(e.Package), e.Elapsed, n.failed, n.passed, why)
}

func (r *report) dump(at test) {
	for _, line := range r.output[at] {
		if !strings.HasPrefix(line, "=== ") && line != "PASS\n" && line != "FAIL\n" {
			fmt.Fprint(r.out, line)
		}
	}
}

func (r *report) of(pkg string) *counts {
	n := r.count[pkg]
	if n == nil {
		n = new(counts)
		r.count[pkg] = n
	}
	return n
}

func (r *report) summary(took time.Duration) {
	fmt.Fprintln(r.out)
	if len(r.used) > 0 {
		fmt.Fprintln(r.out, "real components used:", strings.Join(slices.Sorted(maps.Keys(r.used)), ", "))
	}
	for _, why := range slices.Sorted(maps.Keys(r.skips)) {
		fmt.Fprintf(r.out, "%s\n      (%s)\n", why, strings.Join(r.skips[why], ", "))
	}
	verdict := "passed"
	if r.failed > 0 {
		verdict = "FAILED"
	}
	fmt.Fprintf(r.out, "tests %s: %d passed, %d failed, %d skipped, in %d packages, %s\n",
		verdict, r.passed, r.failed, r.skipped, r.packages, took.Round(time.Second))
}

// skipReason finds what a test gave to Skip in its output, whose lines look like
// "    nginx_test.go:12: SKIP nginx: not installed".
func skipReason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if place, why, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			line = why
		}
		return "SKIP " + strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, "SKIP"), ":"))
	}
	return "SKIP no reason given"
}

func short(pkg string) string {
	if s, ok := strings.CutPrefix(pkg, "github.com/weirlog/weir/"); ok {
		return s
	}
	return pkg
}
