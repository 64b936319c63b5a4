// Package dataset makes the text that the benchmarks read: access lines of nginx as
// Docker's json-file driver stores them, or plain, always the same for the same Spec, and
// beside them the exact number of lines of each status that nginx.regex fits.
//
//	set, err := dataset.Make("data", dataset.Spec{Lines: 1_000_000, Files: 1})
//	for status, n := range set.Counts { … }
//
// A set that is already there is used again. The lines come from package demo; one in a
// hundred does not fit the pattern.
package dataset

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/demo"
)

// Pattern is the regular expression as its users write it; it fits the lines of
// demo.LogFormat that are not odd.
const Pattern = `(?P<remote_addr>\S+) - \S+ \[(?P<time_local>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) \S+" ` +
	`(?P<status>\d+) (?P<bytes>\d+) "[^"]*" "[^"]*" "[^"]*" rt=(?P<rt>\S+) uct="(?P<uct>[^"]*)" ` +
	`uht="(?P<uht>[^"]*)" urt="(?P<urt>[^"]*)" upstream=(?P<upstream>\S+) rid=(?P<rid>\S+) cache=(?P<cache>\S+)`

// version is part of a set's folder name; it grows when the same Spec gives other bytes.
const version = 1

// seed is that of every set.
const seed = 0x77656972

// Spec says which set is wanted.
type Spec struct {
	// Lines is how many lines there are in all files together.
	Lines int
	// Files is over how many files they are spread, in order; zero means one.
	Files int
	// Plain is nginx's own text; else each line is wrapped as Docker stores it.
	Plain bool
	// Mixed makes each file the log of an application of its own, of five kinds: nginx,
	// JSON, logfmt, plain text, and a worker's. Statuses are not counted.
	Mixed bool
}

// Set is a set on disk.
type Set struct {
	// Dir is the set's folder.
	Dir string `json:"-"`
	// Paths are its files, in the order of their lines.
	Paths []string `json:"-"`
	// Lines and Bytes are the size of all files together.
	Lines int   `json:"lines"`
	Bytes int64 `json:"bytes"`
	// Counts are the lines that Pattern fits, by status.
	Counts map[string]int `json:"counts"`
}

// Make returns the set of spec below dir, which it makes first if it is not there.
func Make(dir string, spec Spec) (Set, error) {
	spec.Files = max(spec.Files, 1)
	set := Set{Dir: filepath.Join(dir, spec.name()), Counts: map[string]int{}}
	for i := range spec.Files {
		set.Paths = append(set.Paths, filepath.Join(set.Dir, fmt.Sprintf("access-%04d.log", i)))
	}
	// The counts are written last, so they say that the files are whole.
	counts := filepath.Join(set.Dir, "counts.json")
	if text, err := os.ReadFile(counts); err == nil {
		if err := json.Unmarshal(text, &set); err != nil {
			return Set{}, fmt.Errorf("read %s: %w", counts, err)
		}
		return set, nil
	}
	if err := os.MkdirAll(set.Dir, 0o755); err != nil {
		return Set{}, fmt.Errorf("make the data set: %w", err)
	}
	w := NewWriter(spec.Plain)
	for i, path := range set.Paths {
		n := spec.Lines*(i+1)/spec.Files - spec.Lines*i/spec.Files
		next := w.Append
		if kind := i % kinds; spec.Mixed && kind != kindAccess {
			next = (&mixed{kind: kind, pace: pace{now: start, state: seed + uint64(i)}}).append
		}
		size, err := writeFile(path, n, next)
		if err != nil {
			return Set{}, fmt.Errorf("make the data set: %w", err)
		}
		set.Lines += n
		set.Bytes += size
	}
	if !spec.Mixed {
		set.Counts = w.Counts()
	}
	text, err := json.MarshalIndent(set, "", "\t")
	if err != nil {
		return Set{}, fmt.Errorf("encode the counts: %w", err)
	}
	if err := os.WriteFile(counts, append(text, '\n'), 0o644); err != nil {
		return Set{}, fmt.Errorf("write the counts: %w", err)
	}
	return set, nil
}

// name is the folder of the set.
func (s Spec) name() string {
	format := "docker"
	if s.Mixed {
		format = "mixed"
	}
	if s.Plain {
		format = "plain"
	}
	return fmt.Sprintf("%s-%d-lines-%d-files-v%d", format, s.Lines, s.Files, version)
}

// Writer makes the lines of a set one after another and counts them.
type Writer struct {
	plain   bool
	traffic *demo.Traffic
	pace    pace
	fits    [1000]int // lines that Pattern fits, by status
	text    []byte    // the line before it is wrapped
}

// start is the time of a set's first line.
var start = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC).UnixNano()

// NewWriter returns a writer at the first line.
func NewWriter(plain bool) *Writer {
	return &Writer{
		plain:   plain,
		traffic: demo.NewTraffic(seed),
		pace:    pace{now: start, state: seed},
	}
}

// Append adds the next line, with its newline.
func (w *Writer) Append(dst []byte) []byte {
	now := w.pace.next()
	stream := stdout
	if n := w.pace.draw() % 1000; n < otherPerMille {
		w.text, stream = w.pace.appendOther(w.text[:0], now)
	} else {
		var hit demo.Hit
		w.text, hit = w.traffic.Append(w.text[:0], time.Unix(0, now))
		if !hit.Odd {
			w.fits[hit.Status]++
		}
	}
	if w.plain {
		return append(dst, w.text...)
	}
	return appendDocker(dst, w.text, stream, now)
}

// Counts returns the lines so far that Pattern fits, by status.
func (w *Writer) Counts() map[string]int {
	counts := map[string]int{}
	for status, n := range w.fits {
		if n > 0 {
			counts[strconv.Itoa(status)] = n
		}
	}
	return counts
}

// writeFile writes the next n lines to path and returns their size.
func writeFile(path string, n int, next func(dst []byte) []byte) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	var size int64
	var line []byte
	for range n {
		line = next(line[:0])
		size += int64(len(line))
		if _, err := out.Write(line); err != nil {
			return 0, err
		}
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	return size, f.Close()
}
