// Command bench measures weir beside other ways to count the statuses of nginx lines, all
// as whole processes in one run on one machine, and prints one Markdown table.
//
//	go run ./cmd/bench            # from bench/; -quick for a minute's run, -long for 10 M lines
//	go run ./cmd/bench -o ../docs/bench.md
//
// Data sets, the weir binary and scratch files are below -data. It ends with status 1 when
// a contender that should count exactly does not.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/dataset"
)

// options are what the command line says.
type options struct {
	data    string        // folder of data sets and binaries
	root    string        // folder of weir's module
	weir    string        // a weir binary to use; empty: build it
	only    string        // comma-separated words; contenders whose names have none are left out
	out     string        // file that gets the table too
	profile string        // file that gets a profile of all that weir did
	rounds  int           // how often each contender runs
	follow  time.Duration // how long a followed file is measured; 0 leaves it out
	quick   bool
	long    bool
}

// errWrong says that a contender counted wrongly; the table shows which.
var errWrong = errors.New("a contender that should be exact is not")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run measures and writes the table to out; progress goes to messages.
func run(ctx context.Context, args []string, out, messages io.Writer) error {
	opt, err := parse(args, messages)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(opt.data, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(opt.data, "scratch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	b := &bench{options: opt, scratch: scratch, messages: messages}
	if err := b.build(ctx); err != nil {
		return err
	}
	if opt.profile != "" {
		if err := os.Setenv(profileDir, scratch); err != nil { // all that is started has it
			return err
		}
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	if opt.profile != "" {
		if err := b.mergeProfiles(ctx, opt.profile); err != nil {
			return err
		}
	}
	text := b.table.markdown(b.heading(ctx))
	fmt.Fprint(out, text)
	if opt.out != "" {
		if err := os.WriteFile(opt.out, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if b.table.wrong {
		return errWrong
	}
	return nil
}

// parse reads the command line.
func parse(args []string, messages io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(messages)
	flags.StringVar(&o.data, "data", "data", "`folder` for data sets and binaries, kept for the next run")
	flags.StringVar(&o.root, "root", "..", "`folder` of weir's module")
	flags.StringVar(&o.weir, "weir", "", "use this weir `binary` instead of building one")
	flags.StringVar(&o.only, "only", "", "only contenders whose names contain one of these comma-separated `words`")
	flags.StringVar(&o.out, "o", "", "write the table to this `file` too")
	flags.StringVar(&o.profile, "profile", "", "measure a weir that profiles itself, once and alone, and write that to this `file`, for the compiler")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each contender runs; those above 3 s of CPU run twice")
	flags.DurationVar(&o.follow, "follow", 25*time.Second, "how long to measure following a file; 0 leaves it out")
	flags.BoolVar(&o.quick, "quick", false, "a tenth of the lines, two rounds, 5 s of following")
	flags.BoolVar(&o.long, "long", false, "measure the cost per line at 10,000,000 lines too, and keeping 100 streams (7 GB on disk)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.quick {
		o.rounds, o.follow = min(o.rounds, 2), min(o.follow, 5*time.Second)
	}
	o.rounds = max(o.rounds, 1)
	if o.profile != "" {
		if o.weir != "" {
			return o, errors.New("-profile needs a weir that bench builds: leave out -weir")
		}
		o.rounds, o.follow, o.only = 1, 0, cmp.Or(o.only, "**weir")
	}
	for _, path := range []*string{&o.data, &o.root, &o.weir, &o.profile} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return o, err
		}
		*path = absolute
	}
	return o, nil
}

// bench is one run.
type bench struct {
	options
	scratch  string // a folder of this run
	messages io.Writer
	peer     string // the peers' binary
	table    table
}

// measure fills the table.
func (b *bench) measure(ctx context.Context) error {
	lines := 1_000_000
	if b.quick {
		lines /= 10
	}
	set, err := b.set(dataset.Spec{Lines: lines})
	if err != nil {
		return err
	}
	if err := b.wholeRuns(ctx, set); err != nil {
		return err
	}
	if err := b.keptRuns(ctx, set); err != nil {
		return err
	}
	if err := b.keptBusy(ctx, set); err != nil {
		return err
	}
	if b.long {
		if err := b.keptMixed(ctx); err != nil {
			return err
		}
		if err := b.keptTasks(ctx); err != nil {
			return err
		}
	}
	if err := b.statsdCalls(ctx); err != nil {
		return err
	}
	if err := b.scoped(ctx); err != nil {
		return err
	}
	if err := b.crawls(ctx); err != nil {
		return err
	}
	if err := b.otlpLogs(ctx); err != nil {
		return err
	}
	if err := b.statsdServers(ctx); err != nil {
		return err
	}
	if err := b.scopeRecords(ctx); err != nil {
		return err
	}
	if b.follow > 0 {
		if err := b.followed(ctx); err != nil {
			return err
		}
	}
	if err := b.numbers(ctx); err != nil {
		return err
	}
	if err := b.measured(ctx); err != nil {
		return err
	}
	return b.flatness(ctx, lines)
}

// wants says whether the contender called name is to run.
func (b *bench) wants(name string) bool {
	for word := range strings.SplitSeq(b.only, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// say tells the user what is going on.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.messages, format+"\n", args...) }

// set returns a data set whose bytes are in the page cache.
func (b *bench) set(spec dataset.Spec) (dataset.Set, error) {
	set, err := dataset.Make(b.data, spec)
	if err != nil {
		return set, err
	}
	for _, path := range set.Paths {
		f, err := os.Open(path)
		if err != nil {
			return set, err
		}
		_, err = io.Copy(io.Discard, f)
		f.Close()
		if err != nil {
			return set, err
		}
	}
	return set, nil
}
