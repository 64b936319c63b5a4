package realtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ZMQ is Debian's Python with its bindings for libzmq.
type ZMQ struct{ python string }

// PythonZMQ returns a Python that has libzmq, or skips the test.
func PythonZMQ(t testing.TB) *ZMQ {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		out, err := exec.Command(name, "-c", "import zmq; print(zmq.zmq_version())").Output()
		if err == nil {
			Used(t, "libzmq "+strings.TrimSpace(string(out)))
			return &ZMQ{name}
		}
	}
	Skip(t, "python3-zmq", "not installed (Debian: apt-get install python3-zmq)")
	return nil
}

// Script is a Python program that runs.
type Script struct {
	*process
	t testing.TB
}

// Start runs a program until it ends, or the test. Before it stand the imports, and one whose
// name is ctx: a context of zmq.
func (z *ZMQ) Start(t testing.TB, program string, args ...string) *Script {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program.py")
	head := "import sys, time, struct, json, pickle, datetime, decimal, uuid, pathlib, zmq\nctx = zmq.Context()\n" + framesPy
	if err := os.WriteFile(path, []byte(head+program), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := start(t, exec.Command(z.python, append([]string{path}, args...)...))
	if err != nil {
		t.Fatal(err)
	}
	return &Script{p, t}
}

// framesPy reads a capture of messages.
const framesPy = `
def frames(name):
    data, at = open(name, 'rb').read(), 0
    while at < len(data):
        (parts,) = struct.unpack_from('>I', data, at)
        at += 4
        message = []
        for _ in range(parts):
            (n,) = struct.unpack_from('>I', data, at)
            message.append(data[at + 4:at + 4 + n])
            at += 4 + n
        yield message
`

// Wait waits until the program has ended, and returns what it printed.
func (s *Script) Wait() string {
	s.t.Helper()
	if !within(3*Patience, func() bool { return !s.running() }) {
		s.t.Fatalf("the program does not end; it said:\n%s", s.output)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Fatalf("the program ended with %d; it said:\n%s", code, s.output)
	}
	return s.output.String()
}

// Output returns what the program has printed so far.
func (s *Script) Output() string { return s.output.String() }
