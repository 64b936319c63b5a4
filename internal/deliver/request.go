package deliver

import (
	"net/url"
	"strings"

	"github.com/weirlog/weir/internal/config"
)

// Requests bounds the requests of a sink. Its configuration has it inlined, with DefaultRequests
// as default, and calls its Validate.
type Requests struct {
	// MaxRecords bounds the records of a request. Default 5000.
	MaxRecords int `yaml:"max_records"`
	// MaxBytes bounds the text of a request, before it is packed. Default 1MiB.
	MaxBytes config.Bytes `yaml:"max_bytes"`
}

// DefaultRequests returns what a configuration that says nothing has.
func DefaultRequests() Requests { return Requests{MaxRecords: 5000, MaxBytes: 1 << 20} }

// The bounds of what makes sense.
const (
	mostRecords = 100_000
	minBytes    = 4 << 10
	mostBytes   = 64 << 20
)

// Validate returns what is wrong with r.
func (r Requests) Validate() error {
	var problems []error
	if r.MaxRecords < 1 || r.MaxRecords > mostRecords {
		problems = append(problems, &config.Problem{Key: "max_records", Message: "use 1 to 100000"})
	}
	if r.MaxBytes < minBytes || r.MaxBytes > mostBytes {
		problems = append(problems, &config.Problem{Key: "max_bytes", Message: "use a size from 4KiB to 64MiB"})
	}
	return config.Join(problems...)
}

// Parts returns what sends such requests.
func (r Requests) Parts() Parts { return Parts{MaxRecords: r.MaxRecords, MaxBytes: int(r.MaxBytes)} }

// WithPath returns an address, with a path if it has none.
func WithPath(address, path string) string {
	u, err := url.Parse(address)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return address
	}
	u.Path = path
	return u.String()
}
