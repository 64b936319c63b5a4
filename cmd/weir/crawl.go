package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/config"
)

func newCrawl(p *process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "crawl",
		Short: "Make a crawler of an HTTP API, and try it",
		Long: `crawl new writes a crawler to begin with, crawl check runs one once and shows what comes.
docs/crawlers.md has the whole way from an API to its records.`,
	}
	cmd.AddCommand(newCrawlNew(p), newCrawlCheck(p))
	return cmd
}

// scaffold are the files that a new crawler begins with; acme stands for its name.
//
//go:embed scaffold
var scaffold embed.FS

func newCrawlNew(p *process) *cobra.Command {
	var program bool
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a crawler to begin with",
		Long: `new writes NAME.yaml, which says what is asked and where the records are in the answers. With --go it
writes a Go program for an API that no setting fits, with a fake API and a test, to a folder NAME.
Nothing is overwritten.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.newCrawler(args[0], program) },
	}
	cmd.Flags().BoolVar(&program, "go", false, "write a program in Go")
	return cmd
}

var crawlerName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,49}$`)

func (p *process) newCrawler(name string, program bool) error {
	if !crawlerName.MatchString(name) {
		return exitError{code: exitUsage, err: fmt.Errorf("%q: use a name of small letters, digits, - and _, as acme", name)}
	}
	dir, files := "", map[string]string{name + ".yaml": "api.yaml"}
	if program {
		dir, files = name, map[string]string{name + ".yaml": "program.yaml", "go.mod": "go.mod.txt", "main.go": "main.go.txt", "main_test.go": "main_test.go.txt"}
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return failure(err)
	}
	if dir != "" {
		if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
			return failure(fmt.Errorf("%s is there already, and nothing of it is overwritten: remove it, or choose another name", dir))
		} else if err != nil {
			return failure(err)
		}
	}
	require, replace := requirement(versionString())
	named := strings.NewReplacer("REQUIRE", require, "acme", name, "ACME", strings.ToUpper(strings.ReplaceAll(name, "-", "_")), "DIRECTORY", fmt.Sprintf("%q", full))
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text, err := scaffold.ReadFile("scaffold/" + files[file])
		if err != nil {
			return failure(err)
		}
		if err := writeNew(filepath.Join(dir, file), named.Replace(string(text))); err != nil {
			return failure(err)
		}
	}
	next := fmt.Sprintf("%s.yaml is written: say in it what is asked, and where the records are. Then:\n\n  weir crawl check %s\n", name, name)
	if program {
		next = fmt.Sprintf("%s/ is written: say in main.go what is asked, and in main_test.go what the API answers. Then:\n\n  cd %s\n%s  go mod tidy && go test . && go build .\n  weir crawl check %s\n", name, name, replace, name)
	}
	_, err = io.WriteString(p.out, next)
	return err
}

// releaseName is what a release is called; builds of what lies between two of them have names that
// end with a time and a commit.
var (
	releaseName = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	betweenName = regexp.MustCompile(`\d{14}-[0-9a-f]{12}$`)
)

// requirement returns what go.mod says of the module of weir, and the command that comes before go
// mod tidy, if there is one: where weir is no release there is none to be fetched.
func requirement(version string) (require, command string) {
	if releaseName.MatchString(version) && !betweenName.MatchString(version) {
		return "require " + weirModule + " v" + strings.TrimPrefix(version, "v") + "\n", ""
	}
	command = "  go mod edit -replace " + weirModule + "=<your checkout>\n"
	return "// This weir is no release that could be required. Say where its source is, before go mod tidy:\n//\n//" + command, command
}

// weirModule is what the package crawl is in.
const weirModule = "github.com/weirlog/weir"

// writeNew writes a file that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten: remove it, or choose another name", path)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

func newCrawlCheck(p *process) *cobra.Command {
	var o agent.TrialOptions
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check NAME",
		Short: "Run a crawler once, and show what comes",
		Long: `check runs the crawl source NAME once, through the rules of the configuration, and shows its records, the
cursor that the next run would go on from, and what each sink would send. It keeps nothing and sends nothing
but the requests of the crawler. The configuration is -c, else NAME.yaml or NAME/NAME.yaml
if that is there, else the usual one.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Source = args[0]
			ctx, stop := signal.NotifyContext(contextOf(cmd.Context()), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("there was no end after %s (--timeout)", config.FormatDuration(timeout)))
			defer cancel()
			return p.checkCrawler(ctx, o)
		},
	}
	cmd.Flags().StringVar(&o.Start, "start", "", "from `when` on: beginning, end, or a time before now, as 24h (default: the stream's start, else 24h)")
	cmd.Flags().IntVar(&o.Most, "most", 10, "end when there are more than so `many` records; 0 is never")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "end after this `time`")
	return cmd
}

func (p *process) checkCrawler(ctx context.Context, o agent.TrialOptions) error {
	if d, err := config.ParseDuration(o.Start); o.Start != "" && o.Start != "beginning" && o.Start != "end" && (err != nil || d < 0) {
		return exitError{code: exitUsage, err: fmt.Errorf("--start %s: use beginning, end, or a time before now, as 24h", o.Start)}
	}
	for _, own := range []string{o.Source + ".yaml", filepath.Join(o.Source, o.Source+".yaml")} {
		if _, err := os.Stat(own); err == nil && len(p.files) == 0 {
			p.files = []string{own}
		}
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	log, err := p.logger() // what the crawler's program says
	if err != nil {
		return err
	}
	o.Log = slog.New(trialLog{log.Handler()})
	if o.Dir, err = os.MkdirTemp("", "weir-crawl-"); err != nil {
		return failure(err)
	}
	defer os.RemoveAll(o.Dir)
	t, err := agent.Try(ctx, cfg, o)
	if err != nil {
		return failure(err)
	}
	if p.output == "json" {
		err = p.printJSON(t)
	} else {
		err = p.printTrial(t, o.Most)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return failure(context.Cause(ctx))
	case t.Problem != "":
		return failure(errors.New(t.Problem))
	}
	return nil
}

// printTrial prints what a run brought.
func (p *process) printTrial(t agent.Trial, most int) error {
	var b strings.Builder
	for _, s := range t.Streams {
		fmt.Fprintf(&b, "stream  %s\n", s.Name)
		for _, r := range s.Records {
			fmt.Fprintf(&b, "  %s %-7s %s", r.Time.Format("2006-01-02T15:04:05.999Z07:00"), r.Level, r.Body)
			if len(r.Fields) > 0 {
				fmt.Fprintf(&b, "  {%s}", strings.Join(r.Fields, ", "))
			}
			b.WriteByte('\n')
		}
		if len(s.Records) == 0 {
			b.WriteString("  no records\n")
		}
		for _, why := range slices.Sorted(maps.Keys(s.Skipped)) {
			fmt.Fprintf(&b, "  %s left out: %s\n", counted(s.Skipped[why], "record"), strings.ReplaceAll(why, "_", " "))
		}
		for _, why := range slices.Sorted(maps.Keys(s.Bad)) {
			fmt.Fprintf(&b, "  %s bad: %s\n", counted(s.Bad[why], "record"), why)
		}
		for _, what := range s.Missing {
			b.WriteString("missing " + what + "\n")
		}
		fmt.Fprintf(&b, "cursor  %s\n", s.Cursor)
	}
	if t.More {
		fmt.Fprintf(&b, "more    than %d records came, and the run was ended there; --most 0 reads all\n", most)
	}
	for _, s := range t.Sinks {
		fmt.Fprintf(&b, "sink    %s (%s) would get %s", s.Name, s.Type, counted(s.Records, "record"))
		if s.First != "" {
			b.WriteString(", the first as\n  " + s.First)
		}
		b.WriteByte('\n')
	}
	if len(t.Sinks) == 0 {
		b.WriteString("sinks   none: the records stay in weir's journal\n")
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

// counted returns a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
