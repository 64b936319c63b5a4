package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/web"
)

// shownSeries is how many series of a metric the page lists.
const shownSeries = 20

// serve opens the listener and answers until ctx ends.
func (a *Agent) serve(ctx context.Context, serving *sync.WaitGroup) error {
	cfg := a.current().cfg.HTTP
	if cfg.Listen == "" {
		return nil
	}
	api, err := a.newLoki()
	if err != nil {
		return err
	}
	prometheus, err := a.newPrometheus()
	if err != nil {
		return err
	}
	deps := web.Deps{Metrics: a.registry, Status: a, Push: http.HandlerFunc(a.push), Loki: api, Tasks: &api.Tasks, Prometheus: prometheus, Log: a.opts.Log}
	if a.history != nil {
		deps.Past = &pasts{history: a.history, interval: a.current().cfg.History.Interval}
	}
	h := web.Handler(cfg, deps)
	srv, err := web.Listen(cfg, h, a.opts.Log)
	if err != nil {
		return err
	}
	host := linkHost(srv.Addr())
	_, port, _ := net.SplitHostPort(host)
	a.opts.Log.Info("listening", "page", "http://"+host+"/")
	a.opts.Log.Info("metrics are exported", "port", port, "url", "http://"+host+"/metrics")
	if cfg.Insecure && cfg.Token == "" {
		a.opts.Log.Warn("the page and the APIs are open to everyone who can reach them", "address", srv.Addr().String(), "remedy", "set http.token, and leave http.insecure out")
	}
	serving.Go(func() {
		if err := srv.Run(ctx); err != nil {
			a.opts.Log.Error("stopped listening", "error", err)
		}
	})
	return nil
}

// linkHost returns an address that a browser on this machine can open.
func linkHost(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

// Reloaded notes how a reload went, for the log, the page and the metrics.
func (a *Agent) Reloaded(err error) {
	c := a.ledger.Component("config", "reload", "config")
	if err != nil {
		c.Event("refused")
		remedy := "run weir check, mend what it names, and send SIGHUP again"
		if errors.As(err, new(restartError)) {
			remedy = "restart weir, or take that change back and send SIGHUP again"
		}
		c.Degraded("the new configuration was refused and the old one stays: "+err.Error(), remedy)
		return
	}
	c.Event("reloaded")
	c.Healthy()
	a.opts.Log.Info("reloaded the configuration")
}

// Trouble returns what does not work at the moment, nil when all does.
func (a *Agent) Trouble() error {
	var all []error
	for _, c := range a.ledger.Components() {
		if s := c.State(); !s.Healthy {
			all = append(all, fmt.Errorf("%s %s: %s", c.Kind, c.Name, s.Problem))
		}
	}
	return errors.Join(all...)
}

// NotReady implements web.Status: weir is ready once every source has had its first look.
func (a *Agent) NotReady() []string {
	var waiting []string
	g := a.current()
	for _, s := range g.sources {
		select {
		case <-s.ready:
		default:
			why := "has not had its first look yet"
			if st := s.ledger.State(); !st.Healthy {
				why = st.Problem
			}
			waiting = append(waiting, fmt.Sprintf("source %s: %s", s.name, why))
		}
	}
	return waiting
}

// Snapshot implements web.Status.
func (a *Agent) Snapshot() web.Snapshot {
	g := a.current()
	s := web.Snapshot{Node: a.node, Version: a.opts.Version, Now: time.Now(), Started: a.started}
	s.Components = web.Components(a.ledger, a.registry)
	s.Problems = web.Problems(s.Components)
	s.Containers = web.Containers(a.registry)
	byID := map[string]web.Component{}
	for _, c := range s.Components {
		byID[c.ID] = c
	}
	for _, src := range g.sources {
		s.Sources = append(s.Sources, web.Source{Component: byID["source/"+src.name], Streams: src.streams()})
	}
	for _, sink := range g.sinks {
		shown := byID["sink/"+sink.name]
		shown.LastFlush = sink.LastFlush()
		s.Sinks = append(s.Sinks, shown)
	}
	for _, r := range g.rules {
		shown := web.Rule{Name: r.Name, Match: r.selector.String(), Matched: r.matched.Value(), Unmatched: r.unmatched.Value(), Samples: r.samples.Lines()}
		for _, m := range r.metrics {
			shown.Counters = append(shown.Counters, web.CounterOf(m.Family.Desc().Name, m.Family, shownSeries))
		}
		s.Rules = append(s.Rules, shown)
	}
	return s
}

// streams returns what the page shows of a source's open lines.
func (s *source) streams() []web.Stream {
	var streams []web.Stream
	for _, l := range s.lines.all() {
		p := l.writer.Progress()
		st := web.Stream{
			ID: l.input.Stream.ID, Labels: l.input.Stream.Labels, State: "reading",
			Lines: float64(p.Records), Bytes: float64(p.Bytes), Gaps: float64(p.Gaps),
		}
		if last := l.last.Load(); last != 0 {
			st.Last = time.Unix(0, last)
		}
		streams = append(streams, st)
	}
	return streams
}
