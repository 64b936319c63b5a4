package console

import (
	"bytes"
	"testing"
)

const hostile = "a\x1b]0;own\a\tb\xff\u202e\u009b31m\nß世\r\n"

// TestGuard hands text on in pieces of all lengths, also such as divide letters.
func TestGuard(t *testing.T) {
	for size := 1; size <= len(hostile); size++ {
		for terminal, want := range map[bool]string{false: hostile, true: "a\\x1b]0;own\\x07\tb\\xff\\u202e\\u009b31m\nß世\\r\n"} {
			var out bytes.Buffer
			g := &Guard{w: &out, terminal: terminal}
			for at := 0; at < len(hostile); at += size {
				piece := hostile[at:min(at+size, len(hostile))]
				if n, err := g.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("%q: %d, %v", piece, n, err)
				}
			}
			if err := g.Flush(); err != nil || out.String() != want {
				t.Errorf("in pieces of %d, terminal %v: %q, %v; want %q", size, terminal, out.String(), err, want)
			}
		}
	}
}

// TestGuardFlush: half a letter at the end is shown too.
func TestGuardFlush(t *testing.T) {
	var out bytes.Buffer
	g := &Guard{w: &out, terminal: true}
	_, err := g.Write([]byte("a\xe4\xb8"))
	if err != nil || out.String() != "a" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := g.Flush(); err != nil || out.String() != `a\xe4\xb8` {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte(hostile), 3)
	f.Add([]byte("\xe4\xb8\x1b[31m"), 1)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		var out, whole bytes.Buffer
		g, once := &Guard{w: &out, terminal: true}, &Guard{w: &whole, terminal: true}
		size = max(size, 1)
		for at := 0; at < len(text); at += min(size, len(text)-at) {
			_, _ = g.Write(text[at:min(len(text), at+min(size, len(text)-at))])
		}
		_, _ = once.Write(text)
		if g.Flush() != nil || once.Flush() != nil || out.String() != whole.String() {
			t.Errorf("in pieces %q, at once %q", out.String(), whole.String())
		}
		for _, c := range out.Bytes() {
			if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
				t.Fatalf("%q is not harmless", out.String())
			}
		}
	})
}
