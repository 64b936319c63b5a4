package agent

import (
	"context"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/cri"
	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/level"
	"github.com/weirlog/weir/internal/stage/parse"
)

// Explanation says what the rules make of one line.
type Explanation struct {
	// Text is the line without the wrapping of Docker or CRI, which Format names.
	Text   string        `json:"text"`
	Format string        `json:"format"` // raw, docker or cri
	Level  string        `json:"level"`
	Rules  []RuleVerdict `json:"rules"`
	// Counts are the series that the line adds to.
	Counts []Counted `json:"counts"`
}

// RuleVerdict is what one rule does with a line.
type RuleVerdict struct {
	Name    string `json:"name"`
	Applies bool   `json:"applies"`
	// Reason says why it does not apply: another stream, or a parser that does not fit.
	Reason string `json:"reason,omitempty"`
	// Parser is the format that the rule parses, Engine how.
	Parser string `json:"parser,omitempty"`
	Engine string `json:"engine,omitempty"`
	// Stopped is how many bytes of the text the parser fitted before it gave up.
	Stopped int           `json:"stopped,omitempty"`
	Fields  []parse.Field `json:"fields,omitempty"`
}

// Counted is one series and what a line adds to it.
type Counted struct {
	Series string  `json:"series"`
	Add    float64 `json:"add"`
}

// Explain tries a line on the rules of cfg. labels are those of the stream that it would
// come from; nil tries every rule.
func Explain(ctx context.Context, cfg Config, line []byte, labels record.Labels) (Explanation, error) {
	text, format := unwrap(line)
	e := Explanation{Text: strings.ToValidUTF8(string(text), "\uFFFD"), Format: format, Level: level.FromText(text).String()}
	reg, _, err := scratch(cfg.Node)
	if err != nil {
		return e, err
	}
	rules, err := compileRules(cfg.Rules, reg)
	if err != nil {
		return e, err
	}
	for _, r := range rules {
		v := RuleVerdict{Name: r.Name, Applies: true}
		if labels != nil && !r.selector.Matches(labels) {
			v.Applies, v.Reason = false, "it is for streams "+r.selector.String()
		} else if r.parser != nil {
			v.parse(r.parser, text)
		}
		e.Rules = append(e.Rules, v)
	}
	return e, e.count(ctx, cfg, text, labels)
}

func (v *RuleVerdict) parse(p *parse.Parser, text []byte) {
	v.Parser, v.Engine = p.Format(), p.Engine()
	v.Fields, v.Applies, v.Stopped = p.Explain(text)
	if !v.Applies {
		v.Reason = "its " + v.Parser + " does not fit"
	}
}

// unwrap takes the text out of a Docker or CRI line.
func unwrap(line []byte) (text []byte, format string) {
	if e, err := dockerjson.Parse(line); err == nil && e.Time != 0 {
		if !e.Escaped {
			return e.Log, "docker"
		}
		return dockerjson.Unescape(nil, e.Log), "docker"
	}
	if e, err := cri.Parse(line); err == nil {
		return e.Log, "cri"
	}
	return line, "raw"
}

// count runs the line through the very stages that a stream has, and collects what they
// would commit.
func (e *Explanation) count(ctx context.Context, cfg Config, text []byte, labels record.Labels) error {
	reg, tallies, err := scratch(cfg.Node)
	if err != nil {
		return err
	}
	rules, err := compileRules(cfg.Rules, reg)
	if err != nil {
		return err
	}
	if labels != nil {
		rules = matching(rules, labels)
	}
	l := &lines{mapping: cfg.mapping, tally: tallies.of("why"), filtered: tallies.filtered.Series("why").ID()}
	stream := record.Stream{ID: "why", Source: "why", Labels: labels}
	_, keeps := keepOf(rules, nil)
	stages, err := l.stages(stream, rules, keeps)
	if err != nil {
		return err
	}
	var deltas []record.Delta
	var found record.Level
	var head flow.Sink = flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		deltas = append(deltas, b.Deltas...)
		for _, r := range b.Records {
			found = r.Level
		}
		return nil
	})
	for _, stage := range slices.Backward(stages) {
		head = stage(head)
	}
	b := new(record.Batch)
	b.Reset(&stream)
	b.Records = append(b.Records, record.Record{Body: b.Append(text), End: int64(len(text))})
	if err := head.Write(ctx, b); err != nil {
		return err
	}
	reg.Apply(deltas)
	for _, r := range rules {
		for _, m := range r.metrics {
			e.addSeries(reg, m.Family)
		}
	}
	if found != record.LevelUnknown {
		e.Level = found.String()
	}
	return nil
}

func (e *Explanation) addSeries(reg *metric.Registry, f *metric.Family) {
	reg.Each(func(g *metric.Family, s *metric.Series) bool {
		if g != f || empty(s) {
			return true
		}
		add := s.Cell(s.Cells() - 1) // the count, the sum, or a histogram's sum
		e.Counts = append(e.Counts, Counted{Series: f.Desc().Name + seriesLabels(f, s), Add: add})
		return true
	})
}

func empty(s *metric.Series) bool {
	for i := range s.Cells() {
		if s.Cell(i) != 0 {
			return false
		}
	}
	return true
}

func seriesLabels(f *metric.Family, s *metric.Series) string {
	var ls record.Labels
	for i, name := range f.Desc().Labels {
		ls = append(ls, record.Label{Name: name, Value: s.Values()[i]})
	}
	if len(ls) == 0 {
		return ""
	}
	return ls.String()
}
