package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/count"
	"github.com/weirlog/weir/internal/stage/filter"
	"github.com/weirlog/weir/internal/stage/join"
	"github.com/weirlog/weir/internal/stage/level"
	"github.com/weirlog/weir/internal/stage/parse"
	"github.com/weirlog/weir/internal/stage/redact"
)

// tallies are the durable numbers about what sources read.
type tallies struct {
	records, bytes, cut, filtered, gaps, gapBytes *metric.Family

	logs logTallies
}

func newTallies(reg *metric.Registry) (t tallies, err error) {
	family := func(name, help string, labels ...string) *metric.Family {
		made, e := reg.Family(metric.Desc{Name: name, Help: help, Labels: append([]string{"source"}, labels...), Owner: "sources", Durable: true})
		err = errors.Join(err, e)
		return made
	}
	t.records = family("weir_source_records_total", "Records read, each once over restarts.")
	t.bytes = family("weir_source_bytes_total", "Bytes of the records' text as it was read.")
	t.cut = family("weir_source_cut_records_total", "Records that were over the limit and lost their end.")
	t.filtered = family("weir_source_filtered_records_total", "Records that filters took out, after they were counted.", "reason")
	t.gaps = family("weir_source_gaps_total", "Times that something was lost before weir could read it.", "reason")
	t.gapBytes = family("weir_source_gap_bytes_total", "Bytes known to be lost in gaps.", "reason")
	logs, e := newLogTallies(reg)
	t.logs = logs
	return t, errors.Join(err, e)
}

func (t tallies) of(source string) count.Tally {
	return count.Tally{
		Records: t.records.Series(source).ID(),
		Bytes:   t.bytes.Series(source).ID(),
		Cut:     t.cut.Series(source).ID(),
		Gap: func(reason string) (gaps, bytes uint32) {
			return t.gaps.Series(source, reason).ID(), t.gapBytes.Series(source, reason).ID()
		},
	}
}

// filters returns the series of a source that count what filters took out.
func (t tallies) filters(source string) filter.Series {
	of := func(reason string) uint32 { return t.filtered.Series(source, reason).ID() }
	return filter.Series{Drop: of("drop"), Sample: of("sample"), Rate: of("rate")}
}

// lines is the flow.Lines of one source.
type lines struct {
	source  string
	journal *journal.Journal
	rules   []*rule
	mapping *level.Mapping
	tally   count.Tally
	// filtered are the durable series of records that filters took out.
	filtered filter.Series
	// dropped is that of records that plugins took out.
	dropped uint32
	// logs counts the records of each container by level; nil: the source has none.
	logs    *logTallies
	settled func()
	// takers returns the names of the sinks that take the text of a stream.
	takers func(record.Labels) []string

	mu   sync.Mutex // guards open
	open map[*line]bool
}

// line is the flow.Line of one input, and what the status page shows of it.
type line struct {
	head   flow.Sink
	writer *journal.Writer
	lines  *lines
	input  flow.Input
	rules  []string

	last atomic.Int64 // Unix nanoseconds of the last batch with records
}

// Open composes the line from the sink backwards: join, parse, level, redact, count,
// filter, plugins, classes, journal. Secrets are neither counted nor kept, and counts do not depend on what
// is dropped later.
func (l *lines) Open(in flow.Input) (flow.Line, error) {
	in.Stream.Labels = withSource(in.Stream.Labels, l.source)
	rules := matching(l.rules, in.Stream.Labels)
	if len(rules) > parse.MaxRules {
		return nil, fmt.Errorf("stream %s: %d rules match, at most %d can", in.Stream.ID, len(rules), parse.MaxRules)
	}
	if in.Whole {
		rules = unjoined(rules)
	}
	made := &line{writer: l.journal.Input(in), lines: l, input: in}
	for _, r := range rules {
		made.rules = append(made.rules, r.Name)
	}
	keep, keeps := keepOf(in.Stream, rules, l.takers(in.Stream.Labels))
	stages, err := l.stages(in.Stream, rules, keeps)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", in.Stream.ID, err)
	}
	if keeps {
		made.writer.Keep(keep)
	}
	made.head = made.writer
	for _, stage := range slices.Backward(stages) {
		made.head = stage(made.head)
	}
	l.mu.Lock()
	l.open[made] = true
	l.mu.Unlock()
	return made, nil
}

// unjoined returns rules that join nothing.
func unjoined(rules []*rule) []*rule {
	var apart []*rule
	for _, r := range rules {
		c := *r
		c.Join = nil
		apart = append(apart, &c)
	}
	return apart
}

// withSource gives a stream the label that says which source reads it, unless it has one.
func withSource(labels record.Labels, source string) record.Labels {
	if labels.Get("source") != "" {
		return labels
	}
	m := map[string]string{"source": source}
	for _, l := range labels {
		m[l.Name] = l.Value
	}
	return record.NewLabels(m)
}

// stages returns the stages of a stream, in order. Whose text is kept has a level as well.
func (l *lines) stages(s record.Stream, rules []*rule, keeps bool) ([]flow.Stage, error) {
	joining := join.Default()
	leveling := level.Config{}
	wants := reads(rules)
	var parsers []parse.Rule
	var counts []count.Rule
	var redactions []flow.Stage
	for i, r := range rules {
		if r.Join != nil {
			joining = *r.Join
		}
		if r.Level != nil {
			leveling = *r.Level
		}
		p := parse.Rule{Matched: r.matched.ID(), Unmatched: r.unmatched.ID(), Samples: r.samples}
		if r.parser != nil {
			made, err := r.parser.Wanting(wants)
			if err != nil {
				return nil, err
			}
			p.Parser = made
		}
		parsers = append(parsers, p)
		if len(r.metrics) > 0 {
			counts = append(counts, count.Rule{Bit: i, Metrics: r.metrics})
		}
		if len(r.Redact) > 0 {
			stage, err := redact.New(r.Redact, ids(r.redacted))
			if err != nil {
				return nil, err
			}
			redactions = append(redactions, stage)
		}
	}
	joined, err := join.New(joining)
	if err != nil {
		return nil, err
	}
	parsed, slots := parse.Stage(parsers)
	stages := []flow.Stage{joined, parsed}
	container := s.Labels.Get("container")
	logged := l.logs != nil && container != ""
	if keeps || logged || readsLevel(rules) || l.mapping != nil && l.mapping.Applies(container) {
		stages = append(stages, level.New(leveling, l.mapping, slots, s.Labels))
	}
	stages = append(stages, redactions...)
	stages = append(stages, l.tally.Stage(), count.Stage(counts, slots, s.Labels))
	if logged {
		stages = append(stages, l.logs.of(container).Stage())
	}
	last, err := l.last(s, rules, slots)
	return append(stages, last...), err
}

// last returns the stages behind the counts, which decide what is kept, and as what.
func (l *lines) last(s record.Stream, rules []*rule, slots []string) ([]flow.Stage, error) {
	stages, err := l.filters(s.ID, rules, slots)
	if err != nil {
		return nil, err
	}
	stages = append(stages, l.plugins(s, rules)...)
	if classes := kept(rules).Classes; len(classes) > 0 {
		classify, err := filter.Classify(conditions(classes), slots)
		if err != nil {
			return nil, err
		}
		stages = append(stages, classify)
	}
	return stages, nil
}

// filters returns the filters of a stream, in order.
func (l *lines) filters(stream string, rules []*rule, slots []string) ([]flow.Stage, error) {
	var filters []flow.Stage
	at := filter.Line{Stream: stream, Slots: slots, Series: l.filtered}
	for i, r := range rules {
		if r.Filter == nil {
			continue
		}
		at.Rule = i
		stage, err := filter.New(*r.Filter, at)
		if err != nil {
			return nil, err
		}
		filters = append(filters, stage)
		if r.Filter.Sample != nil {
			at.Samples++
		}
	}
	return filters, nil
}

// plugins returns the stages of the rules' plugins.
func (l *lines) plugins(s record.Stream, rules []*rule) (stages []flow.Stage) {
	for i, r := range rules {
		for _, p := range r.plugins {
			stages = append(stages, p.Stage(flow.PluginLine{Stream: s, Rule: 1 << i, Dropped: l.dropped}))
		}
	}
	return stages
}

func ids(series []*metric.Series) []uint32 {
	var n []uint32
	for _, s := range series {
		n = append(n, s.ID())
	}
	return n
}

// Known implements flow.Lines.
func (l *lines) Known() []flow.Input { return l.journal.Known(l.source) }

// Settle implements flow.Lines.
func (l *lines) Settle() { l.settled() }

// all returns the open lines by stream and input.
func (l *lines) all() []*line {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*line, 0, len(l.open))
	for x := range l.open {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *line) int {
		return strings.Compare(a.input.Stream.ID+"\x00"+a.input.ID, b.input.Stream.ID+"\x00"+b.input.ID)
	})
	return all
}

// Write implements flow.Sink.
func (l *line) Write(ctx context.Context, b *record.Batch) error {
	if len(b.Records) > 0 {
		l.last.Store(time.Now().UnixNano())
	}
	return l.head.Write(ctx, b)
}

// Position implements flow.Line.
func (l *line) Position() record.Position { return l.writer.Position() }

// Close implements flow.Line.
func (l *line) Close(forget bool) {
	l.writer.Close()
	if forget {
		l.writer.Forget()
	}
	l.lines.mu.Lock()
	defer l.lines.mu.Unlock()
	delete(l.lines.open, l)
}
