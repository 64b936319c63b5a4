package severity

import (
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/codec/processor"
	"github.com/weirlog/weir/internal/guardtest"
)

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
	if !processor.HasSSSE3 {
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
	memory := guardtest.Before(t, 256)
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
