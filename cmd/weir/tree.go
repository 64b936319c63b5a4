package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/console"
	"github.com/weirlog/weir/internal/task"
)

// treeOptions are the flags of weir tree.
type treeOptions struct {
	output               string
	follow, utc, noColor bool
	limit                int
	since, until         string
	states, where        []string
	slow                 time.Duration
	patience             task.Patience
	all, records         bool
	depth                int
}

func newTree(p *process) *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use:   "tree [task | name]",
		Short: "Show the tasks of applications, and each as a tree of its scopes",
		Long: `tree shows what became of tasks whose records say where they belong: by the keys of distlog
and of the Go library scope, by Eliot's task_uuid and task_level, or by W3C's trace_id, span_id
and parent_span_id, in stored fields, JSON or logfmt.

Without an argument it lists those of the last hour: first what has failed, then what was
slow, then what is open. With a task, its trace id, the beginning of it, or the key of any of
its records it draws that one; with the id of a part, that part. Any other word is a part of
the names of tasks to list. Branches in which all went well are folded; --all unfolds them.

A task without an end is open; it is lost, which counts as failed, once its process went on
without it or nothing came for long.

It asks the weir that runs where http.listen says. Where none answers, or with --data-dir, it
reads the data directory itself.`,
		Example: `  weir tree                                        what failed, was slow or is open, of the last hour
  weir tree checkout --state failed,lost --since 1d
  weir tree --where user=u42 -f                    follow the tasks of a user
  weir tree f738d4aa-6a48-4fac-be7e-f34721792d8c   draw one
  weir tree 3@f738d4aa-6a48-4fac-be7e-f34721792d8c/1/2 -a -r    a part of it, with its records
  weir tree f738d4aa -o json | jq '.nodes[] | select(.state == "failed")'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.tree(contextOf(cmd.Context()), &o, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.follow, "follow", "f", false, "show it again whenever it has changed")
	flags.IntVarP(&o.limit, "tail", "n", 50, "list so many `tasks`; 0 is all")
	flags.StringVar(&o.since, "since", "1h", "tasks with records from this `time` on: 90s, 2h, 3d ago, or 15:04, 2026-11-21, 2026-11-21T15:04:05Z, today, yesterday")
	flags.StringVar(&o.until, "until", "", "up to this `time`")
	flags.StringSliceVar(&o.states, "state", nil, "of these `states`: failed, lost, slow, open, success, unknown")
	flags.StringArrayVarP(&o.where, "where", "w", nil, "with this `field=value` in one of its records; of several, all")
	flags.DurationVar(&o.slow, "slow", 10*time.Second, "what takes this `time` is slow; 0 is nothing")
	flags.DurationVar(&o.patience.WentOn, "went-on", time.Minute, "without an end and a record for this `time`, what its process went on without is lost")
	flags.DurationVar(&o.patience.Silent, "silent", time.Hour, "without an end and a record for this `time`, anything is lost")
	flags.BoolVarP(&o.all, "all", "a", false, "draw branches in which all went well, too")
	flags.BoolVarP(&o.records, "records", "r", false, "show the records of each scope")
	flags.IntVar(&o.depth, "depth", -1, "draw scopes down to this `level`, the task itself being 0")
	flags.StringVarP(&o.output, "output", "o", "text", "`form`: text or json")
	flags.BoolVar(&o.utc, "utc", false, "times in UTC; to a pipe or file they always are")
	flags.BoolVar(&o.noColor, "no-color", false, "no colours (also NO_COLOR=1); to a pipe or file there are none")
	flags.BoolVar(&p.verbose, "verbose", false, "also log debug messages")
	return cmd
}

// taskSource is where tasks come from: a running weir, or a data directory.
type taskSource interface {
	// Tree calls emit with a task; with follow again whenever it has changed.
	Tree(ctx context.Context, q task.TreeRequest, follow bool, emit func(*task.Tree) error) error
	// List calls emit with a list of tasks; with follow again whenever it has changed.
	List(ctx context.Context, q task.ListRequest, follow bool, emit func(*task.List) error) error
}

// tree is the command.
func (p *process) tree(ctx context.Context, o *treeOptions, arg string) error {
	if o.output != "text" && o.output != "json" {
		return usage(fmt.Errorf("--output %s: use text or json", o.output))
	}
	p.output = o.output
	location := time.Local
	if o.utc {
		location = time.UTC
	}
	list, err := o.request(time.Now().In(location))
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
	s := showing{process: p, options: o, list: list, arg: strings.TrimSpace(arg), printer: console.New(p.screen, console.Options{
		Form: console.Form(o.output), Terminal: terminal, Color: terminal && !o.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Location: location, Now: time.Now(), Messages: p.messages,
	})}
	err = p.showTasks(ctx, cfg, &s)
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // who reads has seen enough
		return nil
	case ctx.Err() != nil && o.follow:
		return nil
	case ctx.Err() != nil:
		return failure(errors.New("interrupted"))
	}
	return failure(err)
}

func (p *process) showTasks(ctx context.Context, cfg agent.Config, s *showing) error {
	return p.ask(cfg, func(r *runningWeir) error { return s.show(ctx, r) }, func(k *keptText) error { return s.show(ctx, k) })
}

// request makes sense of the flags for a list.
func (o *treeOptions) request(now time.Time) (q task.ListRequest, err error) {
	times := logsOptions{since: o.since, until: o.until}
	var within question
	if err := times.times(&within, now); err != nil {
		return q, err
	}
	q = task.ListRequest{Start: within.Start, End: within.End, Limit: o.limit, Slow: o.slow, Patience: o.patience}
	if o.limit < 0 {
		return q, fmt.Errorf("--tail %d: give a number from 0 on", o.limit)
	}
	if o.follow && o.until != "" {
		return q, errors.New("--until and --follow exclude one another")
	}
	if q.Where, err = task.ParseConditions(o.where); err != nil {
		return q, fmt.Errorf("--where %w", err)
	}
	if err = q.SetStates(o.states); err != nil {
		return q, fmt.Errorf("--state %w", err)
	}
	return q, nil
}

// showing is one answer of weir tree.
type showing struct {
	*process
	options *treeOptions
	list    task.ListRequest
	arg     string
	printer *console.Printer
	shown   bool
}

// show asks and prints.
func (s *showing) show(ctx context.Context, from taskSource) error {
	if id, ok := task.ParseID(s.arg); ok {
		return s.tree(ctx, from, id)
	}
	if task.IsPrefix(s.arg) {
		id, err := s.find(ctx, from)
		if err != nil {
			return err
		}
		return s.tree(ctx, from, id)
	}
	s.list.Name = s.arg
	return from.List(ctx, s.list, s.options.follow, func(l *task.List) error {
		if err := s.again(); err != nil {
			return err
		}
		s.warn(l.Warnings)
		if len(l.Tasks) == 0 {
			s.hint("no such tasks; --since looks back further than " + s.options.since)
		}
		return s.printer.Tasks(l)
	})
}

// again separates an answer from the one before.
func (s *showing) again() error {
	if !s.shown && !s.options.follow {
		return nil
	}
	first := !s.shown
	s.shown = true
	if first && !console.IsTerminal(s.screen) {
		return nil
	}
	return s.printer.Redraw()
}

// find returns the one task whose id begins with the argument.
func (s *showing) find(ctx context.Context, from taskSource) (id task.ID, err error) {
	q := s.list
	q.Limit, q.States, q.Where, q.OnlySlow = 0, nil, nil, false
	const some = 5
	var found []string
	err = from.List(ctx, q, false, func(l *task.List) error {
		found = l.Prefix(s.arg, some)
		return nil
	})
	switch {
	case err != nil:
		return id, err
	case len(found) == 0:
		return id, fmt.Errorf("no task begins with %s since %s; --since looks back further, the whole id finds it at any time", s.arg, s.options.since)
	case len(found) > 1:
		return id, fmt.Errorf("several tasks begin with %s: %s", s.arg, strings.Join(found, ", "))
	}
	id, _ = task.ParseID(found[0])
	return id, nil
}

// tree prints one task.
func (s *showing) tree(ctx context.Context, from taskSource, id task.ID) error {
	o := s.options
	q := task.TreeRequest{ID: id, Lines: o.records, Patience: o.patience}
	view := console.TreeView{All: o.all, Depth: o.depth, Slow: o.slow}
	warned := []string{}
	return from.Tree(ctx, q, o.follow, func(t *task.Tree) error {
		if len(t.Nodes) == 0 && id.Shared() {
			return fmt.Errorf("distlog calls tasks of several processes %s: say which, as %s@host:process; weir tree lists them so", id.Root, id.Root)
		}
		if len(t.Nodes) == 0 && !o.follow {
			return fmt.Errorf("no kept record belongs to %s", console.AppendHarmless(nil, id.String()))
		}
		if err := s.again(); err != nil {
			return err
		}
		t.Warnings = slices.DeleteFunc(t.Warnings, func(text string) bool { return slices.Contains(warned, text) })
		warned = append(warned, t.Warnings...)
		s.warn(t.Warnings)
		if len(t.Nodes) == 0 {
			s.hint("no record of it yet")
		}
		return s.printer.Tree(t, view)
	})
}
