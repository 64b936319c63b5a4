package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/metric"
)

func newRun(p *process) *cobra.Command {
	var once bool
	var metrics string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Follow, count, serve and send, until told to stop",
		Long: `run follows every source, counts by the rules, serves the page and /metrics, and sends to
the sinks. SIGHUP loads the configuration again, and keeps the old one if the new one has
a mistake. SIGTERM and SIGINT commit what was read, send what was counted, and end.

With --once it reads every file from its beginning to its end, commits, sends, and ends. It
then remembers nothing, unless data_dir or --data-dir says where.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.Context(), once, metrics)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "read everything there is, from its beginning, and end")
	cmd.Flags().StringVar(&metrics, "metrics", "", "with --once: write the metrics to this `file` at the end, - for stdout")
	return cmd
}

func (p *process) run(ctx context.Context, once bool, metrics string) error {
	if metrics != "" && !once {
		return exitError{code: exitUsage, err: errors.New("--metrics goes with --once; a running weir serves /metrics")}
	}
	log, err := p.logger()
	if err != nil {
		return err
	}
	if err := makeToken(); err != nil {
		return failure(err)
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	if once && cfg.DefaultDataDir {
		dir, err := os.MkdirTemp("", "weir-once-")
		if err != nil {
			return failure(err)
		}
		defer os.RemoveAll(dir)
		cfg.DataDir = dir
	}
	ctx, stop := signal.NotifyContext(contextOf(ctx), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	a, err := agent.New(cfg, agent.Options{Log: log, Version: versionString(), Once: once})
	if err != nil {
		return failure(err)
	}
	if !once {
		defer p.reloadOnHangup(ctx, a)()
	}
	err = a.Run(ctx)
	if err == nil && metrics != "" {
		err = p.writeMetrics(a.Registry(), metrics)
	}
	if once && err == nil {
		err = a.Trouble() // a cron job must hear that something was not read or sent
	}
	if err = errors.Join(err, a.Close()); err != nil {
		return failure(err)
	}
	return nil
}

// contextOf gives a command that was started without a context an empty one.
func contextOf(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// reloadOnHangup loads the configuration again at each SIGHUP, until the returned function
// is called.
func (p *process) reloadOnHangup(ctx context.Context, a *agent.Agent) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangup {
			cfg, err := p.load()
			if err == nil {
				err = a.Reload(ctx, cfg)
			}
			a.Reloaded(err)
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(hangup)
		<-done
	}
}

func (p *process) writeMetrics(reg *metric.Registry, name string) error {
	text := reg.AppendText(nil, metric.Text)
	if name == "-" {
		_, err := p.out.Write(text)
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}
