package processor_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/processor"
)

// TestHasSSSE3 compares what is told with what the kernel says.
func TestHasSSSE3(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || runtime.GOARCH == "amd64" && !strings.Contains(string(text), "flags") {
		t.Skip("the kernel does not say:", err)
	}
	if want := strings.Contains(string(text), " ssse3 "); processor.HasSSSE3 != want {
		t.Errorf("%v, want %v", processor.HasSSSE3, want)
	}
}
