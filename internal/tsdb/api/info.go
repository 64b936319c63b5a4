package api

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// speaks is the version of Prometheus whose language and API these are: clients choose by it
// what they ask for.
const speaks = "3.13.5"

// buildInfo answers status/buildinfo.
func (a *API) buildInfo(_ context.Context, _ form, o *out) error {
	o.raw(`{"version":"` + speaks + `","revision":`)
	o.string("weir " + a.Version)
	o.raw(`,"branch":"","buildUser":"","buildDate":"","goVersion":`)
	o.string(runtime.Version())
	o.raw("}")
	return nil
}

// rules answers rules, which Grafana asks for: there are none.
func (a *API) rules(_ context.Context, _ form, o *out) error {
	o.raw(`{"groups":[]}`)
	return nil
}

// alerts answers alerts: there are none.
func (a *API) alerts(_ context.Context, _ form, o *out) error {
	o.raw(`{"alerts":[]}`)
	return nil
}

// metadata answers metadata: the type and help of each family that has series now, under the
// name that its samples have.
func (a *API) metadata(_ context.Context, f form, o *out) error {
	limit := -1
	if text := f.get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil {
			return badData(errors.New("limit must be a number"))
		}
	}
	if text := f.get("limit_per_metric"); text != "" { // there is one each
		if _, err := strconv.Atoi(text); err != nil {
			return badData(errors.New("limit_per_metric must be a number"))
		}
	}
	only := f.get("metric")
	o.raw("{")
	var last *metric.Family
	n := 0
	a.Registry.Each(func(family *metric.Family, _ *metric.Series) bool {
		if family == last {
			return true
		}
		last = family
		d := family.Desc()
		if only != "" && d.Name != only {
			return true
		}
		if limit >= 0 && n >= limit {
			return false
		}
		if n++; n > 1 {
			o.raw(",")
		}
		o.string(d.Name)
		o.raw(`:[{"type":"` + d.Kind.String() + `","unit":"","help":`)
		o.string(strings.ToValidUTF8(d.HelpText(), "\uFFFD"))
		o.raw("}]")
		return true
	})
	o.raw("}")
	return nil
}

// numbers are what weir tells of these requests.
type numbers struct{ requests, seconds *metric.Family }

func newNumbers(reg *metric.Registry) (n numbers, err error) {
	family := func(d metric.Desc) *metric.Family {
		d.Owner = "history queries"
		f, e := reg.Family(d)
		err = errors.Join(err, e)
		return f
	}
	n.requests = family(metric.Desc{Name: "weir_history_queries_total", Help: "Requests to the Prometheus API, by how they ended.", Labels: []string{"endpoint", "outcome"}})
	n.seconds = family(metric.Desc{
		Name: "weir_history_query_seconds", Help: "Time that answering took, waiting included.", Labels: []string{"endpoint"}, Kind: metric.Histogram,
		Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 10, 30, 60},
	})
	return n, err
}

// answered counts a request by how it ended.
func (n *numbers) answered(endpoint string, began time.Time, err error) {
	outcome := "ok"
	if err != nil {
		switch f := failed(err); {
		case f.kind == "timeout", f.kind == "canceled", f.kind == "unavailable":
			outcome = f.kind
		case f.status < http.StatusInternalServerError:
			outcome = "refused"
		default:
			outcome = "failed"
		}
	}
	n.requests.Series(endpoint, outcome).Add(1)
	n.seconds.Series(endpoint).Observe(time.Since(began).Seconds())
}
