package mongodb

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// As is what kind of collection records are put into.
type As string

const (
	// Plain is an ordinary collection.
	Plain As = "plain"
	// Capped is one of a fixed size.
	Capped As = "capped"
	// TimeSeries is one of MongoDB's time-series collections.
	TimeSeries As = "time_series"
)

// Values lists them, for the configuration.
func (As) Values() []string { return []string{string(Plain), string(Capped), string(TimeSeries)} }

// Config says into which collection records are put.
type Config struct {
	// URL is the server, or several: mongodb://host:27017, mongodb+srv://cluster.example.com,
	// with the options that MongoDB's drivers know. Needed.
	URL string `yaml:"url"`
	// Database is where the collection is. Default weir.
	Database string `yaml:"database"`
	// Collection is its name. It is made if it is not there. Default logs.
	Collection string `yaml:"collection"`
	// As is what the collection is made as: `plain` (default), `capped`, or `time_series`,
	// which needs least room and cannot tell records that it has already. One that is there
	// stays what it is.
	As As `yaml:"as"`
	// MaxSize is how large a capped collection is; then the oldest records go. Default
	// 1GiB.
	MaxSize config.Bytes `yaml:"max_size"`
	// TTL is how long records stay, from their time on; not of a capped collection.
	// Default 0s: for ever.
	TTL time.Duration `yaml:"ttl"`

	deliver.Selection `yaml:",inline"`

	// Username is the name to sign in with. Default none.
	Username string `yaml:"username"`
	// Password is the password to sign in with. Default none.
	Password config.Secret `yaml:"password"`
	// AuthSource is the database that knows the user. Default admin.
	AuthSource string `yaml:"auth_source"`
	// TLS is about certificates, where the address says tls=true.
	TLS deliver.TLS `yaml:"tls"`
	// Timeout is how long the server may take for a batch. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{
		Database: "weir", Collection: "logs", As: Plain, MaxSize: 1 << 30, AuthSource: "admin",
		Selection: deliver.SelectAll(), TLS: deliver.TLS{Verify: true}, Timeout: 30 * time.Second,
	}
}

// The bounds of what makes sense.
const (
	minTimeout = time.Second
	maxTimeout = 10 * time.Minute
	minSize    = 4 << 10
	minTTL     = time.Second
)

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if err := c.checkURL(); err != nil {
		problem("url", err.Error())
	}
	if c.Database == "" || strings.ContainsAny(c.Database, "/\\. \"$\x00") {
		problem("database", "use a name without / \\ . \" $ and spaces")
	}
	if c.Collection == "" || strings.ContainsAny(c.Collection, "$\x00") || strings.HasPrefix(c.Collection, "system.") {
		problem("collection", "use a name without $ that does not begin with system.")
	}
	if c.MaxSize < minSize {
		problem("max_size", "use 4KiB or more")
	}
	switch {
	case c.TTL != 0 && c.TTL < minTTL:
		problem("ttl", "use 1s or more, or 0s for ever")
	case c.TTL != 0 && c.As == Capped:
		problem("ttl", "a capped collection is bounded by max_size alone: leave ttl out, or use plain or time_series")
	}
	if c.Username == "" && c.Password != "" {
		problem("username", "say whose password it is")
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		problem("timeout", "use 1s to 10m")
	}
	return config.Join(append(problems, c.TLS.Check(), c.Selection.Validate())...)
}

// checkURL looks at what can be told without asking anybody: names of an srv address are
// looked up when the sink connects.
func (c Config) checkURL() error {
	const want = "use mongodb://host:27017 or mongodb+srv://host"
	if c.URL == "" {
		return errors.New("say where the server is, as mongodb://127.0.0.1:27017")
	}
	scheme, rest, ok := strings.Cut(c.URL, "://")
	if !ok || rest == "" || scheme != "mongodb" && scheme != "mongodb+srv" {
		return errors.New(want)
	}
	hosts, query, _ := strings.Cut(rest, "?")
	if strings.Contains(hosts, "@") { // the address is shown wherever the sink is
		return errors.New("leave out the user and password: username and password have places of their own")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New(want)
	}
	if values.Get("w") == "0" {
		return errors.New("w=0 asks for no answer, and then nothing can be known to have arrived: leave it out")
	}
	if scheme == "mongodb" {
		if err := options.Client().ApplyURI(c.URL).Validate(); err != nil {
			return err
		}
	}
	return nil
}

// options returns what the driver is told.
func (c Config) options() (*options.ClientOptions, error) {
	o := options.Client().ApplyURI(c.URL).SetTimeout(c.Timeout).SetServerSelectionTimeout(c.Timeout).SetMaxPoolSize(2).SetAppName("weir")
	if c.Username != "" {
		o.SetAuth(options.Credential{Username: c.Username, Password: string(c.Password), AuthSource: c.AuthSource})
	}
	if o.TLSConfig != nil {
		secured, err := c.TLS.Config()
		if err != nil {
			return nil, err
		}
		o.SetTLSConfig(secured)
	}
	return o, o.Validate()
}
