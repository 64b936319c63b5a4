package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTrimProgram: the program goes on with less of it in memory.
func TestTrimProgram(t *testing.T) {
	resident := func() (kib int) {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("no /proc here:", err)
		}
		_, rest, _ := strings.Cut(string(status), "RssFile:")
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			t.Fatal(err)
		}
		return kib
	}
	before := resident()
	trimProgram()
	if after := resident(); after >= before {
		t.Errorf("%d KiB of files are in memory, %d before", after, before)
	}
}

// TestEachUnwritten leaves out what can be written to, was written to, or is of other files.
func TestEachUnwritten(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 fe:01 7      /opt/a weir
Size:               1024 kB
Anonymous:             0 kB
00500000-00600000 r--p 00100000 fe:01 7      /opt/a weir
Anonymous:             4 kB
00600000-00700000 r--p 00200000 fe:01 7      /opt/a weir
Anonymous:             0 kB
VmFlags: rd mr
00700000-00800000 rw-p 00300000 fe:01 7      /opt/a weir
Anonymous:             0 kB
00800000-00900000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:01 9      /lib/libc.so.6
Anonymous:             0 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Anonymous:             0 kB
`
	var got []string
	eachUnwritten(strings.NewReader(smaps), "/opt/a weir", func(from, until uintptr) { got = append(got, fmt.Sprintf("%x-%x", from, until)) })
	if want := "[400000-500000 600000-700000]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
