package crawl

import (
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
)

// counts are the numbers of a source. Those about records are in their commits.
type counts struct {
	skipped                            *metric.Family
	requests, bytes, runs, bad, waited *metric.Family
	cursor, skew                       *metric.Family
}

// The reasons why a record is not taken.
const (
	duplicate = iota // its id is among those that were taken
	earlier          // it is older than the cursor
	tooOld           // it is older than max_age
	reasons
)

func newCounts(d flow.Deps) (c *counts, err error) {
	family := func(desc metric.Desc) *metric.Family {
		desc.Labels = append([]string{"source", "stream"}, desc.Labels...)
		desc.Owner = "crawl"
		f, failed := d.Metrics.Family(desc)
		if err == nil {
			err = failed
		}
		return f
	}
	c = &counts{
		skipped:  family(metric.Desc{Name: "weir_crawl_skipped_records_total", Help: "Records that came and were not taken: duplicate, before_cursor, too_old.", Labels: []string{"reason"}, Durable: true}),
		requests: family(metric.Desc{Name: "weir_crawl_requests_total", Help: "Requests that were made, by the status of the answer; error is for none.", Labels: []string{"status"}, Idle: 24 * time.Hour}),
		bytes:    family(metric.Desc{Name: "weir_crawl_response_bytes_total", Help: "Bytes of responses, unpacked, or of a program's output."}),
		runs:     family(metric.Desc{Name: "weir_crawl_runs_total", Help: "Runs that ended: ok, error.", Labels: []string{"result"}}),
		bad:      family(metric.Desc{Name: "weir_crawl_bad_records_total", Help: "What is no record, or is one without a time, by reason.", Labels: []string{"reason"}}),
		waited:   family(metric.Desc{Name: "weir_crawl_retries_total", Help: "Requests that were made again, by why: the status, or error.", Labels: []string{"reason"}}),
		cursor:   family(metric.Desc{Name: "weir_crawl_cursor_timestamp_seconds", Help: "The time of the latest record that was taken, where the cursor is a time.", Kind: metric.Gauge}),
		skew:     family(metric.Desc{Name: "weir_crawl_clock_skew_seconds", Help: "How far the server's clock is ahead of this one.", Kind: metric.Gauge}),
	}
	return c, err
}

// skipSeries returns the durable series of a stream for each reason.
func (c *counts) skipSeries(source, stream string) (ids [reasons]uint32) {
	for i, reason := range [reasons]string{"duplicate", "before_cursor", "too_old"} {
		ids[i] = c.skipped.Series(source, stream, reason).ID()
	}
	return ids
}
