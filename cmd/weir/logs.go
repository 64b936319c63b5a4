package main

import (
	"context"
	"errors"
	"fmt"

	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/console"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// logsOptions are the flags of weir logs.
type logsOptions struct {
	output                      string
	follow, utc, noColor        bool
	tail, since, until, step    string
	level                       string
	grep                        []string
	ignoreCase, invert          bool
	context, before, after      int
	labels, fullNames, noPrefix bool
}

func newLogs(p *process) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [stream...] | logs '{selector} ...'",
		Short: "Search and follow the kept text of containers and files",
		Long: `logs prints kept text, merged by time over all streams that are meant. A word means the
streams with that name, of a container, a compose service or project, a file, a source; else
those in whose names or identity it is a part; * stands for anything. An argument with braces
is LogQL, the language of Grafana Loki; a query for numbers prints a table, with --since one
that shows their course.

It asks the weir that runs where http.listen says. Where none answers, or with --data-dir, it
reads the data directory itself.`,
		Example: `  weir logs                                     the last 100 lines of everything
  weir logs nginx -f                            follow what is called nginx
  weir logs nginx api -l warn --since 1h        an hour of warnings and worse, of both
  weir logs shop -g 'timeout|refused' -C 5      with the 5 lines before and after each
  weir logs --since 9:00 --until 9:30 -o raw    the text alone
  weir logs '{container="nginx"} | json | status >= 500'
  weir logs 'sum by (level) (count_over_time({source="docker"}[5m]))' --since 1h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.logs(contextOf(cmd.Context()), &o, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on with the lines to come")
	flags.StringVarP(&o.tail, "tail", "n", "", "how many `lines`, the newest, or all (default 100; all with --since)")
	flags.StringVar(&o.since, "since", "", "from this `time` on: 90s, 2h, 3d ago, or 15:04, 2026-11-21, 2026-11-21T15:04:05Z, today, yesterday")
	flags.StringVar(&o.until, "until", "", "up to this `time`")
	flags.StringVarP(&o.level, "level", "l", "", "this `level` and worse: trace, debug, info, warn, error, fatal")
	flags.StringArrayVarP(&o.grep, "grep", "g", nil, "lines that fit this `regexp`; of several, any")
	flags.BoolVarP(&o.ignoreCase, "ignore-case", "i", false, "--grep in whatever case")
	flags.BoolVarP(&o.invert, "invert", "v", false, "--grep for lines that do not fit")
	flags.IntVarP(&o.context, "context", "C", 0, "with so many `lines` of the same stream before and after each")
	flags.IntVarP(&o.before, "before", "B", 0, "with so many `lines` before")
	flags.IntVarP(&o.after, "after", "A", 0, "with so many `lines` after")
	flags.StringVarP(&o.output, "output", "o", "text", "`form`: text, raw (the lines' own text), json, logfmt")
	flags.BoolVar(&o.labels, "labels", false, "show the labels of each line")
	flags.BoolVar(&o.fullNames, "stream", false, "name streams by their whole identity")
	flags.BoolVar(&o.noPrefix, "no-prefix", false, "do not name streams")
	flags.BoolVar(&o.utc, "utc", false, "times in UTC; to a pipe or file they always are")
	flags.BoolVar(&o.noColor, "no-color", false, "no colours (also NO_COLOR=1); to a pipe or file there are none")
	flags.StringVar(&o.step, "step", "", "of a query for numbers with --since: a `time` between two of them")
	flags.BoolVar(&p.verbose, "verbose", false, "also log debug messages")
	return cmd
}

// logs is the command.
func (p *process) logs(ctx context.Context, o *logsOptions, args []string) error {
	forms := console.Forms()
	if !slices.Contains(forms, console.Form(o.output)) {
		return usage(fmt.Errorf("--output %s: use text, raw, json or logfmt", o.output))
	}
	if o.output == "json" {
		p.output = "json" // of mistakes in the configuration
	}
	location := time.Local
	if o.utc {
		location = time.UTC
	}
	asked, err := o.question(args, time.Now().In(location))
	if err != nil {
		return usage(err)
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	terminal := console.IsTerminal(p.screen)
	names := console.Short
	switch {
	case o.noPrefix:
		names = console.None
	case o.fullNames:
		names = console.Full
	}
	printer := console.New(p.screen, console.Options{
		Form: console.Form(o.output), Terminal: terminal, Color: terminal && !o.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Location: location, Now: time.Now(), Labels: o.labels, Names: names, Highlight: asked.highlight, Messages: p.messages,
	})
	err = p.show(ctx, cfg, asked, printer)
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // who reads has seen enough
		return nil
	case ctx.Err() != nil && asked.follow:
		return nil
	case ctx.Err() != nil:
		return failure(errors.New("interrupted"))
	}
	var bad *syntax.ParseError
	if errors.As(err, &bad) {
		return usage(err)
	}
	return failure(err)
}

func usage(err error) error { return exitError{code: exitUsage, err: err} }

// logSource is where lines and numbers come from: a running weir, or a data directory.
type logSource interface {
	// Lines calls emit with lines; matched, before the first, with how many streams there are.
	Lines(ctx context.Context, q question, matched func(int) error, emit func([]lines.Line) error) error
	// Numbers answers a query for numbers; warnings say what keeps the answer from being whole.
	Numbers(ctx context.Context, q question) (res logql.Result, warnings []string, err error)
}

// show prints the answer: from the running weir, else from the data directory.
func (p *process) show(ctx context.Context, cfg agent.Config, q question, printer *console.Printer) error {
	return p.ask(cfg, func(r *runningWeir) error { return p.showFrom(ctx, r, q, printer) },
		func(k *keptText) error { return p.showFrom(ctx, k, q, printer) })
}

// ask calls running with the weir that runs or, where none answers or the data directory was
// named, kept with that.
func (p *process) ask(cfg agent.Config, running func(*runningWeir) error, kept func(*keptText) error) error {
	directory := &keptText{process: p, cfg: cfg}
	if p.dataDir != "" || cfg.HTTP.Listen == "" {
		return kept(directory)
	}
	err := running(&runningWeir{url: baseURL(cfg), token: string(cfg.HTTP.Token)})
	var nobody *nobodyError
	if !errors.As(err, &nobody) {
		return err
	}
	if _, err := os.Stat(cfg.DataDir); err != nil {
		return fmt.Errorf("%w, and there is no data directory to read: %w; start weir run, or name a directory with --data-dir", nobody, err)
	}
	return kept(directory)
}

// showFrom prints the answer of one source.
func (p *process) showFrom(ctx context.Context, from logSource, q question, printer *console.Printer) error {
	if q.numbers != nil {
		res, warnings, err := from.Numbers(ctx, q)
		if err != nil {
			return err
		}
		if len(res.Series) == 0 && res.Kind != logql.Scalar {
			p.hint("nothing to count in that time")
		}
		p.warn(warnings)
		return printer.Numbers(&res)
	}
	matched := func(streams int) error {
		switch {
		case streams > 0:
			return nil
		case q.follow:
			p.hint("no stream of that name yet")
			return nil
		case len(q.Words) > 0 && len(q.Query.Matchers) > 0:
			return fmt.Errorf("no kept stream that is called %s fits the selector; weir journal ls shows them all", strings.Join(q.Words, " or "))
		case len(q.Words) > 0:
			return fmt.Errorf("no kept stream is called %s; weir journal ls shows them all", strings.Join(q.Words, " or "))
		}
		p.hint("no kept stream fits; weir journal ls shows them all")
		return nil
	}
	any := false
	warned := map[string]bool{}
	err := from.Lines(ctx, q, matched, func(some []lines.Line) error {
		some = p.withoutWarnings(some, warned)
		if !any && q.byDefault && len(some) >= q.Limit {
			p.hint("the last " + strconv.Itoa(q.Limit) + " lines; -n or --since shows more")
		}
		any = any || len(some) > 0
		return printer.Lines(some)
	})
	if err == nil && !any {
		p.hint("no such lines")
	}
	return err
}

// withoutWarnings returns the lines among some; warnings, which may come again while one
// follows, are printed once.
func (p *process) withoutWarnings(some []lines.Line, warned map[string]bool) []lines.Line {
	return slices.DeleteFunc(some, func(l lines.Line) bool {
		if l.Warning != "" && !warned[l.Warning] {
			warned[l.Warning] = true
			p.warn([]string{l.Warning})
		}
		return l.Warning != ""
	})
}

// warn says what keeps the answer from being whole.
func (p *process) warn(list []string) {
	for _, text := range list {
		fmt.Fprintln(p.messages, "weir: "+text)
	}
}

// hint tells a person who looks at the answer what it alone does not.
func (p *process) hint(text string) {
	if console.IsTerminal(p.screen) {
		fmt.Fprintln(p.messages, "weir: "+text)
	}
}
