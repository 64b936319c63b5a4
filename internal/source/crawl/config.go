package crawl

import (
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// Config says which API is asked, and how. What stands here holds for all streams.
type Config struct {
	// Streams are what is asked for, by name. Each has a cursor of its own, which is known by
	// the source's name and this name: whatever else is changed, it goes on where it was. Needed.
	Streams map[string]Stream `yaml:"streams"`
	// Interval is the least time from the end of a stream's run to the next one. Runs of one
	// stream never overlap. Default: 10s.
	Interval time.Duration `yaml:"interval"`
	// Jitter is how much is added to each interval at random, at most, so that many weirs do
	// not ask in step. Default: 5s.
	Jitter time.Duration `yaml:"jitter"`
	// Timeout is how long a server may be silent, before its answer or within. Default: 1m.
	Timeout time.Duration `yaml:"timeout"`
	// MaxResponse is the largest response that is read, unpacked. What was good before that is
	// taken; the run ends with an error. Default: 256MiB.
	MaxResponse config.Bytes `yaml:"max_response"`
	// Auth is how weir signs in. It is sent to the host of the stream's url alone, wherever
	// that redirects to.
	Auth Auth `yaml:"auth"`
	// Headers are sent with each request, to the host of the stream's url alone.
	Headers map[string]config.Secret `yaml:"headers"`
	// Rate bounds how often all streams together ask.
	Rate Rate `yaml:"rate"`
	// TLS says which certificates are used.
	TLS deliver.TLS `yaml:"tls"`
	// Proxy is the proxy that requests go through, as http://user:password@gate:3128; https
	// and socks5 are possible as well. Default: none.
	Proxy config.Secret `yaml:"proxy"`
	// AllowPrivate lets redirects, and next pages that a server names, lead to addresses of
	// this machine and of private networks. A url that stands in the configuration may
	// anyway. Default: false.
	AllowPrivate bool `yaml:"allow_private"`
	// Labels are added to all streams.
	Labels map[string]string `yaml:"labels"`
}

// Stream is one sequence of records: requests with a url, or a program with exec.
type Stream struct {
	// URL is what is asked, as https://api.acme.test/v1/events?a={{.Cursor}}. It is a template,
	// as are the values of query and headers, and body: Go's text/template with .Cursor,
	// .Since, .Until, .Now, .Token, .Page and .Offset, and the functions unix, unix_ms,
	// unix_us, unix_ns, rfc3339, date, ago and json.
	URL string `yaml:"url"`
	// Method is the request's. Default: GET, or POST with a body.
	Method string `yaml:"method"`
	// Headers are sent besides those of the source, and replace those of the same name.
	Headers map[string]config.Secret `yaml:"headers"`
	// Query is added to the url; what is empty is left out.
	Query map[string]string `yaml:"query"`
	// Body is what is sent. Its type is application/json, unless headers say another.
	Body string `yaml:"body"`
	// Exec is a program and its arguments, in place of a url: it is started for each run, gets
	// the cursor on its standard input and in WEIR_CURSOR, and prints lines of JSON:
	// {"data": …, "cursor": …}.
	Exec []string `yaml:"exec"`
	// Dir is the directory that the program runs in. Default: the root directory.
	Dir string `yaml:"dir"`
	// Env are the program's environment variables. Of weir's own it gets PATH, HOME, LANG and
	// TZ alone. Default: none.
	Env map[string]config.Secret `yaml:"env"`
	// Deadline is how long a run may take. Default: 10m.
	Deadline time.Duration `yaml:"deadline"`

	// Format is what responses are: json, or ndjson for one record a line. Default: json.
	Format Format `yaml:"format"`
	// Records is where the records are, as data.items or data[*].events: keys with dots, [n]
	// for an element and [*] for all. A list there is a list of records. Default: the whole
	// response.
	Records string `yaml:"records"`
	// Optional says that a response which has nothing at records has no records; else that is
	// an error. Default: false.
	Optional bool `yaml:"optional"`
	// Error is where a response says what went wrong, although its status is good; a value that
	// is there, and not null, false or empty, ends the run. Default: none.
	Error string `yaml:"error"`
	// Time is where a record has its time. Needed, unless cursor says otherwise.
	Time string `yaml:"time"`
	// TimeFormat is how: auto, which takes RFC 3339 and Unix seconds, milliseconds, microseconds
	// and nanoseconds, told by their size; unix, unix_ms, unix_us, unix_ns; or a layout of Go's
	// package time, as 02/Jan/2006:15:04:05 -0700. Default: auto.
	TimeFormat string `yaml:"time_format"`
	// TimeZone is that of times which name none, as Europe/Berlin. Default: UTC.
	TimeZone string `yaml:"time_zone"`
	// ID is where a record has what identifies it. Default: the whole record does.
	ID string `yaml:"id"`
	// Level is where a record says how severe it is. Default: none.
	Level string `yaml:"level"`
	// Message is where a record has its text. Default: the whole record, as JSON.
	Message string `yaml:"message"`
	// Fields are kept beside the text: names, and where a record has their values.
	Fields map[string]string `yaml:"fields"`

	// Cursor is what a run goes on from: time, which is the records' time and the ids of those
	// already seen around it; id, which is that of the record taken last; or token, which is
	// what the last whole page named as its next. Default: time.
	Cursor Cursor `yaml:"cursor"`
	// Order is that of the records of one run: ascending has the oldest first, so that the
	// cursor moves with each of them; descending has the newest first; any lets the cursor move
	// when a run is through. Default: auto, which is ascending with the cursor id and else any.
	Order Order `yaml:"order"`
	// Start is what the first run takes: beginning, end, or a time before now, as 24h.
	// Default: 1m; with --once the beginning, but where there is a window.
	Start string `yaml:"start"`
	// Overlap is how much further back each run asks than the cursor's time, for records that
	// come late. What was seen already is left out by its id. Default: 0.
	Overlap time.Duration `yaml:"overlap"`
	// Delay is how long ago the latest time is that is asked for, where the url or the query
	// says .Until. Default: 0.
	Delay time.Duration `yaml:"delay"`
	// Window is how long the time from .Since to .Until is at most; a run asks for one window
	// after the other. Default: 0, from the cursor to now at once.
	Window time.Duration `yaml:"window"`
	// MaxAge is how old a record may be, by the server's clock where it tells that; older ones are
	// not asked for, or left out and counted. Default: 0, no limit.
	MaxAge time.Duration `yaml:"max_age"`
	// Preset is a set of limits: datadog leaves out what is older than 18 hours, which
	// Datadog would not take. Default: none.
	Preset Preset `yaml:"preset"`
	// Pages says how to come to the next page.
	Pages Pages `yaml:"pages"`
	// Labels are added to the stream.
	Labels map[string]string `yaml:"labels"`
}

// Auth is how weir signs in. At most one of them is given.
type Auth struct {
	// Basic is a user and a password.
	Basic Basic `yaml:"basic"`
	// Bearer is a token that is sent as Authorization: Bearer.
	Bearer config.Secret `yaml:"bearer"`
	// OAuth2 gets tokens with a client's credentials.
	OAuth2 OAuth2 `yaml:"oauth2"`
}

// Basic is a user of HTTP's basic authentication.
type Basic struct {
	// User is the user's name.
	User string `yaml:"user"`
	// Password is the user's password.
	Password config.Secret `yaml:"password"`
}

// OAuth2 is a client whose credentials buy tokens.
type OAuth2 struct {
	// TokenURL is where tokens are given out.
	TokenURL string `yaml:"token_url"`
	// ClientID is the client's name.
	ClientID string `yaml:"client_id"`
	// ClientSecret is the client's password.
	ClientSecret config.Secret `yaml:"client_secret"`
	// Scopes are what the token is good for.
	Scopes []string `yaml:"scopes"`
	// Params are further parameters of the request for a token, as audience.
	Params map[string]config.Secret `yaml:"params"`
	// InBody sends the client's name and password in the request's body instead of its header.
	// Default: false.
	InBody bool `yaml:"in_body"`
}

// Rate is how often something is done at most.
type Rate struct {
	// Requests is how many requests are made in the time per, evenly. Default: 0, no limit.
	Requests int `yaml:"requests"`
	// Per is the time for that many requests. Default: 1s.
	Per time.Duration `yaml:"per"`
}

// Pages says how to come to the next page.
type Pages struct {
	// By is how: link follows the header Link with rel="next"; url follows a url in the
	// response; token puts a text of the response into the next request; offset and number
	// count records and pages until a page is empty. Default: none, there is one page.
	By Paging `yaml:"by"`
	// Token is where a response has the next page's url or token: a path, or a header as
	// header:X-Next. No token, or an empty one, ends the run.
	Token string `yaml:"token"`
	// Param is the parameter of the query that gets the token, offset or number. Default: none
	// for token, where .Token in a template says it; offset, or page.
	Param string `yaml:"param"`
	// First is the number of the first page. Default: 1.
	First int `yaml:"first"`
	// Max is how many pages a run reads at most. Default: 1000.
	Max int `yaml:"max"`
}

// Format is what a response is.
type Format string

// Values returns the formats there are.
func (Format) Values() []string { return []string{"json", "ndjson"} }

// Cursor is what a run goes on from.
type Cursor string

// Values returns the cursors there are.
func (Cursor) Values() []string { return []string{"time", "id", "token"} }

// Order is the order of a run's records.
type Order string

// Values returns the orders there are.
func (Order) Values() []string { return []string{"auto", "any", "ascending", "descending"} }

// Preset is a set of limits.
type Preset string

// Values returns the presets there are.
func (Preset) Values() []string { return []string{"none", "datadog"} }

// Paging is a way to the next page.
type Paging string

// Values returns the ways there are.
func (Paging) Values() []string { return []string{"none", "link", "url", "token", "offset", "number"} }

// Default returns the settings of a source that says nothing.
func Default() Config {
	return Config{
		Interval: 10 * time.Second, Jitter: 5 * time.Second, Timeout: time.Minute, MaxResponse: 256 << 20,
		Rate: Rate{Per: time.Second}, TLS: deliver.TLS{Verify: true},
	}
}

// SetDefaults sets what a stream has that says nothing.
func (s *Stream) SetDefaults() {
	*s = Stream{Deadline: 10 * time.Minute, Format: "json", Cursor: "time", TimeFormat: "auto", Order: "auto", Preset: "none", Pages: Pages{By: "none", First: 1, Max: 1000}}
}
