package dockerapi

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// Stats is what the engine measured of a container at one moment. Read is zero for one that
// does not run. Times are in nanoseconds.
type Stats struct {
	Read time.Time `json:"read"`
	CPU  struct {
		Usage struct {
			Total  uint64   `json:"total_usage"`
			System uint64   `json:"usage_in_kernelmode"`
			User   uint64   `json:"usage_in_usermode"`
			PerCPU []uint64 `json:"percpu_usage"`
		} `json:"cpu_usage"`
		// System is what all processors of the machine have spent, idle time included.
		System     uint64 `json:"system_cpu_usage"`
		Online     int    `json:"online_cpus"`
		Throttling struct {
			Periods   uint64 `json:"periods"`
			Throttled uint64 `json:"throttled_periods"`
			Time      uint64 `json:"throttled_time"`
		} `json:"throttling_data"`
	} `json:"cpu_stats"`
	Memory struct {
		Usage uint64 `json:"usage"`
		// Peak and Failures are told of control groups version 1 alone.
		Peak     *uint64 `json:"max_usage"`
		Failures *uint64 `json:"failcnt"`
		Limit    uint64  `json:"limit"`
		// Stats are the entries of memory.stat.
		Stats map[string]uint64 `json:"stats"`
	} `json:"memory_stats"`
	IO struct {
		Bytes  []BlockIO `json:"io_service_bytes_recursive"`
		Counts []BlockIO `json:"io_serviced_recursive"`
	} `json:"blkio_stats"`
	Pids struct {
		Current uint64  `json:"current"`
		Limit   *uint64 `json:"limit"`
	} `json:"pids_stats"`
	Networks map[string]Network `json:"networks"`
}

// BlockIO is one number about a block device: Op is Read, Write and others.
type BlockIO struct {
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
	Op    string `json:"op"`
	Value uint64 `json:"value"`
}

// Network is what went through an interface of a container.
type Network struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxErrors  uint64 `json:"rx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxErrors  uint64 `json:"tx_errors"`
	TxDropped uint64 `json:"tx_dropped"`
}

// Stats asks for one measurement of a container. Engines before API 1.41 take one or two
// seconds for it, as they insist on measuring twice.
func (c *Client) Stats(ctx context.Context, id string) (Stats, error) {
	var s Stats
	err := c.getJSON(ctx, "/containers/"+url.PathEscape(id)+"/stats", url.Values{"stream": {"0"}, "one-shot": {"1"}}, &s)
	if err != nil {
		return Stats{}, fmt.Errorf("measure container %s: %w", Short(id), err)
	}
	if s.Read.Year() <= 1 {
		s.Read = time.Time{}
	}
	return s, nil
}
