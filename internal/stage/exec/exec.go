// Package exec is the stage that asks a program about records: a plugin in any language.
//
//	plugin, err := exec.New(cfg, deps) // a flow.Plugin
//
// The program gets records on its standard input, each a line of JSON as deliver.Encoder
// writes it with an "id" before, and answers each with a line on its standard output, in order:
// the record, of which body, level, time and fields are taken where they are given, or null
// to drop it. So `jq -c --unbuffered 'if .level == "debug" then null else . end'` is a plugin.
// An answer may have the id of what it answers, by which weir knows that it has not lost count.
//
// A program that fails is package child's business; what happens to records that it does not
// answer is the configuration's. They are counted. Stages of several lines share the program.
package exec

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

// OnError is what happens to records that the program does not answer.
type OnError string

const (
	// KeepOn lets them go on as they are.
	KeepOn OnError = "keep"
	// DropOn drops them.
	DropOn OnError = "drop"
	// WaitOn has them wait for the program.
	WaitOn OnError = "wait"
)

// Values lists them, for the configuration.
func (OnError) Values() []string { return []string{string(KeepOn), string(DropOn), string(WaitOn)} }

// Config says which program is asked.
type Config struct {
	// Type is exec.
	Type string `yaml:"type"`

	child.Program `yaml:",inline"`

	// Batch is how many records it gets at once at most. Default 500.
	Batch int `yaml:"batch"`
	// OnError is what happens to records that the program does not answer, or with
	// nonsense: `keep` (default) lets them go on as they are, `drop` drops them, and `wait`
	// has the source wait for a program that fails, which a source without a memory of its
	// own cannot for long. They are counted.
	OnError OnError `yaml:"on_error"`
}

// Default returns the configuration of a plugin that says nothing.
func Default() Config {
	return Config{Type: "exec", Program: child.Program{Timeout: 10 * time.Second}, Batch: 500, OnError: KeepOn}
}

const mostBatch = 10_000

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problem error
	if c.Batch < 1 || c.Batch > mostBatch {
		problem = &config.Problem{Key: "batch", Message: "use 1 to 10000"}
	}
	return config.Join(c.Program.Validate(), problem)
}

// Plugin is a program that stages ask.
type Plugin struct {
	config  Config
	deps    flow.PluginDeps
	program *child.Process
	id      atomic.Uint64
}

var _ flow.Plugin = (*Plugin)(nil)

// New returns a plugin, whose program is started when there is something to ask.
func New(c Config, d flow.PluginDeps) (*Plugin, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Plugin{config: c, deps: d, program: child.New(child.Options{Program: c.Program, Log: d.Log, Ledger: d.Ledger})}, nil
}

// Close implements flow.Plugin.
func (p *Plugin) Close() error { return p.program.Close() }

// Stage implements flow.Plugin.
func (p *Plugin) Stage(l flow.PluginLine) flow.Stage {
	s := &stage{plugin: p, line: l}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			if err := s.ask(ctx, b); err != nil {
				return err
			}
			return next.Write(ctx, b)
		})
	}
}

// stage asks about the records of one line.
type stage struct {
	plugin  *Plugin
	line    flow.PluginLine
	encoder deliver.Encoder
	text    []byte
	record  []byte
	asked   []int          // records of the batch
	ids     []uint64       // and their ids, which stages of other lines take from in between
	fields  []record.Field // what the program says of fields, in the order of records
	plain   []byte
}

// maxText is from how many bytes on a request is not made longer.
const maxText = 1 << 20

// ask has the program look at b.
func (s *stage) ask(ctx context.Context, b *record.Batch) error {
	s.fields = s.fields[:0]
	s.encoder.Begin(b)
	for i := 0; i < len(b.Records); {
		s.text, s.asked, s.ids = s.text[:0], s.asked[:0], s.ids[:0]
		for ; i < len(b.Records) && len(s.asked) < s.plugin.config.Batch && len(s.text) < maxText; i++ {
			if s.line.Sees(&b.Records[i]) {
				s.asked = append(s.asked, i)
				s.append(b, i)
			}
		}
		if len(s.asked) == 0 {
			continue
		}
		if err := s.exchange(ctx, b); err != nil {
			return err
		}
	}
	s.setFields(b)
	return nil
}

// append adds the question about record i.
func (s *stage) append(b *record.Batch, i int) {
	id := s.plugin.id.Add(1)
	s.text = strconv.AppendUint(append(s.text, `{"id":`...), id, 10)
	s.record = s.encoder.Append(s.record[:0], b, i)
	s.text = append(append(append(s.text, ','), s.record[1:]...), '\n')
	s.ids = append(s.ids, id)
}

// exchange asks about the records of s.asked, and sees to those that get no answer.
func (s *stage) exchange(ctx context.Context, b *record.Batch) error {
	for pause := (retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}); ; {
		done := 0
		err := s.plugin.program.Exchange(ctx, s.text, len(s.asked), func(k int, line []byte) error {
			if err := s.answer(b, k, line); err != nil {
				return err
			}
			done = k + 1
			return nil
		})
		if err == nil {
			s.plugin.deps.Ledger.Healthy()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, child.ErrPausing) {
			s.plugin.deps.Ledger.Degraded(err.Error(), "the program is started again by itself; on_error says what happens to records meanwhile")
		}
		if s.plugin.config.OnError != WaitOn {
			for _, i := range s.asked[done:] {
				s.unanswered(b, i)
			}
			return nil
		}
		if err := pause.Wait(ctx); err != nil {
			return err
		}
		s.again(b)
	}
}

// again makes the question new, for the program may have answered a part of it.
func (s *stage) again(b *record.Batch) {
	all := s.asked
	s.text, s.asked, s.ids = s.text[:0], nil, s.ids[:0]
	for len(s.fields) > 0 && s.fields[len(s.fields)-1].Record >= all[0] {
		s.fields = s.fields[:len(s.fields)-1]
	}
	s.encoder.Begin(b)
	for _, i := range all {
		if s.line.Sees(&b.Records[i]) {
			s.asked = append(s.asked, i)
			s.append(b, i)
		}
	}
}

// unanswered sees to a record of which the program has said nothing that makes sense.
func (s *stage) unanswered(b *record.Batch, i int) {
	if s.plugin.config.OnError == DropOn {
		s.line.Drop(b, i)
		s.plugin.deps.Ledger.Events("record dropped without an answer", 1)
		return
	}
	s.plugin.deps.Ledger.Events("record unchanged without an answer", 1)
}

// errOutOfStep says that an answer is to another record.
func errOutOfStep(got, want uint64) error {
	return fmt.Errorf("the program answered record %d where %d was next", got, want)
}
