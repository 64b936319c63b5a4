package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/console"
	"github.com/weirlog/weir/internal/match"
	"github.com/weirlog/weir/internal/record"
)

func newWhy(p *process) *cobra.Command {
	var stream string
	var unmatched bool
	cmd := &cobra.Command{
		Use:   "why",
		Short: "Explain what the rules make of lines on stdin",
		Long: `why reads lines, of a log file, of Docker's json-file or of CRI, and says for each which
rules apply, with which fields and level, which series it adds to, what is redacted, whether
a filter drops it and what is kept; or where the parser of a rule stopped fitting. Without
--stream every rule is tried.

With --unmatched it takes the lines from the running weir instead: the last few of each rule
that its parser did not fit, secrets replaced.`,
		Example: `  tail -1 /var/log/nginx/access.log | weir why -c weir.yaml
  docker logs --tail 3 shop | weir why --stream '{container="shop"}'
  weir why --unmatched`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			labels, err := streamLabels(stream)
			if err != nil {
				return exitError{code: exitUsage, err: err}
			}
			ctx := contextOf(cmd.Context())
			explain := func(line []byte) error {
				e, err := agent.Explain(ctx, cfg, line, labels)
				if err != nil {
					return err
				}
				return p.printExplanation(e)
			}
			if unmatched {
				err = p.eachSample(ctx, cfg, explain)
			} else {
				err = eachLine(p.in, explain)
			}
			if err != nil {
				return failure(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&unmatched, "unmatched", false, "explain the last lines that the running weir could not parse")
	cmd.Flags().StringVar(&stream, "stream", "", "`labels` of the stream that the lines come from, as {container=\"shop\"}")
	return cmd
}

func streamLabels(text string) (record.Labels, error) {
	if text == "" {
		return nil, nil
	}
	s, err := match.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--stream: %w", err)
	}
	labels, ok := s.Labels()
	if !ok {
		return nil, fmt.Errorf("--stream %s: give the labels of one stream, with = alone", text)
	}
	return labels, nil
}

// eachLine calls explain with every line of in that is not empty.
func eachLine(in io.Reader, explain func([]byte) error) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if text := bytes.TrimRight(line, "\r\n"); len(text) > 0 {
			if err := explain(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// eachSample calls explain with the unmatched lines that the running weir has kept.
func (p *process) eachSample(ctx context.Context, cfg agent.Config, explain func([]byte) error) error {
	text, status, err := ask(ctx, cfg, "/weir/v1/rules", cfg.HTTP.Token)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("ask for unmatched lines: %s", strings.TrimSpace(string(text)))
	}
	var answer struct {
		Rules []struct {
			Name    string
			Samples []string
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("ask for unmatched lines: %w", err)
	}
	none := true
	for _, r := range answer.Rules {
		for _, line := range r.Samples {
			none = false
			if err := explain([]byte(line)); err != nil {
				return err
			}
		}
	}
	if none {
		fmt.Fprintln(p.messages, "weir: every line so far was matched")
	}
	return nil
}

func (p *process) printExplanation(e agent.Explanation) error {
	if p.output == "json" {
		return p.printJSON(e)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "line   %s\n", printable(e.Text))
	if e.Format != "raw" {
		fmt.Fprintf(&b, "       unwrapped from %s\n", e.Format)
	}
	if len(e.Rules) == 0 {
		b.WriteString("rule   none: the configuration has no rules\n")
	}
	for _, r := range e.Rules {
		writeVerdict(&b, r, e.Text)
	}
	if e.Redacted != "" {
		fmt.Fprintf(&b, "text   %s\n", printable(e.Redacted))
	}
	fmt.Fprintf(&b, "level  %s\n", e.Level)
	for _, c := range e.Counts {
		fmt.Fprintf(&b, "count  %s %+g\n", c.Series, c.Add)
	}
	if len(e.Counts) == 0 {
		b.WriteString("count  nothing\n")
	}
	if e.Dropped {
		b.WriteString("keep   nothing: a filter drops it\n")
	} else {
		fmt.Fprintf(&b, "keep   %s\n", e.Keep)
		if e.Class != "" {
			fmt.Fprintf(&b, "class  %s\n", e.Class)
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(p.out, b.String())
	return err
}

func writeVerdict(b *strings.Builder, r agent.RuleVerdict, text string) {
	if r.Applies {
		fmt.Fprintf(b, "rule   %s applies", r.Name)
		if r.Parser != "" {
			fmt.Fprintf(b, " (%s, by %s)", r.Parser, r.Engine)
		}
		b.WriteByte('\n')
		for _, f := range r.Fields {
			fmt.Fprintf(b, "         %s = %s\n", f.Name, printable(f.Value))
		}
		writeChanges(b, r)
		return
	}
	fmt.Fprintf(b, "rule   %s does not apply: %s\n", r.Name, r.Reason)
	writeChanges(b, r)
	if r.Stopped == len(text) {
		fmt.Fprintf(b, "         the line ends where it wants more\n")
	} else if r.Stopped > 0 && r.Stopped < len(text) {
		fitted := printable(text[:r.Stopped])
		fmt.Fprintf(b, "         fits   %s\n         not    %*s%s\n", fitted, len([]rune(fitted)), "", printable(text[r.Stopped:]))
	}
}

// writeChanges says what a rule replaces, and what its filter does.
func writeChanges(b *strings.Builder, r agent.RuleVerdict) {
	for _, p := range r.Redacts {
		fmt.Fprintf(b, "         redacts %s (%g)\n", p.Pattern, p.Pieces)
	}
	if r.Filter != "" {
		fmt.Fprintf(b, "         filter %s\n", r.Filter)
	}
}

// printable spells out what is not harmless in log text, wherever it goes: an item is a line.
func printable(text string) string { return string(console.AppendHarmless(nil, text)) }
