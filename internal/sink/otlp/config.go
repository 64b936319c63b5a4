package otlp

import (
	"net/url"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// Protocol is how OTLP is sent.
type Protocol string

const (
	// HTTP is protobuf over HTTP.
	HTTP Protocol = "http"
	// GRPC is gRPC.
	GRPC Protocol = "grpc"
)

// Values lists them, for the configuration.
func (Protocol) Values() []string { return []string{string(HTTP), string(GRPC)} }

// Compression is how requests are packed.
type Compression string

const (
	// Gzip is what every receiver knows.
	Gzip Compression = "gzip"
	// None sends them as they are.
	None Compression = "none"
)

// Values lists them, for the configuration.
func (Compression) Values() []string { return []string{string(Gzip), string(None)} }

// Config says where records are sent.
type Config struct {
	// URL is the receiver: http://collector:4318, or https, or the whole address for logs; with
	// gRPC http://collector:4317. Needed.
	URL string `yaml:"url"`
	// Protocol is `http` (default) or `grpc`.
	Protocol Protocol `yaml:"protocol"`
	// Compression is `gzip` (default) or `none`.
	Compression Compression `yaml:"compression"`
	// Attributes are added to every resource; {node} stands for this machine, {label} for the label of
	// that name: {host.name: "{node}"}. Default none.
	Attributes map[string]string `yaml:"attributes"`

	deliver.Requests  `yaml:",inline"`
	deliver.Selection `yaml:",inline"`
	deliver.HTTP      `yaml:",inline"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{Protocol: HTTP, Compression: Gzip, Requests: deliver.DefaultRequests(), Selection: deliver.SelectAll(), HTTP: deliver.DefaultHTTP()}
}

// ownHeaders are those that the sink sets.
var ownHeaders = [...]string{"Content-Type", "Content-Encoding", "Te", "Grpc-Encoding", "Grpc-Accept-Encoding", "Grpc-Timeout"}

const (
	logsPath   = "/v1/logs"
	logsMethod = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
)

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	need := func(ok bool, key, message string) {
		if !ok {
			problems = append(problems, &config.Problem{Key: key, Message: message})
		}
	}
	message := deliver.CheckURL(c.URL, "http://127.0.0.1:4318")
	need(message == "", "url", message)
	u, err := url.Parse(c.URL)
	need(err != nil || c.Protocol != GRPC || strings.Trim(u.Path, "/") == "", "url", "gRPC needs host and port alone, as http://127.0.0.1:4317")
	for name := range c.Attributes {
		need(name != "" && name != originAttribute, "attributes", "give names, but for weir.stream, which weir sets")
	}
	return config.Join(append(problems, c.Requests.Validate(), c.HTTP.Validate(ownHeaders[:]...), c.Selection.Validate())...)
}

// address returns where requests go.
func (c Config) address() string {
	if c.Protocol == GRPC {
		return deliver.WithPath(c.URL, logsMethod)
	}
	return deliver.WithPath(c.URL, logsPath)
}
