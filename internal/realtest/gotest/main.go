// Command gotest runs `go test -json` with its arguments and prints what a person wants to
// know: a line for each package, everything about a failure, and at the end which real
// components the tests used, which tests were skipped and why, and the totals.
//
// It also sees to it that tests leave no process behind: orphans of the tests become its
// own children, and one that outlives the run is named, ended and counted as a failure.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if err := adoptOrphans(); err != nil {
		fmt.Fprintln(stderr, "gotest: processes left behind will not be noticed:", err)
	}
	start := time.Now()
	report := newReport(stdout)
	failed, err := runTests(args, report, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "gotest:", err)
		return 1
	}
	left := endOrphans(3 * time.Second)
	for _, name := range left {
		fmt.Fprintln(stdout, "LEFT BEHIND by the tests, and ended:", name)
	}
	report.summary(time.Since(start))
	if failed || report.failed > 0 || len(left) > 0 {
		return 1
	}
	return 0
}

// runTests feeds the events of one `go test` to report, and says whether it failed.
func runTests(args []string, report *report, stderr io.Writer) (bool, error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	lines := bufio.NewReaderSize(out, 1<<16)
	for {
		line, readErr := lines.ReadBytes('\n')
		var e event
		if len(line) > 0 && json.Unmarshal(line, &e) == nil {
			report.add(e)
		} else if len(line) > 0 {
			fmt.Fprintf(stderr, "%s", line)
		}
		if readErr != nil {
			break
		}
	}
	err = cmd.Wait()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		return false, err
	}
	return err != nil, nil
}
