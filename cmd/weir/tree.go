package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/console"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/task"
)

// treeOptions are the flags of weir tree.
type treeOptions struct {
	output               string
	follow, utc, noColor bool
	all, records         bool
	depth                int
}

func newTree(p *process) *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use:   "tree [task]",
		Short: "Show the tasks of applications as trees",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.tree(contextOf(cmd.Context()), &o, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on")
	flags.BoolVarP(&o.all, "all", "a", false, "draw branches in which all went well, too")
	flags.BoolVarP(&o.records, "records", "r", false, "show the records of each scope")
	flags.IntVar(&o.depth, "depth", -1, "draw scopes down to this `level`, the task itself being 0")
	flags.StringVarP(&o.output, "output", "o", "text", "`form`: text or json")
	flags.BoolVar(&o.utc, "utc", false, "times in UTC; to a pipe or file they always are")
	flags.BoolVar(&o.noColor, "no-color", false, "no colours (also NO_COLOR=1); to a pipe or file there are none")
	return cmd
}

// tree is the command.
func (p *process) tree(ctx context.Context, o *treeOptions, args []string) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	id, ok := task.ParseID(args[0])
	if !ok {
		return usage(fmt.Errorf("%s: not a task", args[0]))
	}
	terminal := console.IsTerminal(p.screen)
	printer := console.New(p.screen, console.Options{
		Form: console.Form(o.output), Terminal: terminal, Color: terminal && !o.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Location: time.Local, Now: time.Now(), Messages: p.messages,
	})
	return p.ask(cfg, func(r *runningWeir) error { return errors.New("not yet") }, func(k *keptText) error {
		a, err := k.open()
		if err != nil {
			return err
		}
		f := task.Finder{Blocks: logql.New(logql.Options{Archive: a}), Archive: a}
		t, err := f.Tree(ctx, task.TreeRequest{ID: id, Lines: o.records})
		if err != nil {
			return err
		}
		return printer.Tree(t, console.TreeView{All: o.all, Depth: o.depth})
	})
}
