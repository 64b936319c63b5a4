package pipeline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
)

func TestFinder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []byte(`ab 5"\Z`)
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return b
	}
	for range 5000 {
		text, needle := random(r.IntN(60)), random(1+r.IntN(5))
		d := newNeedleDriver(needle)
		for from := 0; from <= len(text); from++ {
			want := bytes.Index(text[from:], needle)
			if want >= 0 {
				want += from
			}
			if got := d.find(text, from); got != want {
				t.Fatalf("find(%q, %q, %d) = %d; want %d", text, needle, from, got, want)
			}
		}
	}
}

func TestSequence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	sequences := 0
	for range 5000 {
		var expr string
		for range 1 + r.IntN(5) {
			expr += []string{"a", "b", " ", "5", `\d`, "[ab]", "[5 ]", "(?i:a)", "(?:b5)", "Z", "[0-9]{2}", "z", "n", "u"}[r.IntN(14)]
		}
		s := newSequence(expr)
		if s == nil {
			continue
		}
		sequences++
		re := regexp.MustCompile(expr)
		var text []byte
		for range r.IntN(40) {
			text = append(text, `aAbB5 9Zz`[r.IntN(9)])
		}
		for from := 0; from <= len(text); from++ {
			want := -1
			if at := re.FindIndex(text[from:]); at != nil {
				want = at[0] + from
			}
			if got := s.find(text, from); got != want {
				t.Fatalf("%s: find(%q, %d) = %d; want %d", expr, text, from, got, want)
			}
		}
	}
	if sequences < 3500 {
		t.Errorf("only %d are sequences", sequences)
	}
}

func BenchmarkFind(b *testing.B) {
	var text []byte
	for i := 0; len(text) < 512<<10; i++ {
		text = fmt.Appendf(text, `{"time":"2026-11-20T18:00:00.%09dZ","level":"unknown","body":"100.64.101.214 - - [20/Nov/2026:18:00:00 +0000] \"GET /static/fonts/inter-bb999f17.woff2 HTTP/1.1\" 200 34%d \"https://shop.example.com/blog/2026/11/backpack\" \"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36\" \"-\" rt=0.000 uct=\"-\" uht=\"-\" urt=\"-\" upstream=- rid=61edf51b0028fa9d888463256ef0df06 cache=HIT"}`+"\n", i, i)
	}
	for _, expr := range []string{` 5\d\d `, "(?i)firefox", "timeout", "5123", " 503 "} {
		s := newSequence(expr)
		b.Run(expr, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for at := s.find(text, 0); at >= 0; at = s.find(text, at+1) {
				}
			}
		})
	}
}
