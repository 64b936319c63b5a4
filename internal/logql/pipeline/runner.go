package pipeline

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/template"
	"github.com/weirlog/weir/internal/record"
)

// Runner sends the lines of blocks through a program.
type Runner struct {
	prog *Program

	// Of the stream.
	base      []label // those that are needed
	baseNames []string
	levelName string
	needLevel bool
	stream    string // the name of the label that marks stderr
	gapName   string
	fieldName map[string]string // the label of a stored field, by its name
	tails     tails
	alike     alike

	// Of the block.
	text []byte
	at   int // where the next line begins
	hit  int // where the driver found something, at or after the line that was looked at last

	clock kept.Clock

	// Of the line.
	start, end       int   // of the line in text, without its newline
	bodyAt, bodyEnd  int   // of the body in text
	known            *tail // what stands behind the body, if others have the same
	escapes, escaped bool
	hasPlain         bool
	plain            []byte // the body as plain text, if it has escapes
	changed          bool
	line             []byte // the line after a stage changed it
	gap              bool

	labels    []label
	came      []string // the names of labels that the record came with beside its stream's, and has
	extracted []string // names that a parser has set
	// Where there are many: the places of labels, of the first so many, and the same of extracted.
	index       map[string]int
	indexed     int
	isExtracted map[string]bool
	listed      int
	err         string
	details     string
	wanted      bool // a filter asked for records with this error

	scratch []byte // values that are not parts of the text
	names   names
	found   [][]byte
	path    []byte // of a member of a JSON object
	spans   []record.Span
	held    *scan.Pattern // whose result for this line is known already
	result  scan.Result
	forms   map[*template.Template]*template.Runner
	view    map[string]string // the labels for templates
	texts   map[string]string // see lasting
	value   float64
}

// Category says where a label comes from.
type Category uint8

// The categories of labels.
const (
	OfStream   Category = iota // of the record's stream
	OfMetadata                 // came with the record: its level, its stored fields
	OfParsed                   // made by a stage
)

type label struct {
	name  string
	value []byte
	cat   Category
}

// NewRunner returns a runner for one goroutine. Stream has to be called before Block.
func (p *Program) NewRunner() *Runner {
	return &Runner{prog: p, names: names{need: &p.need}}
}

// Stream says whose records the blocks to come have.
func (r *Runner) Stream(labels record.Labels) {
	r.base, r.baseNames = r.base[:0], r.baseNames[:0]
	for _, l := range labels {
		r.baseNames = append(r.baseNames, l.Name)
		if r.prog.need.has(l.Name) {
			r.base = append(r.base, label{l.Name, []byte(l.Value), OfStream})
		}
	}
	r.levelName, r.stream, r.gapName = r.metaName(syntax.LevelLabel), r.metaName("stream"), r.metaName("gap")
	r.needLevel = r.prog.need.has(r.levelName)
	r.came = append(r.came[:0], r.levelName)
	r.fieldName = map[string]string{}
	r.tails.era++
	r.tails.serial++
	r.alike.bare, r.alike.idle = r.tails.serial, r.prog.parser != nil && !r.wants(r.prog.parser.groups, nil)
	r.text = nil
}

// metaName returns the name of a label that a record comes with: a stream's own label of
// that name has precedence.
func (r *Runner) metaName(name string) string {
	for _, n := range r.baseNames {
		if n == name {
			return name + syntax.ExtractedSuffix
		}
	}
	return name
}

// Block begins with the lines of a block.
func (r *Runner) Block(text []byte) {
	r.text, r.at, r.hit = text, 0, -1
}

// Next goes to the next line whose body passes the line filters. At the end of the block it
// returns false.
func (r *Runner) Next() bool {
	for r.at < len(r.text) {
		if !r.locate() {
			return false
		}
		r.enter()
		if r.filtered() {
			return true
		}
	}
	return false
}

// Seek goes to the line that begins at a place where Next was.
func (r *Runner) Seek(start int) {
	r.start = start
	r.end = lineEnd(r.text, start)
	r.at, r.hit = r.end+1, -1
	r.enter()
}

func lineEnd(text []byte, from int) int {
	if n := bytes.IndexByte(text[from:], '\n'); n >= 0 {
		return from + n
	}
	return len(text)
}

// farAhead is from what distance on a hit is looked around for its line, where nearer ones
// are walked to.
const farAhead = 4096

// locate goes to the next line that the driver does not rule out.
func (r *Runner) locate() bool {
	if r.prog.driver == nil {
		r.start = r.at
		r.end = lineEnd(r.text, r.at)
		r.at = r.end + 1
		return true
	}
	if r.hit < r.at {
		if r.hit = r.prog.driver.find(r.text, r.at); r.hit < 0 {
			r.at = len(r.text)
			return false
		}
	}
	r.start = r.at
	if r.hit-r.at > farAhead {
		r.start = bytes.LastIndexByte(r.text[r.at:r.hit], '\n') + 1 + r.at
	}
	for r.end = lineEnd(r.text, r.start); r.end < r.hit; r.end = lineEnd(r.text, r.start) {
		r.start = r.end + 1
	}
	r.at = r.end + 1
	return true
}

// enter prepares for the line from start to end.
func (r *Runner) enter() {
	from, to := r.body(r.text[r.start:r.end])
	r.bodyAt, r.bodyEnd = r.start+from, r.start+to
	r.escapes, r.hasPlain, r.changed = false, false, false
}

// Start returns where the line begins in the block.
func (r *Runner) Start() int { return r.start }

// Raw returns the line as it was kept.
func (r *Runner) Raw() []byte { return r.text[r.start:r.end:r.end] }

// Gap tells whether the record that was processed states a loss.
func (r *Runner) Gap() bool { return r.gap }

// Value returns the unwrapped value of the record that was processed.
func (r *Runner) Value() float64 { return r.value }

// Err returns the error that a stage left in the record, if no filter asked for it.
func (r *Runner) Err() string {
	if r.wanted {
		return ""
	}
	return r.err
}

// Process sends the line through the stages that follow the line filters and tells whether
// it passes.
func (r *Runner) Process() bool {
	r.reset()
	if r.needLevel {
		level := levelText[min(int(kept.LevelOf(r.text[r.start:r.end])), len(levelText)-1)]
		r.labels = append(r.labels, label{r.levelName, level, OfMetadata})
	}
	if string(r.text[r.bodyEnd:r.end]) != `"}` && !r.extras() {
		return false
	}
	return r.stages()
}

func (r *Runner) reset() {
	r.labels = append(r.labels[:0], r.base...)
	r.came = append(r.came[:0], r.levelName)
	r.extracted, r.scratch, r.indexed, r.listed = r.extracted[:0], r.scratch[:0], 0, 0
	r.err, r.details, r.wanted, r.gap = "", "", false, false
}

func (r *Runner) stages() bool {
	for _, s := range r.prog.stages {
		if !s.run(r) {
			return false
		}
	}
	if r.prog.unwrap != nil {
		return r.prog.unwrap.run(r)
	}
	return true
}

// levelText has the names of the levels.
var levelText = func() (text [record.LevelFatal + 1][]byte) {
	for l := range text {
		text[l] = []byte(record.Level(l).String())
	}
	return text
}()

// stderrValue is the value of the label of records that came over stderr.
const stderrValue = "stderr"

// extras takes what stands behind the body of a line.
func (r *Runner) extras() bool {
	t := r.tail(r.text[r.bodyEnd:r.end])
	if t.damaged {
		return false // only damage makes such a line
	}
	if r.gap = t.gap; r.gap && r.prog.metric {
		return false
	}
	r.came, r.labels = append(r.came, t.came...), append(r.labels, t.labels...)
	return true
}

// SetRecord makes the runner hold a record that is not in a block. Labels that have no
// value are left out. Run has to follow; it tells whether the record passes.
func (r *Runner) SetRecord(labels []Label, line []byte) {
	r.reset()
	r.text, r.changed, r.line = nil, true, line
	r.came, r.baseNames, r.labels = r.came[:0], r.baseNames[:0], r.labels[:0]
	for _, l := range labels {
		if l.Value == "" {
			continue
		}
		if l.Category == OfStream {
			r.baseNames = append(r.baseNames, l.Name)
		} else {
			r.came = append(r.came, l.Name)
		}
		if r.prog.need.has(l.Name) {
			from := len(r.scratch)
			r.scratch = append(r.scratch, l.Value...)
			r.labels = append(r.labels, label{l.Name, r.scratch[from:len(r.scratch):len(r.scratch)], l.Category})
		}
	}
}

// Run sends the record that SetRecord made through the stages behind the line filters that
// come first, and tells whether it passes.
func (r *Runner) Run() bool { return r.stages() }

// unescaped returns the plain text of what is in canonical escaping.
func (r *Runner) unescaped(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	from := len(r.scratch)
	r.scratch = kept.Unescape(r.scratch, text)
	return r.scratch[from:len(r.scratch):len(r.scratch)]
}

// hasEscapes tells whether the body differs from its plain text.
func (r *Runner) hasEscapes() bool {
	if !r.escapes {
		r.escapes = true
		r.escaped = bytes.IndexByte(r.text[r.bodyAt:r.bodyEnd], '\\') >= 0
	}
	return r.escaped
}

// Line returns the line as the stages left it, as plain text.
func (r *Runner) Line() []byte {
	switch {
	case r.changed:
		return r.line
	case !r.hasEscapes():
		return r.text[r.bodyAt:r.bodyEnd:r.bodyEnd]
	case !r.hasPlain:
		r.plain = kept.Unescape(r.plain[:0], r.text[r.bodyAt:r.bodyEnd])
		r.hasPlain = true
	}
	return r.plain
}

// setLine replaces the line.
func (r *Runner) setLine(line []byte) { r.line, r.changed = line, true }
