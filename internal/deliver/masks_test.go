package deliver_test

import (
	"net/http"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/deliver/delivertest"
)

// post returns what is shown of an answer, or of why there is none.
func post(t *testing.T, h deliver.HTTP, url string) string {
	t.Helper()
	c, err := h.NewClient(url, http.Header{}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := c.Post(t.Context(), nil)
	if err != nil {
		return err.Error()
	}
	return a.Text() + " " + c.Failed(a).Error()
}

// TestMasks has receivers that repeat what they were told.
func TestMasks(t *testing.T) {
	for name, change := range map[string]func(*deliver.HTTP){
		"bearer": func(h *deliver.HTTP) { h.BearerToken = delivertest.Secret },
		"basic":  func(h *deliver.HTTP) { h.BasicAuth = deliver.BasicAuth{Username: "weir", Password: delivertest.Secret} },
		"name":   func(h *deliver.HTTP) { h.BasicAuth.Username = delivertest.Secret },
		"header": func(h *deliver.HTTP) { h.Headers = map[string]config.Secret{"X-Api-Key": delivertest.Secret} },
		"word":   func(h *deliver.HTTP) { h.Headers = map[string]config.Secret{"X-Api-Key": "Key " + delivertest.Secret} },
	} {
		for _, status := range []int{302, 401, 429, 500, 503} {
			h := deliver.DefaultHTTP()
			change(&h)
			delivertest.Hidden(t, name, post(t, h, delivertest.Start(t, status).URL))
		}
	}
}

// TestHide has secrets in the forms in which they are repeated, and what is none.
func TestHide(t *testing.T) {
	var m deliver.Masks
	m.AddProxy("weir:p%40ss%2Fword@gate.acme.test:3128")
	m.AddProxy("http://token-alone@gate.acme.test:3128")
	m.AddProxy("%zz")
	m.AddBasic("", "")
	m.AddHeaders(map[string]config.Secret{"X-Scope-OrgID": "shop", "Content-Type": "text/plain", "X-Key": "abc", "Cookie": `a="b c"`})
	for text, want := range map[string]string{
		"no shop takes text/plain, abc":         "no shop takes text/plain, abc",
		"weir:p@ss/word p%40ss%2Fword":          "weir:*** ***",
		`"p@ss\/word"`:                          `"***"`,
		"Basic d2VpcjpwQHNzL3dvcmQ=":            "Basic ***",
		"Basic d2VpcjpwQHNzL3dvcmQ%3D":          "Basic ***",
		`Basic d2VpcjpwQHNzL3dvcmQ\u003d`:       `Basic ***\u003d`,
		"token-alone dG9rZW4tYWxvbmU6":          "*** ***",
		`a="b c" {"cookie": "a=\"b c\""} later`: `*** {"cookie": "***"} later`,
	} {
		if got := m.Hide(text); got != want {
			t.Errorf("%s: %s; want %s", text, got, want)
		}
	}
	if got := m.Hide("bought later", "bought"); got != "*** later" || len(m.Hide("bought")) != len("bought") {
		t.Error(got)
	}
}

// TestEnvironmentProxy has a proxy that repeats its password.
func TestEnvironmentProxy(t *testing.T) {
	if !delivertest.Behind(t) {
		return
	}
	for _, url := range []string{"http://logs.acme.test/", "https://logs.acme.test/"} {
		delivertest.Hidden(t, url, post(t, deliver.DefaultHTTP(), url))
	}
}
