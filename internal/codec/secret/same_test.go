package secret_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/secret"
)

// The slow and obvious way, by regular expressions: what slowPlaces finds the package has
// to find, and nothing else.

const notEnds = `[^ \t\n\v\f\r"',;&<>)\]}\\]`

var (
	slowTokens = []*regexp.Regexp{
		regexp.MustCompile(`^((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?:[^A-Za-z0-9]|$)`),
		regexp.MustCompile(`^(gh[pousr]_[A-Za-z0-9]{20,})`),
		regexp.MustCompile(`^(github_pat_[A-Za-z0-9_]{20,})`),
		regexp.MustCompile(`^(gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_.\-]{20,})`),
		regexp.MustCompile(`^((?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{15,})`),
		regexp.MustCompile(`^([sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{16,})`),
		regexp.MustCompile(`^(sk-[A-Za-z0-9_\-]{20,})`),
		regexp.MustCompile(`^(AIza[A-Za-z0-9_\-]{30,}|pypi-[A-Za-z0-9_\-]{30,}|dckr_pat_[A-Za-z0-9_\-]{20,})`),
		regexp.MustCompile(`^(npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|dop_v1_[A-Fa-f0-9]{40,}|shpat_[A-Fa-f0-9]{32,})`),
		regexp.MustCompile(`^(AGE-SECRET-KEY-[A-Z0-9]{50,})`),
		regexp.MustCompile(`^(eyJ[A-Za-z0-9_\-]{17,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*){0,3})`),
	}
	slowTokenStart = regexp.MustCompile(`^[A-Za-z0-9_\-]{20}`)
	slowAlnumEnd   = regexp.MustCompile(`[A-Za-z0-9]$`)
	slowEscapeEnd  = regexp.MustCompile(`(?:^|[^\\])(?:\\\\)*\\[nrtbf]$`)
	slowDigit      = regexp.MustCompile(`[0-9]`)

	slowName = regexp.MustCompile(`(?:password|passwd|pwd|passphrase|passcode|secret|token|authorization|[_.\-]pass|` +
		`(?:api|access|account|auth|encryption|master|private|secret|signing)[_\-]?key)(?:\\*["'])?[ \t]*$`)
	slowSign     = regexp.MustCompile(`^(?:==?>?|:=?)[ \t]*`)
	slowOpen     = regexp.MustCompile(`^(\\*)["']`)
	slowScheme   = regexp.MustCompile(`^(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)[ \t]+`)
	slowBare     = regexp.MustCompile(`^(?:` + notEnds + `|\\` + notEnds + `|\\\\)+`)
	slowNotBare  = regexp.MustCompile(`^(?:[:=(\[{]|\$\{)`)
	slowDouble   = regexp.MustCompile(`^(?:[^"\\\n]|\\[^\n])*`)
	slowSingle   = regexp.MustCompile(`^(?:[^'\\\n]|\\[^\n])*`)
	slowTwice    = regexp.MustCompile(`^[^"'\\\n]*`)
	slowHarmless = regexp.MustCompile(`^(?i:null|ni[l]|none|true|fal[s]e|undefined|-|\[\]|\{\}|\**)$`)
	slowQuoted   = regexp.MustCompile(`(\\*")[ \t]*$`)
	slowNesting  = regexp.MustCompile(`\\*"|[\[\]{}]`)

	slowURL    = regexp.MustCompile(`[A-Za-z0-9+.\-]://[^ \t\n\v\f\r/?#:@"'<>]*:([^ \t\n\v\f\r/?#"'<>]+)@`)
	slowMasked = regexp.MustCompile(`^\**$`)
	slowBearer = regexp.MustCompile(`^[Bb](?:earer|EARER) +([A-Za-z0-9._~+/=\-]{16,})`)
	slowKey    = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)`)

	slowEmail = regexp.MustCompile(`[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}`)

	slowCards = []*regexp.Regexp{
		regexp.MustCompile(`^[0-9]{13,19}`),
		regexp.MustCompile(`^[0-9]{4}(?: [0-9]{4}){3}|^[0-9]{4}(?:-[0-9]{4}){3}`),
		regexp.MustCompile(`^[0-9]{4}(?: [0-9]{4}){3} [0-9]{3}|^[0-9]{4}(?:-[0-9]{4}){3}-[0-9]{3}`),
		regexp.MustCompile(`^[0-9]{4} [0-9]{6} [0-9]{5}|^[0-9]{4}-[0-9]{6}-[0-9]{5}`),
		regexp.MustCompile(`^[0-9]{4} [0-9]{6} [0-9]{4}|^[0-9]{4}-[0-9]{6}-[0-9]{4}`),
	}
	slowNotBefore = regexp.MustCompile(`(?:[A-Za-z0-9]|[0-9]\.)$`)
	slowNotAfter  = regexp.MustCompile(`^(?:[A-Za-z0-9]|\.[0-9])`)
	slowIssuer    = regexp.MustCompile(`^(?:4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|(?:222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|` +
		`3[47][0-9]{13}|(?:30[0-5][0-9]|3095|36[0-9]{2}|3[89][0-9]{2})[0-9]{10,15}|(?:6011|64[4-9][0-9]|65[0-9]{2}|352[89]|35[3-8][0-9]|62[0-9]{2}|81[0-9]{2}|220[0-4])[0-9]{12,15}|` +
		`(?:508[0-9]|60[0-9]{2}|82[0-9]{2})[0-9]{12}|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{9,15})$`)
)

// lowered returns text with the letters of ASCII in lower case; (?i) would fold others too.
func lowered(text []byte) []byte {
	low := slices.Clone(text)
	for i, b := range low {
		if 'A' <= b && b <= 'Z' {
			low[i] += 'a' - 'A'
		}
	}
	return low
}

// slowInWord tells whether text ends within a word, and not with an escape of JSON.
func slowInWord(text []byte) bool { return slowAlnumEnd.Match(text) && !slowEscapeEnd.Match(text) }

func slowTokenPlaces(text []byte) (found []secret.Place) {
	for i := 0; i < len(text); i++ {
		if slowInWord(text[:i]) || !slowTokenStart.Match(text[i:]) {
			continue
		}
		for _, re := range slowTokens {
			m := re.FindSubmatch(text[i:])
			if m == nil || strings.HasPrefix(string(m[1]), "sk-") && !slowDigit.Match(m[1]) {
				continue
			}
			found = append(found, secret.Place{Start: i, End: i + len(m[1])})
			i += len(m[1]) - 1
			break
		}
	}
	return found
}

func slowAssignedPlaces(text []byte) (found []secret.Place) {
	low := lowered(text)
	for i := 0; i < len(text); i++ {
		if text[i] != '=' && text[i] != ':' || !slowName.Match(low[:i]) {
			continue
		}
		at := i + len(slowSign.Find(text[i:]))
		quote := 0
		if m := slowQuoted.FindSubmatch(text[:i]); m != nil && text[i] == ':' {
			quote = len(m[1])
		}
		end := func(at int) int {
			if quote > 0 && at < len(text) && (text[at] == '[' || text[at] == '{') {
				return at + slowNested(text[at:], quote)
			}
			if slowNotBare.Match(text[at:]) {
				return at
			}
			return at + len(slowBare.Find(text[at:]))
		}
		if open := slowOpen.FindSubmatch(text[at:]); open != nil {
			re := slowDouble
			if strings.HasSuffix(string(open[0]), "'") {
				re = slowSingle
			}
			if len(open[1]) > 0 {
				re = slowTwice
			}
			at += len(open[0])
			quote = 0
			end = func(at int) int { return at + len(re.Find(text[at:])) }
		}
		if after := at + len(slowScheme.Find(low[at:])); after > at {
			was := quote
			if quote = 0; end(after) > after {
				at = after
			} else {
				quote = was
			}
		}
		if to := end(at); to > at {
			if !slowHarmless.Match(text[at:to]) {
				found = append(found, secret.Place{Start: at, End: to, Quote: quote})
			}
			i = to - 1
		}
	}
	return found
}

// slowNested returns how long an array or object of JSON is.
func slowNested(text []byte, quote int) int {
	depth, inside := 0, false
	for _, m := range slowNesting.FindAllIndex(text, -1) {
		switch b := text[m[1]-1]; {
		case b == '"':
			if (m[1]-m[0]-1)%(2*quote) == quote-1 {
				inside = !inside
			}
		case inside:
		case b == '[' || b == '{':
			depth++
		default:
			depth--
		}
		if depth == 0 {
			return m[1]
		}
	}
	return len(text)
}

func slowSecrets(text []byte) []secret.Place {
	found := append(slowTokenPlaces(text), slowAssignedPlaces(text)...)
	for _, m := range slowURL.FindAllSubmatchIndex(text, -1) {
		if !slowMasked.Match(text[m[2]:m[3]]) {
			found = append(found, secret.Place{Start: m[2], End: m[3]})
		}
	}
	for i := range text {
		if m := slowBearer.FindSubmatchIndex(text[i:]); m != nil && !slowInWord(text[:i]) && slowDigit.Match(text[i+m[2]:i+m[3]]) {
			found = append(found, secret.Place{Start: i + m[2], End: i + m[3]})
		}
	}
	for _, m := range slowKey.FindAllIndex(text, -1) {
		found = append(found, secret.Place{Start: m[0], End: m[1]})
	}
	slices.SortFunc(found, func(a, b secret.Place) int { return a.Start - b.Start })
	var merged []secret.Place
	for _, p := range found {
		if n := len(merged); n > 0 && p.Start < merged[n-1].End {
			if p.Start == merged[n-1].Start {
				merged[n-1].Quote = max(merged[n-1].Quote, p.Quote)
			}
			merged[n-1].End = max(merged[n-1].End, p.End)
			continue
		}
		merged = append(merged, p)
	}
	return merged
}

func slowCardPlaces(text []byte) (found []secret.Place) {
	for i := 0; i < len(text); i++ {
		if slowNotBefore.Match(text[max(i-2, 0):i]) && !slowEscapeEnd.Match(text[:i]) {
			continue
		}
		for _, re := range slowCards {
			n := len(re.Find(text[i:]))
			if n == 0 || slowNotAfter.Match(text[i+n:]) {
				continue
			}
			number := strings.NewReplacer(" ", "", "-", "").Replace(string(text[i : i+n]))
			sum, double := 0, false
			for k := len(number) - 1; k >= 0; k-- {
				d := int(number[k] - '0')
				if double {
					d = d*2/10 + d*2%10
				}
				sum, double = sum+d, !double
			}
			if sum%10 == 0 && slowIssuer.MatchString(number) {
				found = append(found, secret.Place{Start: i, End: i + n})
				i += n - 1
				break
			}
		}
	}
	return found
}

func slowPlaces(k secret.Kind, text []byte) (found []secret.Place) {
	switch k {
	case secret.Secrets:
		return slowSecrets(text)
	case secret.Cards:
		return slowCardPlaces(text)
	}
	for _, m := range slowEmail.FindAllIndex(text, -1) {
		if slowEscapeEnd.Match(text[:m[0]+1]) {
			m[0]--
		}
		found = append(found, secret.Place{Start: m[0], End: m[1]})
	}
	return found
}

// sameAsSlow compares the two ways, and tells if May passes over what is there.
func sameAsSlow(t *testing.T, text string) {
	t.Helper()
	for _, name := range secret.Names() {
		k, _ := secret.Named(name)
		got, want := k.Append(nil, []byte(text)), slowPlaces(k, []byte(text))
		if !slices.Equal(got, want) {
			t.Fatalf("%s in %q: %v; want %v", k, text, got, want)
		}
		if len(want) == 0 {
			continue
		}
		if !k.May([]byte(text)) {
			t.Fatalf("%s in %q is passed over", k, text)
		}
		if escaped := jsontext.Escape(nil, []byte(text)); utf8.ValidString(text) && !k.May(escaped) {
			t.Fatalf("%s in %q, escaped, is passed over", k, escaped)
		}
	}
}

// pieces are what texts for comparing are made of.
var pieces = []string{
	aws, github, slack, stripe, openai, jwt, aws[:12], github[:20], jwt[:30], "eyJ", "sk-", "ghp_", "glpat-", "github_pat_", "xoxb-",
	`"password":`, `\"secret\":`, `["a","b"]`, `{\"a\":[1]}`, `\\\"`, "password", "Passwd", "pwd", "SECRET", "token", "api", "key", "Authorization", "_pass", "_", "-", ".", "Bearer ", "basic ", "BEARER  ",
	"=", ":", "=>", "==", ":=", " ", "  ", "\t", "\n", `"`, "'", `\`, `\"`, `\n`, ",", ";", "&", "<", ">", "(", ")", "[", "]", "{", "}", "${", "|",
	"://", "http://", "user", "@", "host", "/", "?", "#", "*", "****", "null", "False", "a", "Z", "é", "\xff", "0", "42", "x1y2z3x1y2z3x1y2z3",
	"-----BEGIN ", "RSA ", "PRIVATE KEY", " BLOCK", "-----", "-----END ", "MII", "abcdefghijklmnop", "ABCDEFGHIJKLMNOPQRST",
	"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "3782 822463 10005", "4111", "1111", "1", "378282246310005", "6304000000000000", "5555",
	"ann@example.org", "example.org", ".co", ".c",
}

func TestSameAsSlow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var b strings.Builder
		for range 1 + rng.IntN(9) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		sameAsSlow(t, b.String())
	}
}

func FuzzSameAsSlow(f *testing.F) {
	f.Add(nginxLine)
	f.Add(`{"password":"a\"b","x":"Bearer abcdefghijklmnop1"} 4111 1111 1111 1111 x@y.org`)
	f.Add("postgres://u:p@h/ " + jwt + " -----BEGIN EC PRIVATE KEY-----\nx")
	for _, p := range pieces {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1<<10 { // the slow way is slow
			sameAsSlow(t, text)
		}
	})
}
