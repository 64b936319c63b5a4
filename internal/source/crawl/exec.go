package crawl

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/config"
)

const (
	// maxGroup is how many bytes of records may come before a cursor and still be in one commit
	// with it.
	maxGroup = 4 << 20
	// maxGroupRecords is how many records that may be.
	maxGroupRecords = 50_000
)

// printed are the lines of a program, as they are read.
type printed struct {
	st     *stream
	x      extractor
	frame  *node
	values []value // of a record, and then those of the line
	group  []byte  // lines that wait for a cursor, each with a newline
	lines  int     // in group
	last   int     // where the line's own values are
}

// The values of a line, behind those of its record.
const (
	dataValue = iota
	cursorValue
	timeValue
	lineValues
)

// newPrinted returns what reads the lines of a program; record is what is wanted of data.
func newPrinted(st *stream, record *node, slots int) *printed {
	p := &printed{st: st, frame: new(node), last: slots, values: make([]value, slots+lineValues)}
	record.slots = append(record.slots, slots+dataValue)
	p.frame.edges = []edge{{step{key: "data", index: -1}, record}}
	for slot, key := range map[int]string{cursorValue: "cursor", timeValue: "time"} {
		at := p.frame.add([]step{{key: key, index: -1}})
		at.slots = append(at.slots, slots+slot)
	}
	return p
}

// execute runs the program once.
func (st *stream) execute(ctx context.Context) error {
	st.settle()
	p, d := st.printed, &st.source.deps
	p.group, p.lines = p.group[:0], 0
	env := maps.Clone(st.cfg.Env)
	if env == nil {
		env = map[string]config.Secret{}
	}
	env["WEIR_SOURCE"], env["WEIR_STREAM"], env["WEIR_CURSOR"] = config.Secret(d.Name), config.Secret(st.name), config.Secret(st.at.cursor)
	taken := 0
	err := child.Run(ctx, child.Options{
		Program: child.Program{Command: st.cfg.Exec, Dir: st.cfg.Dir, Env: env},
		Log:     d.Log.With("stream", st.name), Ledger: d.Ledger,
	}, child.Job{
		Input: append(bytes.Clone(st.at.cursor), '\n'), MaxBytes: int64(st.source.cfg.MaxResponse), MaxLine: maxRecordBytes,
		Take: func(line []byte) error {
			taken += len(line) + 1
			return p.take(line)
		},
		Idle: st.pause,
	})
	st.source.counts.bytes.Series(d.Name, st.name).Add(float64(taken))
	if err != nil {
		return err // what waits for a cursor comes again, since the cursor stands before it
	}
	return p.release(nil)
}

// take takes a line.
func (p *printed) take(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if !p.parse(line) {
		wrong := syntaxError{deep: isDeep(line[:p.x.At])}
		p.st.bad(wrong.reason(), line)
		return nil
	}
	cursor := p.values[p.last+cursorValue]
	if cursor.absent() {
		if len(p.group)+len(line) >= maxGroup || p.lines == maxGroupRecords {
			if err := p.release(nil); err != nil {
				return err
			}
		}
		p.keep(line)
		return nil
	}
	if len(cursor.raw) > maxCursor {
		return fmt.Errorf("the program gave a cursor of more than %s", config.Bytes(maxCursor))
	}
	p.keep(line)
	return p.release(cursor.raw)
}

// keep has a line wait for a cursor.
func (p *printed) keep(line []byte) {
	p.group = append(append(p.group, line...), '\n')
	p.lines++
}

// parse finds the values of a line.
func (p *printed) parse(line []byte) bool {
	clear(p.values)
	p.x.Scanner = jsontext.Scanner{Text: line}
	p.x.values = p.values
	p.x.Space()
	if !p.x.Next('{') || !p.x.extract(p.frame, maxDepth) {
		return false
	}
	p.x.Space()
	return p.x.At == len(line)
}

// release takes the records that wait for a cursor into one batch, which has that cursor, or,
// where it is nil, the one before.
func (p *printed) release(cursor []byte) error {
	st := p.st
	if b := st.batch; b != nil && (len(b.Arena)+len(p.group) > maxBatchBytes || len(b.Records)+p.lines > maxBatchRecords) {
		if err := st.flush(); err != nil {
			return err
		}
	}
	st.whole = true
	defer func() { st.whole = false }()
	for rest := p.group; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		line := rest[:end]
		rest = rest[end+1:]
		if err := p.record(line); err != nil {
			return err
		}
	}
	p.group, p.lines = p.group[:0], 0
	if cursor != nil {
		st.at.cursor = append(st.at.cursor[:0], cursor...)
		st.moved = true
	}
	return nil
}

// record takes the record of a line.
func (p *printed) record(line []byte) error {
	if !p.parse(line) || p.values[p.last+dataValue].absent() {
		return nil // a checkpoint
	}
	if p.st.cfg.Time == "" {
		p.values[timeSlot] = p.values[p.last+timeValue]
	}
	return p.st.take(p.values[p.last+dataValue].raw, p.values[:p.last])
}
