package severity

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// beforeGuard returns n bytes of memory that a page follows which nobody may read.
func beforeGuard(t *testing.T, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	if err := syscall.Mprotect(memory[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return memory[page-n : page : page]
}

// may says what mark should find out for two bytes.
func may(first, second byte) bool {
	h := inGroups
	return h.firstLow[first&0xf]&h.firstHigh[first>>4]&h.secondLow[second&0xf]&h.secondHigh[second>>4] != 0
}

func checkMark(t *testing.T, line []byte) {
	t.Helper()
	var marks [4]uint64
	mark(&marks, line, inGroups)
	for i := range 256 {
		want := i > 0 && i < len(line) && may(line[i-1], line[i])
		if got := marks[i/64]>>(i%64)&1 == 1; got != want {
			t.Fatalf("%d bytes, byte %d: %v\n%q", len(line), i, got, line)
		}
	}
}

func TestMark(t *testing.T) {
	if !canMark {
		t.Skip("the processor has no SSSE3")
	}
	pairsMarked := 0
	for first := range pairs {
		for second := range pairs {
			if may(byte(first), byte(second)) {
				pairsMarked++
			} else if pairs[first].first&pairs[second].second != 0 {
				t.Errorf("groups miss %q", []byte{byte(first), byte(second)})
			}
		}
	}
	if pairsMarked > 600 {
		t.Errorf("groups have %d pairs", pairsMarked)
	}
	random := rand.New(rand.NewPCG(1, 2))
	memory := beforeGuard(t, 256)
	for n := 16; n <= len(memory); n++ {
		for range 100 {
			line := memory[len(memory)-n:]
			for i := range line {
				line[i] = "TRVESIdlty:=[(<\t\" \xd2"[random.IntN(19)]
			}
			checkMark(t, line)
		}
	}
	line := memory[256-90:]
	for i := range line {
		for c := range 256 {
			line[i] = byte(c)
			checkMark(t, line[:80])
			checkMark(t, line[i%16:])
		}
		line[i] = ':'
	}
}

func FuzzFromWords(f *testing.F) {
	f.Add([]byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" level=error`))
	f.Add([]byte("2026-11-20 17:56:45,088 - shop - ERROR - no stock"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if got, want := fromWords(line), fromPairs(line); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
