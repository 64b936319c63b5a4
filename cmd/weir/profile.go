//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

// profiled is run under a profile of its processor time, which goes to a file of its own in the
// folder that WEIR_PROFILE names. What make bench makes of such files (-profile) is default.pgo, by which
// the compiler knows what to make fast.
func profiled(run func() int) int {
	dir := os.Getenv("WEIR_PROFILE")
	if dir == "" {
		return run()
	}
	f, err := os.Create(filepath.Join(dir, strconv.Itoa(os.Getpid())+".pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir: profile:", err)
		return exitFailure
	}
	code := run()
	pprof.StopCPUProfile()
	if err := f.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "weir: profile:", err)
		return exitFailure
	}
	return code
}
