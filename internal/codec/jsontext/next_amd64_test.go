package jsontext

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/guardtest"
)

func checkNextUnicode(t *testing.T, s []byte, from int) {
	t.Helper()
	want := bytes.Index(s[from:], []byte(`\u`))
	if want >= 0 {
		want += from
	}
	if got := nextUnicodeLong(s, from); got != want {
		t.Fatalf("%d, want %d\n%q from %d", got, want, s, from)
	}
	if got := nextUnicodeWords(s, from); got != want {
		t.Fatalf("%d in words, want %d\n%q from %d", got, want, s, from)
	}
}

func TestNextUnicode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	memory := guardtest.Before(t, 100)
	for n := 17; n <= len(memory); n++ {
		s := memory[len(memory)-n:]
		for range 200 {
			for i := range s {
				s[i] = `abcdefghijklmnopqrst\]uu`[random.IntN(24)]
				if s[i] == 'u' && i > 0 && s[i-1] == '\\' && random.IntN(20) > 0 {
					s[i] = 'n'
				}
			}
			checkNextUnicode(t, s, random.IntN(n-16))
		}
	}
	for _, fill := range []string{"x", `\]`, "u"} {
		for i := range memory {
			memory[i] = fill[i%len(fill)]
		}
		for i := range memory {
			was := memory[i]
			for c := range 256 {
				memory[i] = byte(c)
				checkNextUnicode(t, memory[:80], 0)
				checkNextUnicode(t, memory[i%33:], i%17)
			}
			memory[i] = was
		}
	}
	for n := range 17 {
		if got := NextUnicode([]byte(`ab\n\]\"cde\u0026`)[:n], min(n, 2)); got >= 0 != (n > 12) {
			t.Errorf("%d of %d bytes", got, n)
		}
	}
}

func FuzzNextUnicode(f *testing.F) {
	f.Add([]byte(`GET /a?b=c\u0026d \"-\" \n`), uint8(3))
	f.Fuzz(func(t *testing.T, s []byte, from uint8) {
		if len(s)-int(from) >= 17 {
			checkNextUnicode(t, s, int(from))
		}
	})
}
