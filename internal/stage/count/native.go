package count

import (
	"errors"
	"fmt"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
)

// Native says how fine the buckets of a native histogram are.
type Native struct {
	// Factor is how much larger the end of a bucket is than where it begins, at most. Buckets
	// have fixed limits, so what comes next below it is taken: 1.09 for 1.1. From 1.003 to 65536.
	// Default: 1.1.
	Factor float64 `yaml:"factor"`
	// MaxBuckets bounds the buckets of a series; beyond it they become twice as wide, as often as
	// it takes. From 1 to 10000. Default: 160.
	MaxBuckets int `yaml:"max_buckets"`
}

// SetDefaults implements config.Defaulter.
func (n *Native) SetDefaults() { *n = Native{Factor: 1.1, MaxBuckets: metric.DefaultMaxBuckets} }

// Validate returns what is wrong with n.
func (n *Native) Validate() error {
	var problems []error
	if !(n.Factor >= 1.003 && n.Factor <= 65536) {
		problems = append(problems, &config.Problem{Key: "factor", Message: "use a number from 1.003 to 65536, as 1.1"})
	}
	if n.MaxBuckets < 1 || n.MaxBuckets > 10_000 {
		problems = append(problems, &config.Problem{Key: "max_buckets", Message: "use 1 to 10000"})
	}
	return config.Join(problems...)
}

// desc returns what the registry is told; nil for a histogram with limits.
func (n *Native) desc() *metric.Native {
	if n == nil {
		return nil
	}
	d := metric.NativeFactor(n.Factor)
	d.MaxBuckets = n.MaxBuckets
	return d
}

// problem says what of c contradicts its being native, nothing if nothing does.
func (n *Native) problem(c *Config) error {
	switch {
	case n == nil:
		return nil
	case c.Histogram == "":
		return errors.New("only a histogram is native; name its field with histogram")
	case len(c.Buckets) > 0:
		return errors.New("its buckets come by themselves; leave out either buckets or native")
	}
	return nil
}

// Shape returns which buckets a histogram has: where that is another, its series are others.
func (c Config) Shape() string {
	if n := c.Native.desc(); n != nil {
		return fmt.Sprint("native ", n.Schema)
	}
	return fmt.Sprint(c.Buckets)
}
