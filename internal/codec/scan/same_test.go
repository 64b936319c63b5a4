package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

// The ways in which programs write text inside JSON strings.
const (
	dockerStyle  = iota // short escapes, \u00XX for other controls and <>&
	minimalStyle        // only what has to be
	unicodeStyle        // everything as \uXXXX
	mixedStyle          // each character in some way
	styles
)

// escapeAs appends text as the inside of a JSON string. Bytes that are not UTF-8 stay.
func escapeAs(dst []byte, text []byte, style int, rng *rand.Rand) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		char := text[:n]
		text = text[n:]
		how := style
		if style == mixedStyle {
			how = rng.IntN(mixedStyle)
		}
		short := strings.IndexByte("\"\\\n\r\t\b\f/", char[0])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, char...)
		case how == unicodeStyle:
			for _, u := range utf16.AppendRune(nil, r) {
				dst = fmt.Appendf(dst, []string{"\\u%04x", "\\u%04X"}[rng.IntN(2)], u)
			}
		case short >= 0 && (short < 7 || how == minimalStyle && rng.IntN(4) == 0):
			dst = append(dst, '\\', `"\nrtbf/`[short])
		case r < ' ' || how == dockerStyle && strings.ContainsRune("<>&\u2028", r):
			dst = fmt.Appendf(dst, "\\u%04x", r)
		default:
			dst = append(dst, char...)
		}
	}
	return dst
}

// unescape is the inverse, with encoding/json, which replaces what is not UTF-8: so that is
// taken out first.
func unescape(tb testing.TB, s []byte) []byte {
	tb.Helper()
	var out []byte
	for len(s) > 0 {
		n := 0
		for n < len(s) {
			if r, size := utf8.DecodeRune(s[n:]); r != utf8.RuneError || size != 1 {
				n += size
			} else {
				break
			}
		}
		var text string
		if err := json.Unmarshal([]byte(`"`+string(s[:n])+`"`), &text); err != nil {
			tb.Fatalf("a piece of escaped text is cut within an escape: %q: %v", s, err)
		}
		out = append(out, text...)
		if s = s[n:]; len(s) > 0 {
			out = append(out, s[0])
			s = s[1:]
		}
	}
	return out
}

// sameAsRegexp checks that p does on text what re does, in all styles. It returns how many
// escaped forms had to be unescaped.
func sameAsRegexp(tb testing.TB, p *Pattern, re *regexp.Regexp, text []byte, rng *rand.Rand) (needed int) {
	tb.Helper()
	want := re.FindSubmatchIndex(text)
	// What is around a body in its arena must not matter.
	around := func(body []byte) (arena []byte, span record.Span) {
		pad := bytes.Repeat([]byte(`a\" `), rng.IntN(3)+1)
		arena = append(append(append(arena, pad...), body...), pad[:rng.IntN(len(pad))]...)
		return arena, record.Span{Off: uint32(len(pad)), Len: uint32(len(body))}
	}
	row := make([]record.Span, len(p.Names()))
	for style := -1; style < styles; style++ {
		body := text
		if style >= 0 {
			body = escapeAs(nil, text, style, rng)
		}
		arena, span := around(body)
		got := p.Match(row, arena, span, style >= 0)
		where := fmt.Sprintf("pattern %q, text %q, style %d %q", re, text, style, body)
		if got == NeedPlain && style >= 0 {
			needed++
			continue
		}
		if (got == Matched) != (want != nil) || got == NeedPlain {
			tb.Fatalf("%s: result %d, regexp %v", where, got, want)
		}
		for i, g := range p.groupsOf(re) {
			if want == nil {
				break
			}
			from, to := want[2*g], want[2*g+1]
			if from < 0 {
				if row[i] != (record.Span{}) {
					tb.Fatalf("%s: group %d is %v, but took no part", where, g, row[i])
				}
				continue
			}
			if row[i].Off < span.Off || row[i].Off+row[i].Len > span.Off+span.Len {
				tb.Fatalf("%s: group %d is %v, beyond the body %v", where, g, row[i], span)
			}
			before, piece := arena[span.Off:row[i].Off], arena[row[i].Off:row[i].Off+row[i].Len]
			if style >= 0 {
				before, piece = unescape(tb, before), unescape(tb, piece)
			}
			if len(before) != from || string(piece) != string(text[from:to]) {
				tb.Fatalf("%s: group %d is %q at %d, regexp %q at %d", where, g, piece, len(before), text[from:to], from)
			}
		}
	}
	return needed
}

// groupsOf returns the numbers of the groups with names.
func (p *Pattern) groupsOf(re *regexp.Regexp) []int {
	var groups []int
	for i, name := range re.SubexpNames() {
		if name != "" {
			groups = append(groups, i)
		}
	}
	return groups
}

// grammar makes expressions that use all that the compiler knows, and text for them, from
// few characters so that they often match.
type grammar struct {
	rng    *rand.Rand
	groups int
}

func (g *grammar) pick(from ...string) string { return from[g.rng.IntN(len(from))] }

func (g *grammar) expr(depth int) string {
	var b strings.Builder
	for range g.rng.IntN(4) + 1 {
		b.WriteString(g.item(depth))
	}
	if g.rng.IntN(6) == 0 {
		b.WriteString("|" + g.item(depth))
	}
	return b.String()
}

func (g *grammar) item(depth int) string {
	var s string
	switch n := g.rng.IntN(12); {
	case n < 3 || depth == 0 && n > 7:
		s = g.pick("a", "b", "ab", " ", `"`, `" `, "é", "-", "0", "k", "s", `\n`, "&", "/", `\\`, "aba", " - ", "€b", "😀", `\t`, "u", "n")
		if len(s) > 1 && s[0] != '\\' {
			return s
		}
	case n < 7:
		s = g.pick(`\S`, `\s`, `\d`, `\w`, `\W`, `[^"]`, `[ab]`, `[^a]`, `[a-z]`, `.`, `(?s:.)`, `[à-ü]`, `\pL`, `[^\x00-\x7f]`,
			`(?i:k)`, `[^ "]`, `[^\]]`, `[a&/]`, `[^\\]`, `[\\"]`, `[b-é]`, `(?i:[a-z])`, `[0-9a-f]`, `[^a\n]`, `[a-é]`, `[!-~]`, `[^ab-]`)
	case n < 8:
		return g.pick(`^`, `$`, `\b`, `\B`, `(?m:^)`, `(?m:$)`, `\A`, `\z`, ``, `(?i:sk)`, `(?i:aé)`)
	case n < 10:
		g.groups++
		name := fmt.Sprintf("g%d", g.groups)
		s = "(?P<" + name + ">" + g.expr(depth-1) + ")"
	default:
		s = g.pick("(", "(?:", "(?U:", "(?i:", "(?s:", "(?m:") + g.expr(depth-1) + ")"
	}
	if g.rng.IntN(2) == 0 {
		s += g.pick("*", "+", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}", "{2,}", "{1,2}?")
	}
	return s
}

func (g *grammar) text() []byte {
	var b []byte
	for range g.rng.IntN(24) {
		b = append(b, g.pick("a", "a", "b", "ab", " ", `"`, `" `, "é", "-", "0", "1", "k", "s", "\n", "&", "/", `\`, "]", "€", "😀", "\t",
			"\xff", "\xc3", "\xa9", "\u017f", "\u212a", "\ufffd", "\x00", "u", "n", "\v", "<", "\xe2\x82", "A")...)
	}
	return b
}

func TestSameAsRegexp(t *testing.T) {
	tries := 3000
	if testing.Short() {
		tries = 1000
	}
	programs, needed := 0, 0
	for seed := range tries {
		g := &grammar{rng: rand.New(rand.NewPCG(uint64(seed), 1))}
		expr := g.expr(2)
		if seed%2 == 0 {
			expr = "(?P<all>" + expr + ")"
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			continue
		}
		p, err := Compile(expr)
		if err != nil {
			t.Fatalf("Compile(%q): %v", expr, err)
		}
		if ok, _ := p.Engine(); !ok {
			continue
		}
		programs++
		for range 8 {
			needed += sameAsRegexp(t, p, re, g.text(), g.rng)
		}
	}
	t.Logf("%d programs, %d of %d escaped texts needed to be unescaped", programs, needed, programs*8*styles)
	if programs < tries/2 {
		t.Errorf("only %d of %d expressions became programs", programs, tries)
	}
}
