// Package exec is the sink that gives records to a program: a plugin in any language.
//
//	s, err := exec.New(cfg, deps) // a flow.TextSink, for reader.Reader
//
// The program gets a batch of records on its standard input, each a line of JSON as
// deliver.Encoder writes it, and then a line {"commit":17}. When it has done with the batch
// it writes that line back. Weir takes that for the acknowledgement, and sends the next batch;
// {"commit":17,"error":"the disk is full"} has the batch sent again. So every record arrives at
// least once: what was not acknowledged before a crash of either comes again, with the same
// stream and seq.
package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// Config says which program gets which records.
type Config struct {
	child.Program     `yaml:",inline"`
	deliver.Selection `yaml:",inline"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{Program: child.Program{Timeout: 10 * time.Second}, Selection: deliver.SelectAll()}
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	return config.Join(c.Program.Validate(), c.Selection.Validate())
}

// New returns a sink. It fails for a configuration that Validate refuses.
func New(c Config, d deliver.Deps) (*deliver.Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t := &target{program: child.New(child.Options{Program: c.Program, Log: d.Log, Ledger: d.Ledger})}
	return deliver.New(d, t, c.Timeout+time.Second), nil // the program's own timeout says what happened
}

type target struct {
	program *child.Process
	encoder deliver.Encoder
	text    []byte
	commit  uint64
}

// maxText is how much memory stays for the next batch.
const maxText = 4 << 20

// Send implements deliver.Target.
func (t *target) Send(ctx context.Context, b *record.Batch) (deliver.Result, error) {
	if cap(t.text) > maxText {
		t.text = nil
	}
	t.text = t.text[:0]
	t.encoder.Begin(b)
	for i := range b.Records {
		if b.Records[i].Flags&record.Dropped == 0 {
			t.text = append(t.encoder.Append(t.text, b, i), '\n')
		}
	}
	t.commit++
	t.text = strconv.AppendUint(append(t.text, `{"commit":`...), t.commit, 10)
	t.text = append(t.text, "}\n"...)
	trouble := ""
	err := t.program.Exchange(ctx, t.text, 1, func(_ int, line []byte) (err error) {
		trouble, err = t.answer(line)
		return err
	})
	if err == nil && trouble != "" {
		err = errors.New("the program refuses: " + trouble)
	}
	return deliver.Result{}, err
}

// answer reads an answer. trouble is why the program could not take the batch; an error says
// that it is no answer.
func (t *target) answer(line []byte) (trouble string, err error) {
	var a struct {
		Commit uint64
		Error  string
	}
	switch err := json.Unmarshal(line, &a); {
	case err != nil:
		return "", fmt.Errorf("the program wrote no JSON but %s", child.Shown(line))
	case a.Commit != t.commit:
		return "", fmt.Errorf("the program wrote %s instead of {\"commit\":%d}", child.Shown(line), t.commit)
	}
	return child.Harmless(a.Error), nil
}

// Close implements deliver.Target.
func (t *target) Close() error { return t.program.Close() }
