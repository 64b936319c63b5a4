package remotewrite

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// Protocol is a version of remote write.
type Protocol string

const (
	// V1 sends prometheus.WriteRequest.
	V1 Protocol = "v1"
	// V2 sends io.prometheus.write.v2.Request.
	V2 Protocol = "v2"
)

// Values lists the versions, for the configuration.
func (Protocol) Values() []string { return []string{string(V1), string(V2)} }

// Config says where the samples of the history are sent.
type Config struct {
	// URL is where the receiver takes them: https://metrics.example.com/api/v1/write, which
	// is Prometheus' path. Needed.
	URL string `yaml:"url"`
	// Protocol is the version of remote write: `v1` (default), which every receiver takes, or
	// `v2`, which brings types, helps and the beginnings of counters along and needs
	// less room on the wire.
	Protocol Protocol `yaml:"protocol"`
	// Start is how far back the first run goes: `end` (default), `beginning`, or a duration
	// as 1h. Later runs go on where the last one ended.
	Start string `yaml:"start"`
	// Labels are put on every series that does not have them, as {job: weir}.
	Labels map[string]string `yaml:"labels"`
	// Headers are sent with every request, as {X-Scope-OrgID: shop}.
	Headers map[string]config.Secret `yaml:"headers"`
	// BasicAuth is a name and password for the receiver.
	BasicAuth BasicAuth `yaml:"basic_auth"`
	// BearerToken is a token for the receiver.
	BearerToken config.Secret `yaml:"bearer_token"`
	// TLS is about the certificates of an https address.
	TLS deliver.TLS `yaml:"tls"`
	// SendNativeHistograms sends native histograms. A receiver that does not know them, or has them
	// not enabled, may refuse the requests they are in. Default true.
	SendNativeHistograms bool `yaml:"send_native_histograms"`
	// SendExemplars sends exemplars. Default false.
	SendExemplars bool `yaml:"send_exemplars"`
	// Timeout is how long a request may take. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
	// MaxSamples bounds the samples of a request. Default 2000.
	MaxSamples int `yaml:"max_samples"`
}

// BasicAuth is a name and password.
type BasicAuth struct {
	// Username is the name.
	Username string `yaml:"username"`
	// Password is the password.
	Password config.Secret `yaml:"password"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{Protocol: V1, Start: "end", TLS: deliver.TLS{Verify: true}, SendNativeHistograms: true, Timeout: 30 * time.Second, MaxSamples: 2000}
}

// The bounds of what makes sense.
const (
	minTimeout     = time.Second
	maxTimeout     = 10 * time.Minute
	mostMaxSamples = 50_000
)

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if message := checkURL(c.URL); message != "" {
		problem("url", message)
	}
	if _, err := c.since(); err != nil {
		problem("start", "use end, beginning, or how far back, as 1h")
	}
	for name := range c.Labels {
		if !validLabel(name) {
			problem("labels", fmt.Sprintf("%q is no name of a label", name))
		}
	}
	for name, value := range c.Headers {
		switch {
		case slices.Contains(ownHeaders, textproto.CanonicalMIMEHeaderKey(name)):
			problem("headers", name+" is set by weir: leave it out; basic_auth and bearer_token sign in")
		case !validHeader.MatchString(name) || !oneLine(value):
			problem("headers", fmt.Sprintf("%q is no name of a header, or has a value of more than one line", name))
		}
	}
	if !oneLine(c.BearerToken) {
		problem("bearer_token", "it has more than one line")
	}
	if c.BearerToken != "" && (c.BasicAuth.Username != "" || c.BasicAuth.Password != "") {
		problem("bearer_token", "leave out either bearer_token or basic_auth")
	}
	problems = append(problems, c.TLS.Check())
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		problem("timeout", "use 1s to 10m")
	}
	if c.MaxSamples < 1 || c.MaxSamples > mostMaxSamples {
		problem("max_samples", "use 1 to 50000")
	}
	return config.Join(problems...)
}

// ownHeaders are those that the protocol or other settings say.
var ownHeaders = []string{"Authorization", "Content-Encoding", "Content-Length", "Content-Type", "Host", "User-Agent", "X-Prometheus-Remote-Write-Version"}

var validHeader = regexp.MustCompile(`^[0-9A-Za-z-]+$`)

// oneLine tells whether a text can stand in a header.
func oneLine(s config.Secret) bool { return !strings.ContainsAny(string(s), "\x00\r\n") }

func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "say where the receiver is, as http://127.0.0.1:9090/api/v1/write"
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "use http://host:port/path or https://host/path"
	case u.User != nil: // the address is shown wherever the sink is
		return "leave out the user and password: basic_auth has a place for them"
	case u.Path == "" || u.Path == "/":
		return "give the path too: that of Prometheus is /api/v1/write"
	}
	return ""
}

func validLabel(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != "" && name != "__name__"
}

// since returns how far back the first run goes; negative: to the beginning.
func (c Config) since() (time.Duration, error) {
	switch c.Start {
	case "end", "":
		return 0, nil
	case "beginning":
		return -1, nil
	}
	d, err := config.ParseDuration(c.Start)
	if err == nil && d < 0 {
		err = errors.New("a time to come")
	}
	return d, err
}

// masks returns what must not be shown of an answer.
func (c Config) masks() deliver.Masks {
	var m deliver.Masks
	m.Add(string(c.BearerToken))
	m.AddBasic(c.BasicAuth.Username, string(c.BasicAuth.Password))
	m.AddHeaders(c.Headers)
	return m
}

// client returns what sends the requests.
func (c Config) client() (*http.Client, error) {
	secured, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: secured, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: 3 * time.Minute, ResponseHeaderTimeout: c.Timeout},
		Timeout:   c.Timeout,
		// A redirected POST would become a GET; the answer says where to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
