package deliver

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/config"
)

// leastSecret is how long a secret is that is looked for in what somebody says: a shorter one is
// found in words that are none.
const leastSecret = 4

// Masks are the secrets that are sent to a receiver, a server or a proxy, which may repeat them in
// an answer that weir shows: in each form in which they are sent or repeated, the longest first.
type Masks []string

// Add adds secrets: as they are, as they are written in a URL, and as a text in quotes.
func (m *Masks) Add(secrets ...string) {
	for _, s := range secrets {
		if len(s) < leastSecret {
			continue
		}
		quoted := strconv.Quote(s)
		quoted = quoted[1 : len(quoted)-1]
		*m = append(*m, s, url.QueryEscape(s), url.PathEscape(s), quoted, strings.ReplaceAll(quoted, "/", `\/`)) // the last one is JSON of some
	}
	slices.SortFunc(*m, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	*m = slices.Compact(*m)
}

// AddBasic adds a password, and how it is sent with its name. A name without a password is
// taken for a token.
func (m *Masks) AddBasic(user, password string) {
	switch {
	case user == "" && password == "":
		return
	case password == "":
		m.Add(user)
	}
	sent := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	m.Add(password, sent, strings.TrimRight(sent, "=")) // some write = in another way
}

// AddHeaders adds the values of configured headers, and what stands in them behind a word, as a
// token does behind Bearer. Which header signs in nobody knows but who configures it, so all
// count but those that say who sends what: a name that a receiver's error needs, as that of a
// tenant, is no secret.
func (m *Masks) AddHeaders(headers map[string]config.Secret) {
	for name, value := range headers {
		switch strings.ToLower(name) {
		case "accept", "accept-encoding", "accept-language", "content-encoding", "content-type", "host", "user-agent", "x-scope-orgid":
			continue
		}
		m.Add(string(value))
		if _, rest, ok := strings.Cut(string(value), " "); ok {
			m.Add(strings.TrimSpace(rest))
		}
	}
}

// AddProxy adds what the address of a proxy signs in with, whose scheme may be missing.
func (m *Masks) AddProxy(address string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		u, err = url.Parse("http://" + address)
	}
	if err != nil || u.User == nil {
		return
	}
	password, _ := u.User.Password()
	m.AddBasic(u.User.Username(), password)
}

// AddEnvironment adds what the proxies sign in with that the environment names.
func (m *Masks) AddEnvironment() {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		m.AddProxy(os.Getenv(name))
		m.AddProxy(os.Getenv(strings.ToLower(name)))
	}
}

// Hide returns text without the secrets, among them such as are known only now.
func (m Masks) Hide(text string, more ...string) string {
	all := m
	if len(more) > 0 {
		all = slices.Clone(m)
		all.Add(more...)
	}
	for _, s := range all {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}
