module github.com/weirlog/weir/bench

go 1.26.0

require github.com/weirlog/weir v0.0.0

replace github.com/weirlog/weir => ../

// The replacements of the main module do not reach here.
replace (
	github.com/Azure/azure-sdk-for-go/sdk/azcore => ../internal/stub/azcore
	github.com/Azure/azure-sdk-for-go/sdk/azidentity => ../internal/stub/azidentity
	github.com/google/go-cmp => ../internal/stub/gocmp
	github.com/mwitkow/go-conntrack => ../internal/stub/conntrack
	github.com/prometheus/client_golang => ../internal/stub/clientgolang
	github.com/prometheus/client_golang/exp => ../internal/stub/clientexp
	github.com/prometheus/client_model => ../internal/stub/clientmodel
	github.com/prometheus/sigv4 => ../internal/stub/sigv4
	github.com/stretchr/testify => ../internal/stub/testify
	go.opentelemetry.io/otel => ../internal/stub/otel
	go.opentelemetry.io/otel/trace => ../internal/stub/oteltrace
	go.yaml.in/yaml/v2 => ../internal/stub/yaml
	golang.org/x/oauth2 => ../internal/stub/oauth2
	google.golang.org/api => ../internal/stub/googleapi
	google.golang.org/protobuf => ../internal/stub/protobuf
	k8s.io/client-go => ../internal/stub/clientgo
)
