package agent

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/cri"
	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
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
	// Redacted is the text as it is counted and kept, where a rule replaces something in it.
	Redacted string `json:"redacted,omitempty"`
	// Counts are the series that the line adds to.
	Counts []Counted `json:"counts"`
	// Dropped tells that a filter takes the line out after it was counted; Keep says what
	// is kept otherwise.
	Dropped bool   `json:"dropped"`
	Keep    string `json:"keep"`
	// Class is the class of the kept text that the line is of, "" for none.
	Class string `json:"class,omitempty"`
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
	// Redacts are the patterns that replace something, Filter what the rule's filter does.
	Redacts []Redaction `json:"redacts,omitempty"`
	Filter  string      `json:"filter,omitempty"`
}

// Redaction is a pattern and how many pieces of a line it replaces.
type Redaction struct {
	Pattern string  `json:"pattern"`
	Pieces  float64 `json:"pieces"`
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
	l := &lines{mapping: cfg.mapping, tally: tallies.of("why"), filtered: tallies.filters("why")}
	stream := record.Stream{ID: "why", Source: "why", Labels: labels}
	_, keeps := keepOf(stream, rules, nil)
	stages, err := l.stages(stream, rules, keeps)
	if err != nil {
		return err
	}
	var deltas []record.Delta
	var failed error
	var head flow.Sink = flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		deltas = append(deltas, b.Deltas...)
		if len(b.Records) > 0 {
			failed = e.arrived(b, rules)
		}
		return nil
	})
	for _, stage := range slices.Backward(stages) {
		head = stage(head)
	}
	b := new(record.Batch)
	b.Reset(&stream)
	b.Records = append(b.Records, record.Record{Body: b.Append(text), End: int64(len(text))})
	if err := errors.Join(head.Write(ctx, b), failed); err != nil {
		return err
	}
	reg.Apply(deltas)
	for _, r := range rules {
		for _, m := range r.metrics {
			e.addSeries(reg, m.Family)
		}
		v := e.verdict(r)
		for k, p := range r.Redact {
			if n := r.redacted[k].Value(); n > 0 {
				v.Redacts = append(v.Redacts, Redaction{p.Name, n})
			}
		}
	}
	e.Keep = kept(slices.DeleteFunc(rules, func(r *rule) bool { return labels == nil && !e.verdict(r).Applies })).String()
	return nil
}

// verdict returns what is said about a rule.
func (e *Explanation) verdict(r *rule) *RuleVerdict {
	return &e.Rules[slices.IndexFunc(e.Rules, func(v RuleVerdict) bool { return v.Name == r.Name })]
}

// arrived looks at the record at the end of its line.
func (e *Explanation) arrived(b *record.Batch, rules []*rule) error {
	if found := b.Records[0].Level; found != record.LevelUnknown {
		e.Level = found.String()
	}
	if text := strings.ToValidUTF8(string(b.Bytes(b.Records[0].Body)), "\uFFFD"); text != e.Text {
		e.Redacted = text
	}
	if class := b.Records[0].Class; class > 0 {
		e.Class = kept(rules).Classes[class-1].Name
	}
	at := filter.Line{Stream: b.Stream.ID, Slots: b.Slots}
	for i, r := range rules {
		if r.Filter == nil || b.Records[0].Rules&(1<<i) == 0 {
			continue
		}
		text, drops, err := filter.Explain(*r.Filter, at, b, 0)
		if err != nil {
			return err
		}
		e.verdict(r).Filter = text
		e.Dropped = e.Dropped || drops
		if r.Filter.Sample != nil {
			at.Samples++
		}
	}
	return nil
}

func (e *Explanation) addSeries(reg *metric.Registry, f *metric.Family) {
	reg.Each(func(g *metric.Family, s *metric.Series) bool {
		if g != f || empty(s) {
			return true
		}
		e.Counts = append(e.Counts, Counted{Series: f.Desc().Name + seriesLabels(f, s), Add: s.Sum()})
		return true
	})
}

func empty(s *metric.Series) bool { return s.Count() == 0 && s.Sum() == 0 }

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
