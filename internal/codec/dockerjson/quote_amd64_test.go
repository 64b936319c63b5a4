package dockerjson

import (
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/guardtest"
)

func checkLooseQuote(t *testing.T, b []byte, from int) {
	t.Helper()
	want := -1
	for i := from; i < len(b) && want < 0; i++ {
		if b[i] == '"' && b[i-1] != '\\' {
			want = i
		}
	}
	if got := looseQuoteLong(b, from); got != want {
		t.Fatalf("%d, want %d\n%q from %d", got, want, b, from)
	}
	if got := looseQuoteWords(b, from); got != want {
		t.Fatalf("%d in words, want %d\n%q from %d", got, want, b, from)
	}
}

func TestLooseQuoteLong(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	memory := guardtest.Before(t, 100)
	for n := 17; n <= len(memory); n++ {
		b := memory[len(memory)-n:]
		for range 200 {
			for i := range b {
				b[i] = "abcdefghij\\\""[random.IntN(12)]
				if b[i] == '"' && i > 0 && random.IntN(40) > 0 {
					b[i-1] = '\\'
				}
			}
			checkLooseQuote(t, b, 1+random.IntN(n-16))
		}
	}
	for _, fill := range []string{"x", `\"`, `\`} {
		for i := range memory {
			memory[i] = fill[i%len(fill)]
		}
		for i := range memory {
			was := memory[i]
			for c := range 256 {
				memory[i] = byte(c)
				checkLooseQuote(t, memory[:80], 1)
				checkLooseQuote(t, memory[i%33:], 1+i%17)
			}
			memory[i] = was
		}
	}
}

func FuzzLooseQuote(f *testing.F) {
	f.Add([]byte(`{"log":"GET \"/\" 200\n","stream":"stdout","time":"2026-11-20T18:07:46.11701285Z"}`), uint8(7))
	f.Fuzz(func(t *testing.T, b []byte, from uint8) {
		if at := int(from) + 1; len(b)-at >= 16 {
			checkLooseQuote(t, b, at)
		}
	})
}
