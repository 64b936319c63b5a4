package redis

import (
	"errors"
	"net/url"
	"strings"
	"time"

	client "github.com/redis/go-redis/v9"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// As is what records become in Redis.
type As string

const (
	// Stream adds them to Redis streams.
	Stream As = "stream"
	// List appends them to lists.
	List As = "list"
	// Publish sends them to the subscribers of channels.
	Publish As = "publish"
)

// Values lists them, for the configuration.
func (As) Values() []string { return []string{string(Stream), string(List), string(Publish)} }

// Config says where records are sent, and as what they are kept there.
type Config struct {
	// URL is the server: redis://host:6379/0, rediss://host:6380 with TLS, or
	// unix:///run/redis.sock?db=0. Needed.
	URL string `yaml:"url"`
	// As is what records become: `stream` (default), of which each has every record once,
	// `list`, or `publish`, which reaches those who listen at the moment.
	As As `yaml:"as"`
	// Key is the name of the stream, list or channel; {node}, {stream} and {label} stand for
	// this machine, the stream's identity and the label of that name. A Redis stream has one
	// stream of weir's, so its key needs {stream}. Default weir:{node}:{stream}.
	Key string `yaml:"key"`
	// MaxLen is how many records a stream or list has at most, a stream about as many: the
	// oldest go. Default 100000; 0 keeps all.
	MaxLen int64 `yaml:"max_len"`
	// Expire is how long a stream or list stays to which nothing is added. Default 0s: for
	// ever.
	Expire time.Duration `yaml:"expire"`

	deliver.Selection `yaml:",inline"`

	// Username is the name to sign in with. Default none.
	Username string `yaml:"username"`
	// Password is the password to sign in with. Default none.
	Password config.Secret `yaml:"password"`
	// TLS is about the certificates of a rediss address.
	TLS deliver.TLS `yaml:"tls"`
	// Timeout is how long the server may take for a batch. Default 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{As: Stream, Key: "weir:{node}:{stream}", MaxLen: 100_000, Selection: deliver.SelectAll(), TLS: deliver.TLS{Verify: true}, Timeout: 10 * time.Second}
}

// The bounds of what makes sense.
const (
	minTimeout = time.Second
	maxTimeout = 10 * time.Minute
)

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if _, err := c.options(); err != nil {
		problem("url", err.Error())
	}
	switch {
	case c.Key == "":
		problem("key", "name what the records go to, as weir:{stream}")
	case c.As == Stream && !strings.Contains(c.Key, "{stream}"):
		problem("key", "put {stream} in it: a Redis stream takes records in order, so each stream needs its own; a list takes all")
	}
	if c.MaxLen < 0 {
		problem("max_len", "use 0 or more")
	}
	if c.Expire != 0 && c.Expire < time.Second {
		problem("expire", "use 1s or more, or 0s for never")
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		problem("timeout", "use 1s to 10m")
	}
	return config.Join(append(problems, c.TLS.Check(), c.Selection.Validate())...)
}

// options returns what the client is told.
func (c Config) options() (*client.Options, error) {
	const want = "use redis://host:6379, rediss://host:6380 or unix:///path"
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		return nil, errors.New("say where the server is, as redis://127.0.0.1:6379")
	case err != nil || u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix" || u.Scheme != "unix" && u.Host == "":
		return nil, errors.New(want)
	case u.User != nil: // the address is shown wherever the sink is
		return nil, errors.New("leave out the user and password: username and password have places of their own")
	}
	o, err := client.ParseURL(c.URL)
	if err != nil {
		return nil, errors.New(want)
	}
	o.Username, o.Password = c.Username, string(c.Password)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	// The reader tries again, with pauses of its own.
	o.MaxRetries, o.DialerRetries = -1, 1
	o.PoolSize, o.MinIdleConns = 1, 0
	o.DisableIdentity = true
	o.Protocol = 2 // with 3 the client waits for more of a push message than there may be
	o.MaintNotificationsConfig = noNotifications()
	return o, nil
}
