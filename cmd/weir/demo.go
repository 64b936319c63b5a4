package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/demo"
)

// demoOptions are the flags of weir demo.
type demoOptions struct {
	emit   bool
	rate   int
	length time.Duration
	listen string
}

func newDemo(p *process) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make traffic of a web shop, follow it, and show the counts moving",
		Long: `demo writes access lines like nginx's to a rotating file and, where a Docker engine
answers, from a container; it follows both, and shows what was written beside what was
counted. Everything it makes is gone when it ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(contextOf(cmd.Context()), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			if o.length > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, o.length)
				defer cancel()
			}
			if o.emit {
				return demo.Emit(ctx, p.out, o.rate)
			}
			if err := p.demo(ctx, o); err != nil {
				return failure(err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.emit, "emit", false, "only write lines to stdout, as the demo's container does")
	flags.IntVar(&o.rate, "rate", demo.DefaultRate, "about how many `lines` a second")
	flags.DurationVar(&o.length, "for", 0, "end after this `time`; 0 goes on until told to stop")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:9103", "`address` of the page and /metrics while it runs")
	return cmd
}

const demoConfig = `data_dir: %q
http: {listen: %q}
sources:
  access: {type: file, paths: [%q], start: beginning}
%srules:
  - name: file
    match: '{source="access"}'
    parse: {nginx: %[5]q}
    count:
      - {name: nginx.status_count, by: [status]}
      - {name: nginx.sent, sum: body_bytes_sent, unit: bytes}
      - {name: nginx.request_time, histogram: request_time, unit: seconds}
    keep: none
  - name: container
    match: '{source="docker"}'
    parse: {nginx: %[5]q}
    count: [{name: container.status_count, by: [container, status]}]
    keep: none
`

// demo runs a weir of its own on the traffic.
func (p *process) demo(ctx context.Context, o demoOptions) error {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host, docker := demoEngine()
	logs := filepath.Join(dir, "logs")
	file := filepath.Join(dir, "weir.yaml")
	text := fmt.Sprintf(demoConfig, filepath.Join(dir, "state"), o.listen, filepath.Join(logs, "access.log"), docker, demo.LogFormat)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := p.logger()
	if err != nil {
		return err
	}
	p.files = []string{file}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	a, err := agent.New(cfg, agent.Options{Log: log, Version: versionString()})
	if err != nil {
		return err
	}
	// weir outlives the traffic, so that the last report can wait for its counts.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- a.Run(running) }()
	fmt.Fprintf(p.out, "page and metrics on http://%s\n", o.listen)
	err = demo.Run(ctx, demo.Options{
		Dir: logs, Rate: o.rate, DockerHost: host, Out: p.out,
		Metrics: "http://" + o.listen + "/metrics", Series: "nginx_status_count_total",
	})
	stop()
	return errors.Join(err, <-done, a.Close())
}

// demoEngine returns the local Docker engine, if there is one, and the source that follows
// the demo's container on it.
func demoEngine() (host, source string) {
	host = os.Getenv("DOCKER_HOST")
	if host == "" {
		const socket = "/var/run/docker.sock"
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return "", ""
		}
		conn.Close()
		host = "unix://" + socket
	}
	return host, "  docker: {include: [weir-demo-*]}\n"
}
