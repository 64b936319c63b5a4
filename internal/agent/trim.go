package agent

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// trimAfter is how long after its start weir gives back what of the program only the start needed.
const trimAfter = 10 * time.Second

// trimProgram takes the pages of weir's own file out of its memory: those that are still needed
// come back from the page cache, one by one. It is about the many packages that run once, at the
// start, or never; the kernel maps what is near to what they read as well.
func trimProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // no /proc: there is nothing to be gained
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	eachUnwritten(f, exe, func(from, until uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, until-from, syscall.MADV_DONTNEED) // it is a hint
	})
}

// eachUnwritten visits the mappings of a file that cannot be written to and never were: what a
// linker or a debugger has changed in memory would be lost.
func eachUnwritten(smaps io.Reader, file string, visit func(from, until uintptr)) {
	var from, until uint64 // of the present mapping, if it is one
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), " ")
		switch {
		case strings.HasSuffix(name, ":"):
			if name == "Anonymous:" && strings.TrimSpace(rest) == "0 kB" && until > 0 {
				visit(uintptr(from), uintptr(until))
			}
		case (strings.HasPrefix(rest, "r-xp ") || strings.HasPrefix(rest, "r--p ")) && strings.HasSuffix(rest, " "+file):
			first, last, _ := strings.Cut(name, "-")
			from, _ = strconv.ParseUint(first, 16, 64)
			until, _ = strconv.ParseUint(last, 16, 64)
		default:
			from, until = 0, 0
		}
	}
}
