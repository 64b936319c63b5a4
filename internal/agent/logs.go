package agent

import (
	"errors"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/stage/count"
)

// maxLogSeries bounds the series of containers' logs: three a container.
const maxLogSeries = 3000

// logTallies are the durable numbers about the logs of containers, as the collector before
// had them: but each record is counted, by its own level.
type logTallies struct{ total *metric.Family }

func newLogTallies(reg *metric.Registry) (logTallies, error) {
	total, err := reg.Family(metric.Desc{
		Name: "container_logs_total", Help: "Records of a container's log, by level: info, warning, error.",
		Labels: []string{"container", "level"}, Owner: "sources", MaxSeries: maxLogSeries, Durable: true,
	})
	created, err2 := reg.Family(metric.Desc{
		Name: "container_logs_created", Help: "Unix time at which counting of container_logs_total began.", Kind: metric.Gauge,
		Labels: []string{"container", "level"}, Owner: "sources", MaxSeries: maxLogSeries,
	})
	if err = errors.Join(err, err2); err != nil {
		return logTallies{}, err
	}
	reg.OnCollect(func() {
		var all []*metric.Series
		total.Each(func(s *metric.Series) bool {
			if !s.IsOverflow() {
				all = append(all, s)
			}
			return true
		})
		for _, s := range all {
			created.Series(s.Values()...).Set(float64(s.Created().UnixNano()) / 1e9)
		}
	})
	return logTallies{total}, nil
}

// of returns the series of a container. All are there from the beginning, so that the first
// error is an increase.
func (t logTallies) of(container string) count.Levels {
	id := func(level string) uint32 { return t.total.Series(container, level).ID() }
	return count.Levels{Info: id("info"), Warning: id("warning"), Error: id("error")}
}
