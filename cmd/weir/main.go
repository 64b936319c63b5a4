// Command weir measures streams of logs: it follows containers and files, turns their
// lines into exact numbers, shows them on /metrics and sends them to StatsD.
//
// Signals, exit codes and environment variables are handled here and nowhere else.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/weirlog/weir/internal/console"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitConfig  = 78 // sysexits' EX_CONFIG
)

func main() {
	os.Exit(profiled(func() int { return run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr) }))
}

// run executes one command line and returns its exit code.
func run(args []string, in io.Reader, out, messages io.Writer) int {
	// Text and labels of logs get into all that is printed, mistakes included.
	shown, said := console.NewGuard(out), console.NewGuard(messages)
	root := newRoot(&process{in: in, out: shown, screen: out, messages: said})
	root.SetArgs(args)
	err := root.Execute()
	_ = shown.Flush() // at most half a letter, on a terminal
	var status exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		if status.err != nil {
			fmt.Fprintf(said, "weir: %v\n", status.err)
		}
		return status.code
	default: // cobra's own: an unknown command or flag
		fmt.Fprintf(said, "weir: %v\nTry: weir --help\n", err)
		return exitUsage
	}
}

// exitError is an error with its exit code; without err everything has been said.
type exitError struct {
	code  int
	err   error
	first string // of the mistakes in a configuration
	more  int    // how many further ones there are
}

func (e exitError) Error() string {
	switch {
	case e.err != nil:
		return e.err.Error()
	case e.more > 0:
		return fmt.Sprintf("%s (and %d more)", e.first, e.more)
	}
	return e.first
}

func failure(err error) error { return exitError{code: exitFailure, err: err} }
