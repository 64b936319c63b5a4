package scan

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

// sample is a pattern and a text that it fits.
type sample struct {
	expr string
	text []byte
}

// samples returns nginx.regex with the lines of docker.txt, then the patterns of
// patterns.txt.
func samples(tb testing.TB) []sample {
	tb.Helper()
	var all []sample
	arena, bodies := dataset(tb, false)
	for i := 0; i < len(bodies); i += 5 {
		b := bodies[i]
		all = append(all, sample{nginxRegex(tb), arena[b.Off : b.Off+b.Len]})
	}
	text, err := os.ReadFile("testdata/patterns.txt")
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[1:]
	for i := 0; i+1 < len(lines); i += 2 {
		all = append(all, sample{lines[i], []byte(lines[i+1])})
	}
	return all
}

func compileBoth(tb testing.TB, expr string) (*Pattern, *regexp.Regexp) {
	tb.Helper()
	p, err := Compile(expr)
	if err != nil {
		tb.Fatalf("Compile(%q): %v", expr, err)
	}
	return p, regexp.MustCompile(expr)
}

// mutate returns text with some places changed.
func mutate(text []byte, rng *rand.Rand) []byte {
	out := bytes.Clone(text)
	for range rng.IntN(4) {
		if len(out) == 0 {
			break
		}
		at := rng.IntN(len(out))
		switch rng.IntN(4) {
		case 0:
			out[at] = text[rng.IntN(len(text))]
		case 1:
			out = append(out[:at], out[at+1:]...)
		case 2:
			out = append(out[:at:at], append([]byte([]string{" ", `"`, `\`, "é", "<&>", "\n", "]", "\xff", "-"}[rng.IntN(9)]), out[at:]...)...)
		case 3:
			out = out[:at]
		}
	}
	return out
}

// TestSamples checks real patterns, on text that they fit and text that they just do not.
func TestSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	odd := 0
	for _, s := range samples(t) {
		p, re := compileBoth(t, s.expr)
		if ok, why := p.Engine(); !ok {
			t.Errorf("%s is not scanned for: %s", s.expr, why)
		}
		if !re.Match(s.text) {
			if odd++; !strings.Contains(s.expr, "remote_addr") {
				t.Errorf("%s does not fit %q", s.expr, s.text)
			}
		}
		sameAsRegexp(t, p, re, s.text, rng)
		mutants := 40
		if p.line != nil {
			mutants = 8
		}
		for range mutants {
			sameAsRegexp(t, p, re, mutate(s.text, rng), rng)
		}
	}
	if odd > 5 {
		t.Errorf("%d samples do not match", odd)
	}
}

// TestCapture counts what nginx.regex finds in lines as a container's log file has them:
// those that it misses, such as requests without three words, are missed.
func TestCapture(t *testing.T) {
	arena, err := os.ReadFile("testdata/container.log")
	if err != nil {
		t.Fatal(err)
	}
	p, re := compileBoth(t, nginxRegex(t))
	rng := rand.New(rand.NewPCG(8, 9))
	row := make([]record.Span, len(p.Names()))
	counts, off := map[string]int{}, 0
	for line := range bytes.Lines(arena) {
		from := off + len(`{"log":"`)
		to := off + bytes.Index(line, []byte(`\n","stream"`))
		off += len(line)
		body := record.Span{Off: uint32(from), Len: uint32(to - from)}
		switch p.Match(row, arena, body, true) {
		case Matched:
			counts[string(arena[row[4].Off:row[4].Off+row[4].Len])]++
		case NeedPlain:
			t.Errorf("has to be unescaped: %s", line)
		}
		sameAsRegexp(t, p, re, unescape(t, arena[from:to]), rng)
	}
	if want := map[string]int{"200": 13, "404": 3, "301": 1, "500": 1}; !maps.Equal(counts, want) {
		t.Errorf("statuses %v, want %v", counts, want)
	}
}

func FuzzSameAsRegexp(f *testing.F) {
	for i, s := range samples(f) {
		f.Add(uint64(i), s.expr, s.text)
	}
	f.Add(uint64(7), "", []byte(`a "b" \ é`))
	f.Fuzz(func(t *testing.T, seed uint64, expr string, text []byte) {
		rng := rand.New(rand.NewPCG(seed, 1))
		if expr == "" {
			g := &grammar{rng: rng}
			expr = g.expr(3)
		}
		if len(expr) > 300 || len(text) > 1000 {
			return
		}
		re, err := regexp.Compile(expr)
		p, err2 := Compile(expr)
		if (err == nil) != (err2 == nil) && !strings.Contains(fmt.Sprint(err2), "duplicate") {
			t.Fatalf("Compile(%q): %v, regexp %v", expr, err2, err)
		}
		if err2 != nil {
			return
		}
		sameAsRegexp(t, p, re, text, rng)
		p.Stopped(text)
		// Whatever is said to be escaped must do no harm.
		row := make([]record.Span, len(p.Names()))
		arena := append([]byte("ab"), text...)
		body := record.Span{Off: 2, Len: uint32(len(text))}
		if p.Match(row, arena, body, true) == Matched {
			for i, s := range row {
				if s != (record.Span{}) && (s.Off < body.Off || s.Off+s.Len > body.Off+body.Len) {
					t.Fatalf("%q: %s is %v, beyond the body %v", expr, p.Names()[i], s, body)
				}
			}
		}
	})
}

func TestEngine(t *testing.T) {
	scanned := func(expr string, want bool, why string) {
		t.Helper()
		p, _ := compileBoth(t, expr)
		if ok, got := p.Engine(); ok != want || !strings.Contains(got, why) {
			t.Errorf("%s: %v %q, want %v %q", expr, ok, got, want, why)
		}
	}
	scanned(nginxRegex(t), true, "")
	scanned(`(?:a*b?)*c`, false, "repeats something that can be empty")
	scanned("a\ufffd", false, "U+FFFD")
	scanned(`(?:(?:(?:[ab][bc]\d){9}c){9}d){9}`, false, "repetitions")

	p, _ := compileBoth(t, nginxRegex(t))
	if p.line == nil {
		t.Error("nginx.regex has choices")
	}
	for i, q := range p.line.quick[1] {
		if q.try == tryNone {
			t.Errorf("segment %d of nginx.regex has no short cut", i)
		}
	}
}

// TestFallback checks the results of patterns that regexp decides.
func TestFallback(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	p, re := compileBoth(t, `(?P<a>(?:a*b?)*)(?P<b>c)(?P<none>x)?`)
	for _, text := range []string{"aabac", "", "ab", "xxc", `a"c`, "a\\c"} {
		sameAsRegexp(t, p, re, []byte(text), rng)
	}
	row := make([]record.Span, 3)
	arena := []byte(`aba\"c`)
	if got := p.Match(row, arena, record.Span{Len: 6}, true); got != NeedPlain {
		t.Errorf("escaped text: %d, want NeedPlain", got)
	}
	if got := p.Match(row, arena, record.Span{Len: 3}, true); got != NoMatch {
		t.Errorf("escaped text without a backslash: %d, want NoMatch", got)
	}
	if got := p.Stopped([]byte("aab")); got != 3 {
		t.Errorf("stopped at %d, want 3", got)
	}
}

func TestErrors(t *testing.T) {
	for _, expr := range []string{`(?P<a>x`, `[z-a]`, `a**`, `\1`, `(?=x)`} {
		_, err := Compile(expr)
		_, want := regexp.Compile(expr)
		if err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("Compile(%q): %v, want %v", expr, err, want)
		}
	}
	if _, err := Compile(`(?P<a>x)|(?P<a>y)`); err == nil || !strings.Contains(err.Error(), "duplicate group name: `a`") {
		t.Errorf("two groups of one name: %v", err)
	}
}

// TestMalformed checks that text with escapes that JSON does not have is not decided on.
func TestMalformed(t *testing.T) {
	p, _ := compileBoth(t, `a(?P<x>.*)b`)
	row := make([]record.Span, 1)
	for _, text := range []string{`a\xb`, `a\u12b`, `a\u12g4b`, `a\`, `\`} {
		if got := p.Match(row, []byte(text), record.Span{Len: uint32(len(text))}, true); got != NeedPlain {
			t.Errorf("%s: %d, want NeedPlain", text, got)
		}
	}
}

// TestBounded checks that patterns with very many ways to match end, with regexp's result.
func TestBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, expr := range []string{
		`(?P<x>(?:a+)+)b`, `(?:a|aa)+(?P<x>b)`, `(?P<x>a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaa)c`, `(?:.*,){8}(?P<x>.*)z`,
		`(?P<x>.*.*.*=.*)z`, `a[^b]*b(?P<x>c)`, `(?:\S+ )*(?P<x>\S+)!`, `(?P<x>a|b|ab)*c`, `^(?P<x>(?:\\.|[^"])*)"$`, `(?P<x>\w+)\d(?P<y>\w+)\d!`,
	} {
		p, re := compileBoth(t, expr)
		for _, piece := range []string{"a", "ab", "a,", "a ", `a\`, "=", "é", "1"} {
			sameAsRegexp(t, p, re, bytes.Repeat([]byte(piece), 1000), rng)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	arena, bodies := dataset(t, true)
	for _, expr := range []string{
		nginxRegex(t), `^(?P<ip>\S+) .*? "(?P<request>[^"]*)" (?P<status>\d{3}|-) (?P<rest>.*)$`, `(?P<user>[a-z]+ )?(?i:CACHE)=(?P<c>HIT|MISS)`,
	} {
		p, _ := compileBoth(t, expr)
		if raceDetector && p.insts != nil {
			continue
		}
		row := make([]record.Span, len(p.Names()))
		if n := testing.AllocsPerRun(5, func() {
			for _, b := range bodies {
				p.Match(row, arena, b, true)
			}
		}); n > 1 { // the memory that backtracking uses may be collected and made anew
			t.Errorf("%s: %v allocations in %d lines", expr, n, len(bodies))
		}
	}
}

func TestStopped(t *testing.T) {
	stopped := func(expr, text, left string) {
		t.Helper()
		p, _ := compileBoth(t, expr)
		if at := p.Stopped([]byte(text)); text[at:] != left {
			t.Errorf("%s stopped before %q, want %q", expr, text[at:], left)
		}
	}
	stopped(`^(?P<a>\S+) (?P<b>\d+)$`, "word 12x", "x")
	stopped(`^(?P<a>\S+) (?P<b>\d+)$`, "word x", "x")
	stopped(`(?P<a>\w+)=(?P<b>\d+|-);`, "a b c=1, d", ", d")
	stopped(`^(?P<a>\w+)=(?P<b>\d+)?;`, "c=1, d", ", d")
	stopped(`(?P<a>[^"]*)" (?P<status>\d+)`, `abc" "x`, `"x`)
}

func TestConcurrent(t *testing.T) {
	arena, bodies := dataset(t, true)
	p, _ := compileBoth(t, `^(?P<ip>\S+) .*? "(?P<request>.*?)" (?P<status>\d{3}|-) (?P<rest>.*)$`)
	counts := make(chan int)
	for range 4 {
		go func() {
			n := 0
			row := make([]record.Span, len(p.Names()))
			for _, b := range bodies {
				if p.Match(row, arena, b, true) == Matched {
					n++
				}
			}
			counts <- n
		}()
	}
	first := <-counts
	for range 3 {
		if n := <-counts; n != first || n == 0 {
			t.Errorf("%d and %d matches", n, first)
		}
	}
}

func ExamplePattern_Match() {
	p, err := Compile(`(?P<path>/\S*) .*(?P<status>\d{3})$`)
	if err != nil {
		fmt.Println(err)
		return
	}
	arena := []byte(`\"GET /a?b\u0026c HTTP/1.1\" 404`)
	row := make([]record.Span, len(p.Names()))
	if p.Match(row, arena, record.Span{Len: uint32(len(arena))}, true) == Matched {
		for i, name := range p.Names() {
			fmt.Printf("%s=%s\n", name, arena[row[i].Off:row[i].Off+row[i].Len])
		}
	}
	// Output:
	// path=/a?b\u0026c
	// status=404
}
