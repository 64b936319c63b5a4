package measure

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test program is its own subject: with these variables set it works and ends.
const (
	burnVariable = "MEASURE_BURN"
	fillVariable = "MEASURE_FILL"
)

func TestMain(m *testing.M) {
	if os.Getenv(burnVariable) != "" {
		for start, _ := CPU(os.Getpid()); ; {
			if now, _ := CPU(os.Getpid()); now-start > 200*time.Millisecond {
				os.Exit(0)
			}
		}
	}
	if os.Getenv(fillVariable) != "" {
		// Not from Go's heap, of which the race detector keeps shadows as large.
		memory, err := syscall.Mmap(-1, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			os.Exit(1)
		}
		for i := range memory {
			memory[i] = byte(i)
		}
		os.Stdout.WriteString("filled")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func self(variable string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"=1")
	return cmd
}

func TestRunCountsProcessorTime(t *testing.T) {
	_, cost, err := Run(self(burnVariable))
	if err != nil {
		t.Fatal(err)
	}
	if cost.CPU < 190*time.Millisecond || cost.Wall < cost.CPU/2 {
		t.Errorf("200 ms of work cost %v CPU and %v wall", cost.CPU, cost.Wall)
	}
}

func TestRunSeesThePeak(t *testing.T) {
	out, cost, err := Run(self(fillVariable))
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != "filled" || cost.Peak < 64<<20 || cost.Peak > 128<<20 {
		t.Errorf("out %q, peak %d for 64 MiB", out, cost.Peak)
	}
}

func TestRunReportsFailure(t *testing.T) {
	_, _, err := Run(exec.Command("sh", "-c", "echo broken >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "3") {
		t.Errorf("a failed process gives %v", err)
	}
	if _, _, err := Run(exec.Command("/nonexistent/program")); err == nil {
		t.Error("a missing program gives no error")
	}
}

func TestMemoryOfTheDead(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Skip("no program to run: ", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if m, err := Memory(cmd.Process.Pid); err == nil {
		t.Errorf("a process that has ended has %+v", m)
	}
	if _, err := CPU(cmd.Process.Pid); err == nil {
		t.Error("a process that has ended has a clock")
	}
}
