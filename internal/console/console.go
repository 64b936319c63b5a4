// Package console shows lines of logs, and numbers made of them, on a terminal or to a program:
//
//	p := console.New(os.Stdout, console.Options{Form: console.Text, Terminal: true, Color: true, Location: time.Local})
//	err := p.Lines(some)
//
// On a terminal each stream has its colour, times are short with a line where a day begins,
// and a record that has several lines is indented. To a program a record is a line. Whatever
// log text contains is shown as text: control characters, escape sequences, marks that turn
// the direction of writing and bytes that are no UTF-8 are spelled out, as \x1b, except for
// Raw to a program. Lines are never cut.
//
// A Printer belongs to one goroutine. It writes when it is called and keeps nothing back.
// Which lines are shown, and whether there is a terminal, is the caller's business.
package console

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/pipeline"
)

// Form is how lines are printed.
type Form string

// The forms.
const (
	Text   Form = "text"   // for people, as columns
	Raw    Form = "raw"    // the lines' own text
	JSON   Form = "json"   // an object for each line
	Logfmt Form = "logfmt" // key=value a line
)

// Forms returns all forms.
func Forms() []Form { return []Form{Text, Raw, JSON, Logfmt} }

// Names is how streams are named before their lines.
type Names uint8

// The ways to name streams.
const (
	Short Names = iota // on a terminal the container or file, else the identity
	Full               // the identity
	None               // not at all
)

// Options say how a Printer prints. The zero value is text for a program.
type Options struct {
	Form Form // "" is Text
	// Terminal is set when people read it.
	Terminal bool
	// Color is set when it may have colours.
	Color bool
	// Location is the zone of times on a terminal; nil is UTC. To a program times are UTC.
	Location *time.Location
	// Now is when it is, so that the day is not shown before the lines of today; the zero
	// time shows it always.
	Now time.Time
	// Labels shows the labels of each line too.
	Labels bool
	Names  Names
	// Highlight is what stands out in lines, unless nil.
	Highlight *regexp.Regexp
	// Messages gets what is not text of the logs where Raw is printed; nil is nobody.
	Messages io.Writer
}

// Printer prints lines.
type Printer struct {
	w     io.Writer
	opts  Options
	buf   []byte
	err   error
	names names
	day   string // that was shown last
}

// New returns a printer that writes to w.
func New(w io.Writer, o Options) *Printer {
	if o.Form == "" {
		o.Form = Text
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Messages == nil {
		o.Messages = io.Discard
	}
	p := &Printer{w: w, opts: o, names: newNames(o.Names, o.Terminal)}
	if !o.Now.IsZero() {
		p.day = o.Now.In(o.Location).Format(dayForm)
	}
	return p
}

// dayForm is how a day is shown.
const dayForm = "Mon 2 Jan 2006"

// flushBytes is about how much is written at a time.
const flushBytes = 64 << 10

// Lines prints some lines. It fails as the writer does.
func (p *Printer) Lines(some []lines.Line) error {
	if p.opts.Form == Text {
		for i := range some {
			if some[i].Lost == 0 {
				p.names.meet(&some[i]) // so that their columns have a width before the first
			}
		}
	}
	for i := range some {
		switch l := &some[i]; p.opts.Form {
		case JSON:
			p.buf = lines.Append(p.buf, l)
		case Logfmt:
			p.logfmt(l)
		case Raw:
			p.raw(l)
		default:
			p.text(l)
		}
		if len(p.buf) >= flushBytes {
			p.flush()
		}
	}
	p.flush()
	return p.err
}

func (p *Printer) flush() {
	if len(p.buf) > 0 && p.err == nil {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}

// The escape sequences that are used.
const (
	reset   = "\x1b[0m"
	dim     = "\x1b[2m"
	bold    = "\x1b[1m"
	red     = "\x1b[31m"
	yellow  = "\x1b[33m"
	cyan    = "\x1b[36m"
	boldRed = "\x1b[1;31m"
)

// style begins a style, end ends all.
func (p *Printer) style(s string) {
	if p.opts.Color && s != "" {
		p.buf = append(p.buf, s...)
	}
}

func (p *Printer) end(s string) {
	if p.opts.Color && s != "" {
		p.buf = append(p.buf, reset...)
	}
}

// styled appends text of our own.
func (p *Printer) styled(style, text string) {
	p.style(style)
	p.buf = append(p.buf, text...)
	p.end(style)
}

// apart appends what stands between groups of lines.
func (p *Printer) apart(l *lines.Line) {
	if l.Apart {
		p.styled(dim, "--")
		p.buf = append(p.buf, '\n')
	}
}

// text prints a line for people, or for the tools they use.
func (p *Printer) text(l *lines.Line) {
	if l.Lost > 0 {
		p.styled(yellow, fmt.Sprintf("... %d lines are missing here: they came faster than they were read", l.Lost))
		p.buf = append(p.buf, '\n')
		return
	}
	p.apart(l)
	if p.opts.Terminal {
		p.newDay(l.Time)
	}
	indent := p.time(l.Time)
	if p.opts.Names != None {
		indent += p.name(l)
	}
	indent += p.level(l)
	if p.opts.Labels {
		p.labels(l)
	}
	style := ""
	switch {
	case l.Gap:
		style = yellow
	case l.Context:
		style = dim
	}
	if !p.opts.Terminal {
		p.buf = AppendHarmless(p.buf, l.Line)
	} else {
		p.body(l.Line, style, indent)
	}
	if l.Line == "" {
		p.buf = bytes.TrimRight(p.buf, " ")
	}
	p.buf = append(p.buf, '\n')
}

// newDay shows the day where another one begins.
func (p *Printer) newDay(ns int64) {
	day := time.Unix(0, ns).In(p.opts.Location).Format(dayForm)
	if day != p.day {
		p.day = day
		p.styled(dim, "--- "+day+" "+strings.Repeat("-", 20))
		p.buf = append(p.buf, '\n')
	}
}

// time appends the time with a blank and returns how many columns that takes.
func (p *Printer) time(ns int64) int {
	at := time.Unix(0, ns)
	if !p.opts.Terminal {
		p.buf = at.UTC().AppendFormat(p.buf, "2006-01-02T15:04:05.000000000Z")
		p.buf = append(p.buf, ' ')
		return 0
	}
	const form = "15:04:05.000"
	p.style(dim)
	p.buf = at.In(p.opts.Location).AppendFormat(p.buf, form)
	p.end(dim)
	p.buf = append(p.buf, ' ')
	return len(form) + 1
}

// name appends the name of a stream, with blanks up to its column on a terminal.
func (p *Printer) name(l *lines.Line) (columns int) {
	text, color := p.names.of(l)
	p.styled(color, text)
	if p.opts.Terminal {
		columns = utf8.RuneCountInString(text)
		for ; columns < p.names.width; columns++ {
			p.buf = append(p.buf, ' ')
		}
	}
	p.buf = append(p.buf, ' ')
	return columns + 1
}

// levelColumns is the width of the longest level.
const levelColumns = 5

// level appends the level. On a terminal one that is not known is blank.
func (p *Printer) level(l *lines.Line) int {
	level := l.Level()
	switch {
	case l.Gap:
		level = "gap"
	case p.opts.Terminal && level == "unknown":
		level = ""
	case level == "":
		level = "unknown"
	}
	if !p.opts.Terminal {
		p.buf = append(AppendHarmless(p.buf, level), ' ')
		return 0
	}
	shown := string(AppendHarmless(nil, level)) // a query may have set it to anything
	p.styled(levelStyle(level), shown)
	columns := utf8.RuneCountInString(shown)
	for ; columns < levelColumns; columns++ {
		p.buf = append(p.buf, ' ')
	}
	p.buf = append(p.buf, ' ')
	return columns + 1
}

func levelStyle(level string) string {
	switch level {
	case "fatal":
		return boldRed
	case "error":
		return red
	case "warn":
		return yellow
	case "gap":
		return "\x1b[7;33m"
	case "info":
		return cyan
	case "":
		return ""
	}
	return dim
}

// labels appends all labels of a line but its level.
func (p *Printer) labels(l *lines.Line) {
	p.style(dim)
	p.buf = append(p.buf, '{')
	n := 0
	for i := range l.Labels {
		label := &l.Labels[i]
		if label.Name == levelLabel && label.Category == pipeline.OfMetadata {
			continue
		}
		if n++; n > 1 {
			p.buf = append(p.buf, ", "...)
		}
		p.buf = AppendHarmless(p.buf, label.Name)
		p.buf = append(p.buf, '=')
		p.buf = lines.AppendString(p.buf, label.Value)
	}
	p.buf = append(p.buf, '}')
	p.end(dim)
	p.buf = append(p.buf, ' ')
}

// body appends the text of a record on a terminal. Further lines of it begin where the
// first does, behind a mark, so that none can pass for a record.
func (p *Printer) body(text, style string, indent int) {
	first := true
	for part := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		if !first {
			p.buf = append(p.buf, '\n')
			p.buf = append(p.buf, strings.Repeat(" ", indent)...)
			p.styled(dim, "| ")
		}
		first = false
		p.line(strings.TrimSuffix(part, "\r"), style)
	}
}

// line appends text without line ends, with what is looked for standing out.
func (p *Printer) line(text, style string) {
	if p.opts.Highlight == nil || !p.opts.Color {
		p.style(style)
		p.buf = AppendHarmless(p.buf, text)
		p.end(style)
		return
	}
	at := 0
	for _, m := range p.opts.Highlight.FindAllStringIndex(text, -1) {
		if m[0] == m[1] {
			continue
		}
		p.line1(text[at:m[0]], style)
		p.line1(text[m[0]:m[1]], boldRed)
		at = m[1]
	}
	p.line1(text[at:], style)
}

func (p *Printer) line1(text, style string) {
	if text != "" {
		p.style(style)
		p.buf = AppendHarmless(p.buf, text)
		p.end(style)
	}
}

// raw prints the text alone. What is not text of the logs goes to Messages.
func (p *Printer) raw(l *lines.Line) {
	switch {
	case l.Lost > 0:
		fmt.Fprintf(p.opts.Messages, "weir: %d lines are missing here: they came faster than they were read\n", l.Lost)
		return
	case l.Gap:
		fmt.Fprintf(p.opts.Messages, "weir: %s: %s\n", AppendHarmless(nil, l.Stream), AppendHarmless(nil, l.Line))
		return
	}
	if l.Apart {
		p.buf = append(p.buf, "--\n"...)
	}
	if p.opts.Terminal {
		for part := range strings.SplitSeq(l.Line, "\n") {
			p.buf = append(AppendHarmless(p.buf, part), '\n')
		}
		return
	}
	p.buf = append(append(p.buf, l.Line...), '\n')
}

// logfmt prints a line as key=value. A label that is called as one of our own keys gets
// another name.
func (p *Printer) logfmt(l *lines.Line) {
	if l.Lost > 0 {
		p.buf = fmt.Appendf(p.buf, "lost=%d\n", l.Lost)
		return
	}
	p.buf = time.Unix(0, l.Time).UTC().AppendFormat(p.buf, "time=2006-01-02T15:04:05.000000000Z")
	p.pair("stream", l.Stream)
	if level := l.Level(); level != "" {
		p.pair("level", level)
	}
	if l.Gap {
		p.pair("gap", "true")
	}
	if l.Context {
		p.pair("context", "true")
	}
	p.pair("msg", l.Line)
	for i := range l.Labels {
		label := &l.Labels[i]
		if label.Name == levelLabel && label.Category == pipeline.OfMetadata {
			continue
		}
		name := label.Name
		if slices.Contains([]string{"time", "stream", "level", "gap", "context", "msg"}, name) {
			name = "label_" + name
		}
		p.pair(name, label.Value)
	}
	p.buf = append(p.buf, '\n')
}

func (p *Printer) pair(name, value string) {
	p.buf = append(AppendHarmless(append(p.buf, ' '), name), '=')
	plain := value != ""
	for _, r := range value {
		plain = plain && r > ' ' && r != '"' && r != '=' && r != '\\' && r != utf8.RuneError && lines.Harmless(r)
	}
	if plain {
		p.buf = append(p.buf, value...)
		return
	}
	p.buf = lines.AppendString(p.buf, value)
}
