package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
)

// TestRenamed: a real profile keeps all but the name of its program, and can be read by the
// compiler's tools; the one that weir is compiled with tells no folder of the machine that made it.
func TestRenamed(t *testing.T) {
	var made bytes.Buffer
	if err := pprof.StartCPUProfile(&made); err != nil {
		t.Fatal(err)
	}
	pprof.StopCPUProfile()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := texts(t, made.Bytes())
	if !strings.Contains(before, program) {
		t.Fatalf("a profile does not name %s", program)
	}
	after, err := renamed(made.Bytes(), program, "weir")
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(t, after); len(before)-len(got) < len(program)-len("weir") || strings.Contains(got, program) {
		t.Errorf("%d bytes were %d; the program is %s", len(got), len(before), program)
	}
	if _, err := renamed([]byte("no gzip"), "a", "b"); err == nil {
		t.Error("what is no profile is taken")
	}
	kept, err := os.ReadFile(filepath.Join("..", "..", "..", "cmd", "weir", "default.pgo"))
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(t, kept); strings.Contains(got, "bench/data") || !strings.Contains(got, "github.com/weirlog/weir/internal/journal") {
		t.Error("default.pgo was not made by make bench")
	}
}

func texts(t *testing.T, packed []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := io.Copy(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
