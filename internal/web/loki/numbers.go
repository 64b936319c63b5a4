package loki

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/metric"
)

// usage is what one request took, and how its answer is wanted.
type usage struct {
	began        time.Time
	queued, took time.Duration
	stats        logql.Stats
	bytes        int64 // about what the answer takes until it is written
	categorize   bool
}

// numbers are what weir tells of its requests.
type numbers struct {
	requests, seconds, bytes *metric.Family
	tails, lost              *metric.Series
	forgotten, omitted       *metric.Series
}

func newNumbers(reg *metric.Registry) (n numbers, err error) {
	family := func(d metric.Desc) *metric.Family {
		d.Owner = "queries"
		f, e := reg.Family(d)
		err = errors.Join(err, e)
		return f
	}
	n.requests = family(metric.Desc{Name: "weir_queries_total", Help: "Requests to the Loki API, by how they ended.", Labels: []string{"endpoint", "outcome"}})
	n.seconds = family(metric.Desc{
		Name: "weir_query_seconds", Help: "Time that answering took, waiting included.", Labels: []string{"endpoint"}, Kind: metric.Histogram,
		Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 10, 30, 60},
	})
	n.bytes = family(metric.Desc{Name: "weir_query_read_bytes_total", Help: "Bytes of kept text that were read to answer.", Labels: []string{"endpoint"}})
	tails := family(metric.Desc{Name: "weir_tails", Help: "Connections that follow streams live.", Kind: metric.Gauge})
	lost := family(metric.Desc{Name: "weir_tail_lost_records_total", Help: "Records that those connections missed because they were too slow."})
	forgotten := family(metric.Desc{Name: "weir_tasks_forgotten_total", Help: "Tasks that had no room in a list that was asked for."})
	omitted := family(metric.Desc{Name: "weir_task_omitted_records_total", Help: "Records that had no room in a tree, or a list of tasks, that was asked for."})
	if err == nil {
		n.tails, n.lost, n.forgotten, n.omitted = tails.Series(), lost.Series(), forgotten.Series(), omitted.Series()
	}
	return n, err
}

// refused counts a request for which there was no room.
func (n *numbers) refused(endpoint string) { n.requests.Series(endpoint, "busy").Add(1) }

// answered counts a request that was admitted.
func (n *numbers) answered(endpoint string, u *usage, err error) {
	outcome := "ok"
	if err != nil {
		switch status, _ := statusOf(err); {
		case errors.Is(err, context.DeadlineExceeded):
			outcome = "timeout"
		case status == clientGone:
			outcome = "cancelled"
		case status < http.StatusInternalServerError:
			outcome = "refused"
		default:
			outcome = "failed"
		}
	}
	n.requests.Series(endpoint, outcome).Add(1)
	n.seconds.Series(endpoint).Observe(time.Since(u.began).Seconds())
	n.bytes.Series(endpoint).Add(float64(u.stats.Bytes))
}
