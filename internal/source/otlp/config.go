package otlp

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/record"
)

// Config says where OTLP is taken, from whom, and how much of it.
type Config struct {
	// HTTP is the address for OTLP over HTTP, protobuf and JSON, at /v1/logs and /v1/metrics; ""
	// is none. Both addresses take both kinds of requests. Default: 127.0.0.1:4318.
	HTTP string `yaml:"http"`
	// GRPC is the address for OTLP over gRPC; "" is none. Default: 127.0.0.1:4317.
	GRPC string `yaml:"grpc"`
	// Token is what senders have to give as Authorization: Bearer …, or as the password of any
	// user. Default: none; an address that other machines can reach needs one, or client
	// certificates, or insecure.
	Token config.Secret `yaml:"token"`
	// Insecure lets everyone write who reaches the addresses. Default: false.
	Insecure bool `yaml:"insecure"`
	// TLS has the addresses speak TLS. Default: they do not.
	TLS *TLS `yaml:"tls"`
	// MaxBody is the largest request that is taken, unpacked. Requests that are in work at the
	// same time have four times as much memory. Default: 16MiB.
	MaxBody config.Bytes `yaml:"max_body"`
	// MaxConnections is how many connections may be open at once; a further one is closed and
	// counted. Default: 1000.
	MaxConnections int `yaml:"max_connections"`
	// MaxStreams is how many streams of logs, which are the different sets of labels, are open at
	// a time; one to which nothing was sent for ten minutes is closed. A request with more is
	// refused, and the sender asked to send it again. Default: 10000.
	MaxStreams int `yaml:"max_streams"`
	// StreamLabels are the attributes of resources that become labels of streams and of the series
	// of metrics, where dots become _: service_name. All others become fields of records. The
	// service's name, namespace and instance are job and instance of a series. Default: service.name,
	// service.namespace, deployment.environment, deployment.environment.name, host.name,
	// container.name, k8s.cluster.name, k8s.namespace.name, k8s.pod.name, k8s.container.name.
	StreamLabels []string `yaml:"stream_labels"`
	// Labels are added to all streams, and replace those of the same name.
	Labels map[string]string `yaml:"labels"`
	// MaxSeries bounds the series of all metrics together, and their memory to 4 KiB for each;
	// points of more are refused. Default: 200000.
	MaxSeries int `yaml:"max_series"`
	// MaxSeriesPerName bounds those of each metric. Default: 10000.
	MaxSeriesPerName int `yaml:"max_series_per_name"`
	// MaxBuckets bounds the buckets of each series of an exponential histogram; beyond it they become
	// twice as wide, as often as it takes. Default: 160.
	MaxBuckets int `yaml:"max_buckets"`
	// Expiry is how long a series stays without points; 0s is for ever. Default: 24h.
	Expiry time.Duration `yaml:"expiry"`
}

// TLS says which certificates are used. The files are read at the start and at a reload.
type TLS struct {
	// Cert is a file with the certificate that weir shows. Needed.
	Cert string `yaml:"cert"`
	// Key is a file with the key of Cert. Needed.
	Key string `yaml:"key"`
	// ClientCA is a file of certificates, one of which that of each sender must be signed by.
	// Default: none, senders need no certificate.
	ClientCA string `yaml:"client_ca"`
}

// Default returns the settings of a source that says nothing.
func Default() Config {
	return Config{
		HTTP: "127.0.0.1:4318", GRPC: "127.0.0.1:4317", MaxBody: 16 << 20, MaxConnections: 1000, MaxStreams: 10_000,
		StreamLabels: []string{
			"service.name", "service.namespace", "deployment.environment", "deployment.environment.name", "host.name", "container.name",
			"k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name",
		},
		MaxSeries: 200_000, MaxSeriesPerName: 10_000, MaxBuckets: 160, Expiry: 24 * time.Hour,
	}
}

// Bounds of settings.
const (
	minBody      = 64 << 10
	maxBody      = 256 << 20
	mostStreams  = 1_000_000
	mostSeries   = 5_000_000
	mostBuckets  = 10_000
	minToken     = 12
	leastExpiry  = time.Minute
	mostOpen     = 100_000
	mostLabelled = 20
)

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	var problems []error
	need := func(ok bool, key, message string) {
		if !ok {
			problems = append(problems, &config.Problem{Key: key, Message: message})
		}
	}
	need(c.HTTP != "" || c.GRPC != "", "http", "give an address for http, for grpc, or for both")
	guarded := c.Token != "" || c.Insecure || c.TLS != nil && c.TLS.ClientCA != ""
	for key, address := range map[string]string{"http": c.HTTP, "grpc": c.GRPC} {
		if address == "" {
			continue
		}
		host, err := hostOf(address)
		need(err == nil, key, fmt.Sprint(err))
		need(err != nil || guarded || isLoopback(host), key, "other machines can reach this address and write: give a token, or tls with client_ca, or set insecure: true")
	}
	need(c.HTTP == "" || c.HTTP != c.GRPC || portOf(c.HTTP) == "0", "grpc", "http has that address already, and takes gRPC as well: leave one of them empty")
	need(c.Token == "" || len(c.Token) >= minToken, "token", "use at least 12 characters")
	if c.TLS != nil {
		need(c.TLS.Cert != "" && c.TLS.Key != "", "tls", "give cert and key")
	}
	need(c.MaxBody >= minBody && c.MaxBody <= maxBody, "max_body", "use a size from 64KiB to 256MiB")
	need(c.MaxConnections >= 1 && c.MaxConnections <= mostOpen, "max_connections", "use a number from 1 to 100000")
	need(c.MaxStreams >= 1 && c.MaxStreams <= mostStreams, "max_streams", "use a number from 1 to 1000000")
	need(len(c.StreamLabels) <= mostLabelled, "stream_labels", "give at most 20")
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		_, err := lokipush.Labels{Text: []byte(record.Labels{{Name: name, Value: "x"}}.String())}.Parse()
		need(err == nil, "labels."+name, fmt.Sprintf("%q is no name of a label: use letters, digits and _, and no digit first", name))
	}
	need(c.MaxSeries >= 1 && c.MaxSeries <= mostSeries, "max_series", "use a number from 1 to 5000000")
	need(c.MaxSeriesPerName >= 1 && c.MaxSeriesPerName <= mostSeries, "max_series_per_name", "use a number from 1 to 5000000")
	need(c.MaxBuckets >= 1 && c.MaxBuckets <= mostBuckets, "max_buckets", "use a number from 1 to 10000")
	need(c.Expiry == 0 || c.Expiry >= leastExpiry, "expiry", "use 1m or more, or 0s for never")
	return config.Join(problems...)
}

// hostOf returns the host of an address, or what is wrong with that.
func hostOf(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", errors.New("use host:port, as in 127.0.0.1:4318")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("use a port from 1 to 65535, as in 127.0.0.1:4318")
	}
	return host, nil
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
