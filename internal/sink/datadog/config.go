package datadog

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// Compression is how the body of a request is packed.
type Compression string

const (
	// Gzip is what every version of the intake takes.
	Gzip Compression = "gzip"
	// Zstd needs less of the processor.
	Zstd Compression = "zstd"
	// None sends the body as it is.
	None Compression = "none"
)

// Values lists them, for the configuration.
func (Compression) Values() []string { return []string{string(Gzip), string(Zstd), string(None)} }

// Config says where records are sent, and as what.
type Config struct {
	// APIKey signs in: ${file:/run/secrets/datadog} or ${DD_API_KEY}. Needed. Default:
	// DD_API_KEY.
	APIKey config.Secret `yaml:"api_key"`
	// Site is Datadog's site: datadoghq.com, datadoghq.eu, us3.datadoghq.com, us5.datadoghq.com,
	// ap1.datadoghq.com, ddog-gov.com. Default: DD_SITE, else datadoghq.com.
	Site string `yaml:"site"`
	// URL is where requests go, in place of the site's intake, as
	// https://logs.example.com/api/v2/logs. Default: https://http-intake.logs.SITE/api/v2/logs.
	URL string `yaml:"url"`
	// Proxy is an HTTP proxy that requests go through, as http://squid:3128. It may
	// have a name and password. Default: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
	Proxy config.Secret `yaml:"proxy"`

	deliver.Selection `yaml:",inline"`

	// Tags are put on every record, as [env:production, team:shop]: each once, in order of their
	// letters. Default: DD_TAGS with DD_ENV as env and DD_VERSION as version.
	Tags []string `yaml:"tags"`
	// LabelTags are the labels of streams that become tags, ["*"] all of them; those that do
	// not are fields. Default ["*"].
	LabelTags []string `yaml:"label_tags"`
	// Hostname is the host of records that have no field hostname; {node} and {label} stand for
	// this machine and the label of that name. Default: DD_HOSTNAME, else {node}.
	Hostname string `yaml:"hostname"`
	// Service is the service of records that have no field service; {label} stands for the label
	// of that name. Default: DD_SERVICE, else what labels say: service, service_name or
	// container, else the name of weir's source.
	Service string `yaml:"service"`
	// Source chooses Datadog's pipeline (ddsource), as nginx, for records that have no field
	// ddsource; {label} stands for the label of that name. Default: the name of weir's source.
	Source string `yaml:"source"`
	// MaxAge is how old a record may be. Older ones are dropped and counted, since the intake
	// does not take them. Default 18h; 0s sends them all.
	MaxAge time.Duration `yaml:"max_age"`
	// Compression is how requests are packed: `gzip` (default), `zstd` or `none`.
	Compression Compression `yaml:"compression"`
	// TLS is about the certificates of an https address.
	TLS deliver.TLS `yaml:"tls"`
	// Timeout is how long a request may take. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultSite is the site of a configuration that says none.
const DefaultSite = "datadoghq.com"

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{
		Site: DefaultSite, Selection: deliver.SelectAll(), LabelTags: []string{"*"}, Hostname: "{node}", MaxAge: 18 * time.Hour, Compression: Gzip,
		TLS: deliver.TLS{Verify: true}, Timeout: 30 * time.Second,
	}
}

// The bounds of what makes sense.
const (
	minTimeout = time.Second
	maxTimeout = 10 * time.Minute
	minMaxAge  = time.Minute
)

var validSite = regexp.MustCompile(`^[0-9A-Za-z.-]+$`)

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if c.APIKey == "" {
		problem("api_key", "give an API key of your organisation, as ${file:/run/secrets/datadog}, or set DD_API_KEY")
	} else if strings.ContainsAny(string(c.APIKey), " \t\r\n\x00") {
		problem("api_key", "it has spaces or more than one line: give the key alone")
	}
	if c.URL == "" && !validSite.MatchString(c.Site) {
		problem("site", "use the site alone, as datadoghq.eu; an address goes to url")
	}
	if message := checkURL(c.URL); message != "" {
		problem("url", message)
	}
	if _, err := c.proxy(); err != nil {
		problem("proxy", err.Error())
	}
	for i, tag := range c.Tags {
		if !isTag(tag) {
			problem(fmt.Sprintf("tags[%d]", i), "use key:value without a comma, as env:production")
		}
	}
	if c.MaxAge != 0 && c.MaxAge < minMaxAge {
		problem("max_age", "use 1m or more, or 0s for records of any age")
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		problem("timeout", "use 1s to 10m")
	}
	return config.Join(append(problems, c.TLS.Check(), c.Selection.Validate())...)
}

func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return ""
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "use https://host/path, or leave it out and say site"
	case u.User != nil: // the address is shown wherever the sink is
		return "leave out the user and password: api_key signs in"
	case u.Path == "" || u.Path == "/":
		return "give the path too: that of Datadog is /api/v2/logs"
	}
	return ""
}

// proxy returns the proxy's address, nil if there is none.
func (c Config) proxy() (*url.URL, error) {
	if c.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(string(c.Proxy))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" { // err has the password
		return nil, errors.New("use http://host:port or https://host:port")
	}
	return u, nil
}

// intake returns where requests go.
func (c Config) intake() string {
	if c.URL != "" {
		return c.URL
	}
	return "https://http-intake.logs." + c.Site + "/api/v2/logs"
}

// masks returns what must not be shown of an answer.
func (c Config) masks() deliver.Masks {
	var m deliver.Masks
	m.Add(string(c.APIKey))
	m.AddProxy(string(c.Proxy))
	m.AddEnvironment()
	return m
}

// client returns what sends the requests.
func (c Config) client() (*http.Client, error) {
	secured, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	proxy, err := c.proxy()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secured, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: 3 * time.Minute}
	if proxy != nil {
		transport.Proxy = http.ProxyURL(proxy)
	}
	return &http.Client{
		Transport: transport,
		// A redirected POST would become a GET, and carry the key to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
