package loki

import (
	"net/http"
	"runtime"
	"strconv"

	"github.com/weirlog/weir/internal/logql/syntax"
)

// apiVersion is the version of Loki whose API this is. Clients look at it to learn what
// they may ask for.
const apiVersion = "3.0.0"

// format answers /format_query, which alone says in JSON what is wrong with a query.
func (a *API) format(f form) (made answer, status int) {
	text, err := syntax.Format(f.get("query"))
	if err != nil {
		return func(o *out) {
			o.raw(`{"status":"invalid-query","error":`)
			o.string(err.Error())
			o.raw(`}`)
		}, http.StatusBadRequest
	}
	return func(o *out) {
		o.raw(`{"status":"success","data":`)
		o.string(text)
		o.raw(`}`)
	}, http.StatusOK
}

// buildInfo answers /status/buildinfo.
func (a *API) buildInfo(form) (made answer, status int) {
	return func(o *out) {
		o.raw(`{"version":"` + apiVersion + `","revision":`)
		o.string("weir " + a.Version)
		o.raw(`,"branch":"","buildUser":"","buildDate":"","goVersion":`)
		o.string(runtime.Version())
		o.raw(`}`)
	}, http.StatusOK
}

// drilldownLimits answers /drilldown-limits, with which Grafana's Logs Drilldown asks what
// it can use. There are no patterns, and a query may look as far back as there is text.
func (a *API) drilldownLimits(form) (made answer, status int) {
	return func(o *out) {
		o.raw(`{"limits":{"discover_log_levels":true,"discover_service_name":[],"log_level_fields":["level"],"max_entries_limit_per_query":`)
		o.int(int64(a.Limits.Entries))
		o.raw(`,"max_line_size_truncate":true,"max_query_bytes_read":"0B","max_query_length":"0s","max_query_lookback":"0s","max_query_range":"0s",` +
			`"max_query_series":5000,"metric_aggregation_enabled":false,"pattern_persistence_enabled":false,"query_timeout":`)
		o.string(strconv.Itoa(int(a.Limits.Timeout.Seconds())) + "s")
		o.raw(`,"retention_period":"0s","volume_enabled":true,"volume_max_series":1000},"pattern_ingester_enabled":false,"version":"` + apiVersion + `"}`)
	}, http.StatusOK
}

// none adds an address that lists rules or alerts, of which there are none. Grafana's alerting
// asks each of its Loki data sources, and shows an error for one that has no such address.
func (a *API) none(name, list string) {
	a.mux.HandleFunc("GET "+rulesRoot+name, func(w http.ResponseWriter, r *http.Request) {
		a.send(w, r, http.StatusOK, func(o *out) {
			o.raw(`{"status":"success","data":{"` + list + `":[]},"errorType":"","error":""}`)
		})
	})
}
