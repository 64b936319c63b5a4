// Package measure says what another process costs: processor time, wall time and memory.
//
//	out, cost, err := measure.Run(exec.Command("grep", "-c", "x", "file"))
//
// Processor time is that of the process and the children it waited for, in user and
// kernel mode, as the kernel counts it. It works on Linux.
package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Cost is what a process used from start to end.
type Cost struct {
	CPU  time.Duration
	Wall time.Duration
	// Peak is the most memory it had in RAM, in bytes.
	Peak int64
}

// peakEvery is how often a running process is asked for its peak.
const peakEvery = 5 * time.Millisecond

// Run starts cmd, waits for its end, and returns its standard output and its cost.
func Run(cmd *exec.Cmd) ([]byte, Cost, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	own, err := Memory(os.Getpid())
	if err != nil {
		return nil, Cost{}, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, Cost{}, err
	}
	stop, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watch(cmd.Process.Pid, stop) }()
	err = cmd.Wait()
	cost := Cost{Wall: time.Since(start), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	close(stop)
	cost.Peak = <-peak
	// The kernel's own peak is exact, but starts at that of the process that forked.
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && (u.Maxrss<<10 > own.Peak || cost.Peak == 0) {
		cost.Peak = u.Maxrss << 10
	}
	if err != nil {
		return nil, cost, fmt.Errorf("%s: %w: %s", cmd.Path, err, tail(stderr.Bytes()))
	}
	return stdout.Bytes(), cost, nil
}

// watch returns the last peak that process pid showed until stop.
func watch(pid int, stop <-chan struct{}) int64 {
	every := time.NewTicker(peakEvery)
	defer every.Stop()
	var peak int64
	for {
		if m, err := Memory(pid); err == nil {
			peak = max(peak, m.Peak)
		}
		select {
		case <-stop:
			return peak
		case <-every.C:
		}
	}
}

// tail shortens what a process said before it failed.
func tail(text []byte) string {
	const most = 400
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// Resident is what a process has in RAM, in bytes.
type Resident struct {
	Now, Peak int64
}

// Memory returns what process pid has in RAM.
func Memory(pid int) (Resident, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return Resident{}, err
	}
	var r Resident
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Resident{}, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
		if name == "VmRSS" {
			r.Now = kib << 10
		} else {
			r.Peak = kib << 10
		}
	}
	if r.Peak == 0 {
		return Resident{}, errors.New("a process that has ended has no memory")
	}
	return r, nil
}

// CPU returns the processor time that process pid, still running, has used so far.
func CPU(pid int) (time.Duration, error) {
	// The kernel's clock of another process, to the nanosecond: its number is the
	// complement of the process id, shifted, with the kind of clock below.
	const schedClock = 2
	clock := uintptr(^pid<<3 | schedClock)
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("read the processor clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}
