// Package cloud names Azure's clouds, which weir does not know.
package cloud

// Configuration would say where a cloud is.
type Configuration struct{}

// The clouds that Prometheus names.
var (
	AzureChina      Configuration
	AzureGovernment Configuration
	AzurePublic     Configuration
)
