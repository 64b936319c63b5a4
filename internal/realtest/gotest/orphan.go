package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// adoptOrphans makes this process the parent of descendants whose own parent ends.
func adoptOrphans() error {
	const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER of prctl(2)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		return errno
	}
	return nil
}

// endOrphans waits for the adopted children to end by themselves, ends those that have not
// within grace, and returns their names.
func endOrphans(grace time.Duration) []string {
	deadline := time.Now().Add(grace)
	for len(children()) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	var names []string
	for left := children(); len(left) > 0; left = children() { // ending one may orphan others
		for pid, name := range left {
			names = append(names, fmt.Sprintf("%s (pid %d)", name, pid))
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
	}
	return names
}

// children reaps the dead children of this process and returns the living with their
// command lines.
func children() map[int]string {
	for {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
			break
		}
	}
	found := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && parent(path) == os.Getpid() {
			found[pid] = commandLine(pid)
		}
	}
	return found
}

// parent reads the fourth field of a stat file; the second, the name, may hold spaces.
func parent(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0 // it has ended meanwhile
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

func commandLine(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(data) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
}
