package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/config"
)

// process is what all commands share.
type process struct {
	in            io.Reader
	out, messages io.Writer // guarded: escape sequences do not reach a terminal
	screen        io.Writer // out for who guards it himself, and has colours

	// flags
	files   []string
	output  string
	dataDir string
	open    bool // --insecure
	logAs   string
	verbose bool
}

func newRoot(p *process) *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Measure streams of logs: exact numbers from containers and files",
		Long: `weir follows Docker containers and files, turns their lines into exact metrics, shows
them on http://127.0.0.1:9103/metrics and sends them to StatsD.

Without a command it runs, as "weir run" does. Without a configuration it follows the
containers of the local Docker engine and counts the status codes of those named *nginx*.`,
		Example: `  weir                                       follow Docker, serve the page and /metrics
  weir run -c weir.yaml                      run with a configuration
  weir run --once --metrics - -c weir.yaml   count what the files hold, print it, end
  weir check -c weir.yaml                    find every mistake in a configuration
  weir logs nginx -f -l warn                 follow what is kept: warnings of nginx
  weir tree                                  tasks that failed, were slow or are open
  tail -1 access.log | weir why -c weir.yaml explain what happens to a line`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.messages)
	flags := root.PersistentFlags()
	flags.StringArrayVarP(&p.files, "config", "c", nil, "configuration `file` or directory; may be given again (default $WEIR_CONFIG, else weir.yaml or /etc/weir/weir.yaml if there)")
	flags.StringVar(&p.dataDir, "data-dir", "", "`directory` for positions and counts, instead of the configuration's data_dir")
	flags.BoolVar(&p.open, "insecure", false, "let the page and the APIs be open on every address, without a token")
	flags.StringVarP(&p.output, "output", "o", "text", "`form` of what is printed: text or json")
	flags.StringVar(&p.logAs, "log-format", "auto", "`form` of messages on stderr: text, json, or auto (text)")
	flags.BoolVarP(&p.verbose, "verbose", "v", false, "also log debug messages")
	run := newRun(p)
	root.RunE = run.RunE
	root.Flags().AddFlagSet(run.Flags())
	root.AddCommand(run, newCheck(p), newWhy(p), newConfig(p), newSchema(p), newHealthcheck(p), newLogs(p), newTree(p), newJournal(p), newToken(p), newVersion(p), newDemo(p), newCrawl(p))
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// load reads the configuration. Its mistakes are printed, and make an exit 78.
func (p *process) load() (agent.Config, error) {
	if p.output != "text" && p.output != "json" {
		return agent.Config{}, exitError{code: exitUsage, err: fmt.Errorf("--output %s: use text or json", p.output)}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	token, err := readToken()
	if err != nil {
		return agent.Config{}, failure(err)
	}
	cfg, mistakes := agent.Load(agent.Files{Paths: p.paths(), Env: os.LookupEnv, Hostname: host, DataDir: p.dataDir, Insecure: p.open, Token: token, ReadFile: os.ReadFile})
	if len(mistakes) > 0 {
		p.printMistakes(mistakes)
		return cfg, exitError{code: exitConfig, first: mistakes[0].String(), more: len(mistakes) - 1}
	}
	return cfg, nil
}

// paths returns the configuration files: those given, else those at the usual places.
func (p *process) paths() []string {
	if len(p.files) > 0 {
		return p.files
	}
	if path := os.Getenv("WEIR_CONFIG"); path != "" {
		return filepath.SplitList(path)
	}
	for _, path := range []string{"weir.yaml", "/etc/weir/weir.yaml"} {
		if _, err := os.Stat(path); err == nil {
			return []string{path}
		}
	}
	return nil
}

func (p *process) printMistakes(mistakes config.Mistakes) {
	if p.output == "json" {
		type mistake struct {
			File    string `json:"file"`
			Line    int    `json:"line"`
			Column  int    `json:"column"`
			Path    string `json:"path"`
			Message string `json:"message"`
		}
		all := make([]mistake, len(mistakes))
		for i, m := range mistakes {
			all[i] = mistake{m.Position.File, m.Position.Line, m.Position.Column, m.Path, m.Message}
		}
		_ = p.printJSON(all) // the exit code says the same
		return
	}
	for _, m := range mistakes {
		fmt.Fprintln(p.messages, m)
	}
}

// logger returns where messages go: stderr, as text a person reads or as JSON.
func (p *process) logger() (*slog.Logger, error) {
	level := slog.LevelInfo
	if p.verbose {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	switch p.logAs {
	case "auto", "text":
		return slog.New(slog.NewTextHandler(p.messages, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.messages, options)), nil
	}
	return nil, exitError{code: exitUsage, err: fmt.Errorf("--log-format %s: use text, json or auto", p.logAs)}
}

// version is set by the linker for releases.
var version = ""

func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func newVersion(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{versionString(), strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS + "/" + runtime.GOARCH}
			if p.output == "json" {
				return p.printJSON(v)
			}
			_, err := fmt.Fprintf(p.out, "weir %s (go %s, %s)\n", v.Version, v.Go, v.System)
			return err
		},
	}
}
