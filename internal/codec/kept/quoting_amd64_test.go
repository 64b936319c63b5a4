package kept

import (
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/guardtest"
)

// quotingBytes is quotingLong, byte by byte.
func quotingBytes(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\':
			if i+1 == len(b) || b[i+1] != '"' {
				return i
			}
			i++
		case c < ' ' || c >= 0x7f || c == '"':
			return i
		}
	}
	return len(b)
}

func checkQuoting(t *testing.T, b []byte) {
	t.Helper()
	want := quotingBytes(b)
	if got := quotingLong(b); got != want {
		t.Fatalf("%d of %d bytes, want %d\n%q", got, len(b), want, b)
	}
	if got := quotingWords(b); got > want {
		t.Fatalf("%d of %d bytes in words, want at most %d\n%q", got, len(b), want, b)
	}
}

func TestQuotingLong(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	memory := guardtest.Before(t, 100)
	pieces := []string{`\"`, `\"`, `\"`, `\"`, " ", "~", "abcdef", "GET / HTTP/1.1"}
	for n := 16; n <= len(memory); n++ {
		b := memory[len(memory)-n:]
		for range 200 {
			var text []byte
			for len(text) < n {
				text = append(text, pieces[random.IntN(len(pieces))]...)
			}
			copy(b, text) // maybe with half of the last piece
			checkQuoting(t, b)
			b[random.IntN(n)] = "\\\"n\x1f\x7f\x80"[random.IntN(6)]
			checkQuoting(t, b)
		}
	}
	for _, fill := range []string{"x", `\"`, `"\`} {
		for i := range memory {
			memory[i] = fill[i%len(fill)]
		}
		for i := range memory {
			was := memory[i]
			for c := range 256 {
				memory[i] = byte(c)
				checkQuoting(t, memory[:80])
				checkQuoting(t, memory[i%33:])
			}
			memory[i] = was
		}
	}
}

func FuzzQuoting(f *testing.F) {
	f.Add([]byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a?b=c\u0026d HTTP/1.1\" 200 512 \"-\" \"curl/8\"`))
	f.Add([]byte(`\"\"\"\"\"\"\"\\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 16 {
			checkQuoting(t, b)
		}
	})
}
