package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/match"
)

func newJournal(p *process) *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Look at the kept text in the data directory: ls, cat, verify",
		Long: `journal reads the data directory itself, without changing anything, whether a weir runs or
not; of one that runs it sees what was committed a moment ago. For searching there is
weir logs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newJournalLs(p), newJournalCat(p), newJournalVerify(p))
	return c
}

// openArchive opens the kept text of the configured data directory, and returns where that is.
func (p *process) openArchive() (a *archive.Archive, dataDir string, err error) {
	cfg, err := p.load()
	if err != nil {
		return nil, "", err
	}
	log, err := p.logger()
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(cfg.DataDir); err != nil {
		return nil, "", failure(fmt.Errorf("data directory: %w; name another one with --data-dir", err))
	}
	a, err = journal.OpenArchive(disk.Dir(cfg.DataDir), log)
	if err != nil {
		return nil, "", failure(err)
	}
	return a, cfg.DataDir, nil
}

// chosen returns the streams that an argument means: those whose identity it is or is part
// of, or that a selector in braces matches. None given: all.
func chosen(a *archive.Archive, args []string) ([]*archive.Stream, error) {
	all := a.Streams()
	if len(args) == 0 {
		return all, nil
	}
	fits := func(s *archive.Stream) bool { return strings.Contains(s.ID(), args[0]) }
	if strings.HasPrefix(args[0], "{") {
		selector, err := match.Parse(args[0])
		if err != nil {
			return nil, exitError{code: exitUsage, err: err}
		}
		fits = func(s *archive.Stream) bool { return selector.Matches(s.Labels()) }
	}
	var some []*archive.Stream
	for _, s := range all {
		if s.ID() == args[0] {
			return []*archive.Stream{s}, nil
		}
		if fits(s) {
			some = append(some, s)
		}
	}
	if len(some) == 0 {
		return nil, failure(fmt.Errorf("no kept stream is called %s; weir journal ls shows them all", args[0]))
	}
	return some, nil
}

// keptStream is a line of `weir journal ls`.
type keptStream struct {
	ID      string            `json:"id"`
	Labels  map[string]string `json:"labels"`
	Dir     string            `json:"dir"`
	Records int               `json:"records"`
	Gaps    int               `json:"gaps"`
	From    time.Time         `json:"from"`
	To      time.Time         `json:"to"`
	Disk    int64             `json:"disk_bytes"`
	Text    int64             `json:"text_bytes"`
	Blocks  int               `json:"blocks"`
}

func describe(s *archive.Stream, dataDir string) (keptStream, error) {
	v := s.View()
	defer v.Close()
	k := keptStream{ID: s.ID(), Dir: s.Dir(), Labels: map[string]string{}}
	for _, l := range s.Labels() {
		k.Labels[l.Name] = l.Value
	}
	// What is read may be less than what is there: a weir that runs writes on, and the index
	// takes room too.
	var err error
	if k.Disk, err = bytesIn(filepath.Join(dataDir, s.Dir())); err != nil {
		return k, err
	}
	_, k.Text, k.Blocks = s.Size()
	for i := range v.Len() {
		h := v.Head(i)
		k.Records += h.Records
		k.Gaps += h.Gaps
		from, to := time.Unix(0, h.MinTime).UTC(), time.Unix(0, h.MaxTime).UTC()
		if i == 0 || from.Before(k.From) {
			k.From = from
		}
		if to.After(k.To) {
			k.To = to
		}
	}
	return k, nil
}

// bytesIn returns how large the files of a directory are. What a weir that runs removes
// meanwhile is nothing.
func bytesIn(dir string) (n int64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, err
}

func newJournalLs(p *process) *cobra.Command {
	return &cobra.Command{
		Use:     "ls [stream]",
		Short:   "List the streams whose text is kept",
		Example: "  weir journal ls\n  weir journal ls '{source=\"docker\"}'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, dataDir, err := p.openArchive()
			if err != nil {
				return err
			}
			streams, err := chosen(a, args)
			if err != nil {
				return err
			}
			all := []keptStream{}
			for _, s := range streams {
				k, err := describe(s, dataDir)
				if err != nil {
					return failure(err)
				}
				all = append(all, k)
			}
			if p.output == "json" {
				return p.printJSON(all)
			}
			if len(all) == 0 {
				fmt.Fprintln(p.messages, "no text is kept here")
				return nil
			}
			w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "STREAM\tRECORDS\tFROM\tTO\tON DISK\tTEXT")
			for _, k := range all {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", cell(k.ID), k.Records, k.From.Format(time.DateTime), k.To.Format(time.DateTime), sizeOf(k.Disk), sizeOf(k.Text))
			}
			return w.Flush()
		},
	}
}

// cellWidth is how many characters a cell of a table has at most: each row is as wide as
// the widest, and whoever pushes chooses the names.
const cellWidth = 100

// cell makes text a cell of a table: one line, no column more, and its middle left out if it
// is long. Its end tells files of one directory apart.
func cell(text string) string {
	text = strings.ReplaceAll(printable(text), "\t", `\t`)
	if runes := []rune(text); len(runes) > cellWidth {
		text = string(runes[:cellWidth/2]) + "…" + string(runes[len(runes)-cellWidth/2+1:])
	}
	return text
}

// sizeOf writes a number of bytes for people.
func sizeOf(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func newJournalCat(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "cat [stream]",
		Short: "Print kept records, stream by stream: their text, or with -o json as they are kept",
		Long: `cat prints the text of all records of the streams that the argument means: an identity, a
part of one, or a selector in braces. With --output json each record is the line of
NDJSON that the journal keeps.`,
		Example: "  weir journal cat docker/shop | grep refused\n  weir journal cat -o json '{container=\"shop\"}' | jq .level",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, _, err := p.openArchive()
			if err != nil {
				return err
			}
			streams, err := chosen(a, args)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(p.out)
			var damage []error
			for _, s := range streams {
				bad, err := p.catStream(w, s)
				if err != nil {
					return failure(err)
				}
				damage = append(damage, bad...)
			}
			if err := w.Flush(); err != nil {
				return failure(err)
			}
			if len(damage) > 0 {
				return failure(errors.Join(damage...))
			}
			return nil
		},
	}
}

// catStream prints one stream, and returns the blocks that it could not read.
func (p *process) catStream(w *bufio.Writer, s *archive.Stream) (damage []error, err error) {
	v := s.View()
	defer v.Close()
	var d archive.Decoder
	var text, plain []byte
	for i := range v.Len() {
		text, err = v.AppendText(text[:0], i, &d)
		if err != nil {
			damage = append(damage, err)
			continue
		}
		if p.output == "json" {
			if _, err := w.Write(text); err != nil {
				return damage, err
			}
			continue
		}
		for line := range kept.Lines(text) {
			l, err := kept.Parse(line)
			if err != nil {
				damage = append(damage, fmt.Errorf("%s: a line is no record: %.80q", s.ID(), line))
				continue
			}
			plain = append(l.AppendText(plain[:0]), '\n')
			if _, err := w.Write(plain); err != nil {
				return damage, err
			}
		}
	}
	return damage, nil
}

// verified is what `weir journal verify` says of a stream.
type verified struct {
	ID      string   `json:"id"`
	Blocks  int      `json:"blocks"`
	Records int      `json:"records"`
	Gaps    int      `json:"gaps"`
	Bytes   int64    `json:"text_bytes"`
	Damage  []string `json:"damage,omitempty"`
}

func newJournalVerify(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "verify [stream]",
		Short: "Read the commit log and all kept text and compare them with their checksums; exit 1 if anything is damaged",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, dataDir, err := p.openArchive()
			if err != nil {
				return err
			}
			streams, err := chosen(a, args)
			if err != nil {
				return err
			}
			all, bad := []verified{}, int(a.Stats().Damaged)
			for _, s := range streams {
				f := s.Verify()
				r := verified{ID: s.ID(), Blocks: f.Blocks, Records: f.Records, Gaps: f.Gaps, Bytes: f.Bytes}
				for _, d := range f.Damage {
					r.Damage = append(r.Damage, d.Error())
				}
				bad += len(f.Damage)
				all = append(all, r)
			}
			logDamage := journal.VerifyLog(disk.Dir(dataDir))
			if p.output == "json" {
				err = p.printJSON(all)
			} else {
				p.printVerified(all, logDamage)
			}
			if err != nil {
				return err
			}
			var found []error
			if logDamage != nil {
				found = append(found, fmt.Errorf("commit log: %w", logDamage))
			}
			if bad > 0 {
				found = append(found, fmt.Errorf("%d places are damaged; all that is listed as sound can be read", bad))
			}
			if len(found) > 0 {
				return failure(errors.Join(found...))
			}
			return nil
		},
	}
}

func (p *process) printVerified(all []verified, logDamage error) {
	if logDamage == nil {
		fmt.Fprintln(p.out, "commit log: sound")
	}
	for _, r := range all {
		fmt.Fprintf(p.out, "%s: %d records in %d blocks, %s, sound\n", printable(r.ID), r.Records, r.Blocks, sizeOf(r.Bytes))
		for _, d := range r.Damage {
			fmt.Fprintf(p.out, "%s: damaged: %s\n", printable(r.ID), printable(d))
		}
	}
}
