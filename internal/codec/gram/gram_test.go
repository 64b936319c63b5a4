package gram_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/gram"
)

func TestMayContain(t *testing.T) {
	var b gram.Builder
	add := func(bodies ...string) []byte {
		for _, body := range bodies {
			b.Add([]byte(body))
		}
		return b.AppendFilter(nil)
	}
	filter := add(`GET /index.html \"ok\"`, "", "abc", "größer", `{"rid":"61edf51b0028fa9d888463256ef0df06"}`, "Kelvin sky")
	may := func(needle string, fold, want bool) {
		t.Helper()
		if got := gram.NewQuery([]byte(needle), fold).MayContain(filter); got != want {
			t.Errorf("MayContain(%q), fold %v: %v", needle, fold, got)
		}
	}
	for _, needle := range []string{"", "GET", "/index", `html \"ok\"`, "größer", "f51b0028fa9d8884", "INDEX"} {
		may(needle, false, true)
	}
	may("get /INDEX.HTML", true, true)
	may("GRÖSSER", true, true)         // nothing but ASCII may be asked for
	may("\u212aelvin sky", true, true) // KELVIN SIGN
	may("kelvin \u017fky", true, true) // LATIN SMALL LETTER LONG S
	may("absent thing", false, false)
	may("POST /", false, false)
	may("POST /quu", true, false)
	may("xyz", false, true) // too short to ask
	may("deadbeefdeadbeefcafe1234567890", false, false)

	filter = add("something else")
	may("/index", false, false)
	filter = nil
	may("/index", false, true)
	filter = make([]byte, 33)
	may("/index", false, true)
	filter = make([]byte, 32)
	may("/index", false, false)
}

// TestSizes: a filter grows with what it holds, and stays useful.
func TestSizes(t *testing.T) {
	var b gram.Builder
	r := rand.New(rand.NewPCG(1, 2))
	last := 0
	for _, n := range []int{0, 10, 100, 1000, 10_000, 100_000, 1_000_000} {
		text := make([]byte, n)
		for i := range text {
			text[i] = "ghijklmnopqrtuvwxyz /.-"[r.IntN(23)]
		}
		b.Add(text)
		filter := b.AppendFilter([]byte("x"))[1:]
		if len(filter)&(len(filter)-1) != 0 || len(filter) < last || n <= 100 && len(filter) != 32 {
			t.Errorf("%d random letters make %d bytes", n, len(filter))
		}
		last = len(filter)
	}
}

// TestRuns looks for every part of texts in which identifiers of all lengths begin and end.
func TestRuns(t *testing.T) {
	var b gram.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var body []byte
		for len(body) < 60 {
			for range r.IntN(20) {
				body = append(body, "0123456789abcdefABCDEF-.:/"[r.IntN(26)])
			}
			body = append(body, "xyk s\\\"\xc3\xa9"[r.IntN(9)])
		}
		b.Add(body)
		filter := b.AppendFilter(nil)
		for i := range body {
			for j := i; j <= len(body); j++ {
				for _, ignoreCase := range []bool{false, true} {
					if !gram.NewQuery(body[i:j], ignoreCase).MayContain(filter) {
						t.Fatalf("%q has no %q", body, body[i:j])
					}
				}
			}
		}
	}
}

// TestIdentifiers: in a block with one random identifier a line, others are told apart, and
// so are words.
func TestIdentifiers(t *testing.T) {
	var b gram.Builder
	r := rand.New(rand.NewPCG(1, 2))
	const lines = 1200
	id := func() string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) }
	for range lines {
		b.Add([]byte("GET /static/fonts/inter.woff2 HTTP/1.1 200 34105 rid=" + id() + " cache=HIT"))
	}
	filter := b.AppendFilter(nil)
	check := func(name string, most int, needle func() string) {
		t.Helper()
		maybe := 0
		for range 1000 {
			if gram.NewQuery([]byte(needle()), false).MayContain(filter) {
				maybe++
			}
		}
		if maybe > most {
			t.Errorf("%d of 1000 absent %s may be contained; want at most %d", maybe, name, most)
		}
	}
	check("identifiers", 5, id)
	check("halves of identifiers", 50, func() string { return id()[:16] })
	check("words", 5, func() string {
		word := make([]byte, 10)
		for i := range word {
			word[i] = "ghijklmnopqrstuvwxyz"[r.IntN(20)]
		}
		return string(word)
	})
	if len(filter) > 8192 {
		t.Errorf("%d bytes", len(filter))
	}
}

// FuzzMayContain looks for parts of what was added.
func FuzzMayContain(f *testing.F) {
	f.Add("GET /index.html 200", uint16(3), uint16(9), true)
	f.Add("61edf51b0028fa9d888463256ef0df06", uint16(3), uint16(20), false)
	f.Add("at 127.0.0.1:8080, 61edf51b-0028-fa9d-8884-63256ef0df06", uint16(7), uint16(30), false)
	f.Add("gr\u00f6\u00dfer Kelvin sky \u212a\u017f", uint16(0), uint16(30), true)
	var b gram.Builder
	f.Fuzz(func(t *testing.T, body string, from, n uint16, upper bool) {
		b.Add([]byte("another body"))
		b.Add([]byte(body))
		filter := b.AppendFilter(nil)
		i := min(int(from), len(body))
		needle := body[i:min(i+int(n), len(body))]
		if !gram.NewQuery([]byte(needle), false).MayContain(filter) {
			t.Errorf("%q has no %q", body, needle)
		}
		other := strings.ToLower(needle)
		if upper {
			other = strings.ToUpper(needle)
		}
		if strings.EqualFold(needle, other) && !gram.NewQuery([]byte(other), true).MayContain(filter) {
			t.Errorf("%q has no %q", body, other)
		}
		gram.NewQuery([]byte(needle), upper).MayContain([]byte(body))
	})
}

func TestNoAllocations(t *testing.T) {
	b := &gram.Builder{}
	body := bytes.Repeat([]byte("GET /index.html 61edf51b0028fa9d888463256ef0df06"), 10)
	filter := make([]byte, 0, 1<<13)
	q := gram.NewQuery([]byte("index"), false)
	if n := testing.AllocsPerRun(100, func() {
		b.Add(body)
		filter = b.AppendFilter(filter[:0])
		if !q.MayContain(filter) {
			t.Error("index is missing")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
