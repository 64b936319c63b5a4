package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/tsdb"
	"github.com/weirlog/weir/internal/web"
)

const (
	// pastOf is how far back the page shows what the numbers did, pastAtLeast how far while the
	// history is younger.
	pastOf      = time.Hour
	pastAtLeast = 10 * time.Minute
	// pastSteps is how many steps that has, if samples are not farther apart.
	pastSteps = 60
	// pastFor is how long an answer of the history serves all who look at the page.
	pastFor = 10 * time.Second
)

// pasts are what the history said last, by the names of the metrics. It has those alone that
// the page has asked for since then.
type pasts struct {
	history  *tsdb.DB
	interval time.Duration // of samples

	mu    sync.Mutex // guards below; held while the history is read, so that it is read once
	steps tsdb.Steps // until when it was asked
	known map[string][]tsdb.Past
}

// Fill implements web.Past.
func (p *pasts) Fill(ctx context.Context, s *web.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := s.Now.Sub(p.steps.Until); age > pastFor || age < 0 {
		p.renew(s.Now)
	}
	for i := range s.Rules {
		for j := range s.Rules[i].Counters {
			p.fillCounter(ctx, &s.Rules[i].Counters[j])
		}
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		c.CPUPast = p.level(ctx, "container_cpu_usage_percent", c.Name)
		c.MemoryPast = p.level(ctx, "container_memory_working_set_bytes", c.Name)
	}
	s.PastOf = time.Duration(p.steps.N) * p.steps.Each
}

// renew forgets what is known, and begins anew with steps until now.
func (p *pasts) renew(now time.Time) {
	of := pastOf
	if oldest, _, err := p.history.Extent(); err == nil {
		of = min(max(now.Sub(time.UnixMilli(oldest)), pastAtLeast), pastOf)
	}
	each := max(of/pastSteps, p.interval)
	p.steps = tsdb.Steps{Until: now, Each: each, N: int(of / each)}
	p.known = map[string][]tsdb.Past{}
}

// fillCounter sets the rates of a counter's series, in what the counter is in a second.
func (p *pasts) fillCounter(ctx context.Context, c *web.Counter) {
	grown := p.read(ctx, c.Name, p.history.Growth)
	if c.Kind == "histogram" && len(grown) == 0 { // a native one has its own name
		grown = p.read(ctx, c.Name+"_count", p.history.Growth)
	}
	byValues := map[string][]float64{}
	for _, past := range grown {
		rates := make([]float64, len(past.Steps))
		for i, grown := range past.Steps {
			rates[i] = grown / p.steps.Each.Seconds()
		}
		values := make([]string, len(c.Labels))
		for i, label := range c.Labels {
			values[i] = past.Label(label)
		}
		byValues[strings.Join(values, "\x00")] = rates
	}
	for i := range c.Series {
		c.Series[i].Past = byValues[strings.Join(c.Series[i].Values, "\x00")]
	}
}

// level returns the past of a gauge of a container.
func (p *pasts) level(ctx context.Context, name, container string) []float64 {
	for _, past := range p.read(ctx, name, p.history.Levels) {
		if past.Label("container") == container {
			return past.Steps
		}
	}
	return nil
}

// read returns what is known of a metric, nothing if the history cannot be read: then the page
// is shown without it, and the history itself says why.
func (p *pasts) read(ctx context.Context, name string, ask func(context.Context, string, tsdb.Steps) ([]tsdb.Past, error)) []tsdb.Past {
	known, ok := p.known[name]
	if !ok {
		known, _ = ask(ctx, name, p.steps)
		p.known[name] = known
	}
	return known
}
