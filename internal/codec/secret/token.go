package secret

// minToken is how many bytes of class token a token begins with at least, its prefix
// included.
const minToken = 20

// issuedToken is how the tokens of an issuer look.
type issuedToken struct {
	prefix string
	of     func(b byte) bool // bytes after the prefix
	least  int               // how many of these
	most   int               // 0: no bound
	digit  bool              // there is one among these
}

func isToken(b byte) bool  { return is(b, token) }
func isAlnum(b byte) bool  { return is(b, letter|digit) }
func isUpper(b byte) bool  { return 'A' <= b && b <= 'Z' || is(b, digit) }
func isHex(b byte) bool    { return is(b, digit) || 'a' <= lower(b) && lower(b) <= 'f' }
func isSlack(b byte) bool  { return is(b, letter|digit) || b == '-' }
func isGitHub(b byte) bool { return is(b, letter|digit) || b == '_' }
func isGitLab(b byte) bool { return is(b, token) || b == '.' }

// issuedTokens are grouped by their first byte, so that few are tried.
var issuedTokens = byFirst([]issuedToken{
	{prefix: "AKIA", of: isUpper, least: 16, most: 16}, {prefix: "ASIA", of: isUpper, least: 16, most: 16}, // AWS
	{prefix: "ABIA", of: isUpper, least: 16, most: 16}, {prefix: "ACCA", of: isUpper, least: 16, most: 16},
	{prefix: "ghp_", of: isAlnum, least: 20}, {prefix: "gho_", of: isAlnum, least: 20}, {prefix: "ghu_", of: isAlnum, least: 20}, // GitHub
	{prefix: "ghs_", of: isAlnum, least: 20}, {prefix: "ghr_", of: isAlnum, least: 20}, {prefix: "github_pat_", of: isGitHub, least: 20},
	{prefix: "glpat-", of: isGitLab, least: 20}, {prefix: "gldt-", of: isGitLab, least: 20}, {prefix: "glrt-", of: isGitLab, least: 20}, // GitLab
	{prefix: "glcbt-", of: isGitLab, least: 20}, {prefix: "glptt-", of: isGitLab, least: 20}, {prefix: "glft-", of: isGitLab, least: 20},
	{prefix: "glsoat-", of: isGitLab, least: 20}, {prefix: "glagent-", of: isGitLab, least: 20},
	{prefix: "xoxa-", of: isSlack, least: 15}, {prefix: "xoxb-", of: isSlack, least: 15}, {prefix: "xoxe-", of: isSlack, least: 15}, // Slack
	{prefix: "xoxo-", of: isSlack, least: 15}, {prefix: "xoxp-", of: isSlack, least: 15}, {prefix: "xoxr-", of: isSlack, least: 15},
	{prefix: "xoxs-", of: isSlack, least: 15}, {prefix: "xapp-", of: isSlack, least: 15},
	{prefix: "sk_live_", of: isAlnum, least: 16}, {prefix: "sk_test_", of: isAlnum, least: 16}, {prefix: "rk_live_", of: isAlnum, least: 16}, // Stripe
	{prefix: "rk_test_", of: isAlnum, least: 16}, {prefix: "whsec_", of: isAlnum, least: 16},
	{prefix: "sk-", of: isToken, least: 20, digit: true}, // OpenAI, Anthropic and those like them
	{prefix: "AIza", of: isToken, least: 30},             // Google
	{prefix: "npm_", of: isAlnum, least: 30}, {prefix: "pypi-", of: isToken, least: 30}, {prefix: "hf_", of: isAlnum, least: 30},
	{prefix: "dckr_pat_", of: isToken, least: 20}, {prefix: "dop_v1_", of: isHex, least: 40}, {prefix: "shpat_", of: isHex, least: 32},
	{prefix: "AGE-SECRET-KEY-", of: isUpper, least: 50},
})

func byFirst(all []issuedToken) (t [256][]issuedToken) {
	for _, x := range all {
		t[x.prefix[0]] = append(t[x.prefix[0]], x)
	}
	t['e'] = []issuedToken{{prefix: webToken}}
	return t
}

// webToken begins each JSON Web Token: {" in base64.
const webToken = "eyJ"

// mayToken tells whether a prefix stands anywhere in a piece that is long enough. Escaped
// text may have the letter of an escape before a token.
func mayToken(text []byte) bool {
	for from := 0; ; {
		start, end := run(text, token, from, minToken)
		if start < 0 {
			return false
		}
		for i := start; i+minToken <= end; i++ {
			for _, x := range issuedTokens[text[i]] {
				if has(text, i, x.prefix) {
					return true
				}
			}
		}
		from = end
	}
}

// appendTokens appends the tokens that begin where no letter or digit is before.
func appendTokens(dst []Place, text []byte) []Place {
	for from := 0; ; {
		start, end := run(text, token, from, minToken)
		if start < 0 {
			return dst
		}
		p := piece{text: text, end: end, lastDigit: end - 1}
		for p.lastDigit >= start && !is(text[p.lastDigit], digit) {
			p.lastDigit--
		}
		i := start
		for i+minToken <= end {
			to := 0
			if issuedTokens[text[i]] != nil && !inWord(text, i) {
				to = p.token(i)
			}
			if to == 0 {
				i++
				continue
			}
			dst = append(dst, Place{Start: i, End: to})
			i = to
		}
		from = max(end, i)
	}
}

// piece is a run of bytes of tokens.
type piece struct {
	text           []byte
	end, lastDigit int
}

// token returns where the token that begins at i ends, 0 if there is none.
func (p *piece) token(i int) int {
	for _, x := range issuedTokens[p.text[i]] {
		if !has(p.text, i, x.prefix) {
			continue
		}
		if x.prefix == webToken {
			return p.webToken()
		}
		if to := p.issued(x, i+len(x.prefix)); to > 0 {
			return to
		}
	}
	return 0
}

// issued returns where the rest of a token ends that begins at i.
func (p *piece) issued(x issuedToken, i int) int {
	if x.digit {
		// Its bytes are those of the piece, which is long perhaps and looked at often.
		if p.end-i >= x.least && p.lastDigit >= i {
			return p.end
		}
		return 0
	}
	to := i
	for to < len(p.text) && x.of(p.text[to]) && (x.most == 0 || to-i < x.most) {
		to++
	}
	if to-i < x.least || x.most > 0 && to < len(p.text) && is(p.text[to], letter|digit) {
		return 0
	}
	return to
}

// webToken returns where a JSON Web Token whose first part is the end of the piece ends.
func (p *piece) webToken() int {
	to := p.end
	for part := 0; part < 4 && to < len(p.text) && p.text[to] == '.'; part++ {
		next := skip(p.text, token, to+1)
		if part == 0 && next-to <= 4 {
			break
		}
		to = next
	}
	if to == p.end {
		return 0
	}
	return to
}
