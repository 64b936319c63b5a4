package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/task"
)

// TreeView says how trees are drawn.
type TreeView struct {
	// All draws every scope; else branches in which all went well are folded.
	All bool
	// Depth is how deep scopes are drawn, the task itself being 0; negative is as deep as they go.
	Depth int
	// Slow is from which duration on one stands out; 0 is never.
	Slow time.Duration
}

const (
	// maxIndent is how many levels are indented: deeper ones say their depth.
	maxIndent = 24
	// maxAlike is how many parts next to one another are drawn that all went well; more are one line.
	maxAlike = 4
	// maxShown is how much of a text is drawn in a line, in characters.
	maxShown = 160
)

// Tree prints a task: as a drawing, or as JSON in one line.
func (p *Printer) Tree(t *task.Tree, v TreeView) error {
	if p.opts.Form == JSON {
		return p.object(t)
	}
	d := drawing{Printer: p, tree: t, view: v}
	d.measure()
	if len(t.Nodes) > 0 {
		d.draw()
	}
	if t.Omitted > 0 {
		p.note(fmt.Sprintf("%d records more belong to scopes that have no room in one tree", t.Omitted))
	}
	if t.Clipped > 0 {
		p.note(fmt.Sprintf("of %d scopes some text has no room in one tree", t.Clipped))
	}
	if t.Cut > 0 {
		p.note(fmt.Sprintf("the text of %d records more has no room here", t.Cut))
	}
	p.flush()
	return p.err
}

func (p *Printer) note(text string) {
	p.styled(yellow, "... "+text)
	p.buf = append(p.buf, '\n')
}

// object prints a value as JSON in one line, with all that a terminal could take for
// something else escaped.
func (p *Printer) object(v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	p.buf = lines.AppendHarmlessJSON(p.buf, out.Bytes())
	p.flush()
	return p.err
}

// drawing draws a tree.
type drawing struct {
	*Printer
	tree *task.Tree
	view TreeView
	kids [][]int
	// good tells of each node whether all went well in it and its parts, and inside how many
	// parts it has, theirs included.
	good   []bool
	inside []int
}

func (d *drawing) measure() {
	nodes := d.tree.Nodes
	d.kids, d.good, d.inside = make([][]int, len(nodes)), make([]bool, len(nodes)), make([]int, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- {
		n := &nodes[i]
		d.good[i] = n.State == task.Success && n.Errors == 0 && n.Missing == 0 && !d.slow(n)
		for _, k := range d.kids[i] {
			d.good[i] = d.good[i] && d.good[k]
		}
		if n.Parent >= 0 {
			d.kids[n.Parent] = append(d.kids[n.Parent], i)
			d.inside[n.Parent] += d.inside[i] + 1
		}
	}
	for _, list := range d.kids { // they were met from the last to the first
		for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
			list[i], list[j] = list[j], list[i]
		}
	}
}

func (d *drawing) slow(n *task.Node) bool {
	return d.view.Slow > 0 && n.Duration >= d.view.Slow.Seconds()
}

// branch is a line to draw: a node, or a run of nodes in which all went well.
type branch struct {
	node, run int // run is 0 for one node
	depth     int
	prefix    string // of the lines below it
	mark      string // before its own
}

// draw draws all nodes. It keeps its own stack: trees may be deep.
func (d *drawing) draw() {
	stack := []branch{{}}
	for len(stack) > 0 && d.err == nil {
		b := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.run > 0 {
			d.run(b)
			continue
		}
		folded := !d.view.All && b.depth > 0 && d.good[b.node] || d.view.Depth >= 0 && b.depth >= d.view.Depth
		kids := d.kids[b.node]
		d.node(b, folded)
		if folded || len(kids) == 0 {
			continue
		}
		stack = d.push(stack, b, kids)
		if len(d.buf) >= flushBytes {
			d.flush()
		}
	}
}

// push adds the parts of a node to the stack, the last one first.
func (d *drawing) push(stack []branch, around branch, kids []int) []branch {
	var list []branch
	for i := 0; i < len(kids); {
		n := i
		for n < len(kids) && !d.view.All && d.good[kids[n]] {
			n++
		}
		b := branch{node: kids[i], depth: around.depth + 1}
		if n-i > maxAlike {
			b.run = n - i
			i = n
		} else {
			i++
		}
		list = append(list, b)
	}
	for i := len(list) - 1; i >= 0; i-- {
		b := &list[i]
		mark, below := "├─ ", "│  "
		if i == len(list)-1 {
			mark, below = "└─ ", "   "
		}
		b.mark, b.prefix = around.prefix+mark, around.prefix+below
		if b.depth > maxIndent {
			b.mark, b.prefix = around.prefix+strconv.Itoa(b.depth)+": ", around.prefix
		}
		stack = append(stack, *b)
	}
	return stack
}

// run draws parts in which all went well as one line.
func (d *drawing) run(b branch) {
	total, scopes := 0.0, 0
	kids := d.kids[d.tree.Nodes[b.node].Parent]
	from := 0
	for kids[from] != b.node {
		from++
	}
	for _, k := range kids[from : from+b.run] {
		total += d.tree.Nodes[k].Duration
		scopes += d.inside[k]
	}
	d.styled(dim, b.mark)
	d.text1(fmt.Sprintf("%d parts: ", b.run)+d.tree.Nodes[b.node].Name+" ...", "")
	d.buf = append(d.buf, "  "...)
	d.styled(green, "all ok")
	d.styled(dim, " "+seconds(total)+" together"+folds(scopes))
	d.buf = append(d.buf, '\n')
}

func folds(scopes int) string {
	if scopes == 0 {
		return ""
	}
	return fmt.Sprintf("  +%d inside", scopes)
}

const green = "\x1b[32m"

// text1 appends text of the logs in one line, shortened.
func (d *drawing) text1(text, style string) {
	text, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if utf8.RuneCountInString(text) > maxShown {
		text, more = string([]rune(text)[:maxShown]), true
	}
	if more {
		text += "…"
	}
	d.style(style)
	d.buf = AppendHarmless(d.buf, text)
	d.end(style)
}

// node draws a scope.
func (d *drawing) node(b branch, folded bool) {
	n := &d.tree.Nodes[b.node]
	d.styled(dim, b.mark)
	if n.Name == "" {
		d.styled(dim, "(no name) "+string(AppendHarmless(nil, n.ID)))
	} else {
		d.text1(n.Name, bold)
	}
	d.buf = append(d.buf, "  "...)
	d.styled(stateStyle(n.State), stateWord(n.State))
	style := dim
	if d.slow(n) {
		style = yellow
	}
	d.styled(style, " "+seconds(n.Duration))
	d.counts(n)
	if b.node == 0 {
		d.buf = append(d.buf, "  "...)
		d.began(n.Start.UnixNano())
		d.buf = bytes.TrimRight(d.buf, " ")
	}
	if b.node == 0 || n.Host+n.Process != d.tree.Nodes[n.Parent].Host+d.tree.Nodes[n.Parent].Process {
		if where := strings.TrimSpace(n.Host + " " + n.Process); where != "" {
			d.styled(dim, "  "+string(AppendHarmless(nil, where)))
		}
	}
	if folded && d.inside[b.node] > 0 {
		d.styled(dim, folds(d.inside[b.node]))
	}
	d.buf = append(d.buf, '\n')
	if !folded || !d.good[b.node] {
		d.below(n, b.prefix, len(d.kids[b.node]) > 0 && !folded)
	}
}

// counts appends what else a scope's line says.
func (d *drawing) counts(n *task.Node) {
	say := func(style string, count int, one, many string) {
		if count == 1 {
			d.styled(style, "  1 "+one)
		} else if count > 1 {
			d.styled(style, fmt.Sprintf("  %d %s", count, many))
		}
	}
	say(dim, n.Records, "record", "records")
	say(red, n.Errors, "error", "errors")
	say(yellow, n.Warnings, "warning", "warnings")
	if n.Missing > 0 {
		d.styled(yellow, "  gap: "+missing(n))
	}
	say(dim, n.Repeated, "repeated", "repeated")
}

// missing names the numbers that are missing.
func missing(n *task.Node) string {
	const most = 4
	var list []string
	for _, g := range n.Gaps[:min(len(n.Gaps), most)] {
		text := strconv.FormatInt(g.First, 10)
		if g.Last > g.First {
			text += "-" + strconv.FormatInt(g.Last, 10)
		}
		list = append(list, text)
	}
	if len(n.Gaps) > most {
		list = append(list, "...")
	}
	return fmt.Sprintf("%d missing (%s)", n.Missing, strings.Join(list, ", "))
}

// below draws what a scope says, under its line.
func (d *drawing) below(n *task.Node, prefix string, more bool) {
	if more {
		prefix += "│  "
	} else {
		prefix += "   "
	}
	say := func(style, text string) {
		d.styled(dim, prefix)
		d.text1(text, style)
		d.buf = append(d.buf, '\n')
	}
	if len(n.Fields) > 0 {
		var list []string
		for _, f := range n.Fields {
			list = append(list, f.Name+"="+f.Value)
		}
		say(dim, strings.Join(list, " "))
	}
	if n.Message != "" {
		say("", "-> "+n.Message)
	}
	if n.Why != "" {
		say(yellow, n.Why)
	}
	if n.Error != "" && len(n.Lines) == 0 {
		say(red, n.Error)
	}
	for i := range n.Lines {
		d.recordLine(&n.Lines[i], prefix)
	}
}

// recordLine draws a record.
func (d *drawing) recordLine(l *task.Line, prefix string) {
	d.styled(dim, prefix)
	d.time(l.Time.UnixNano())
	if l.Seq >= 0 {
		d.styled(dim, fmt.Sprintf("%4d ", l.Seq))
	}
	if l.Level != "" {
		d.styled(levelStyle(l.Level), fmt.Sprintf("%-5s ", l.Level))
	}
	first, rest, _ := strings.Cut(strings.TrimSpace(l.Text), "\n")
	d.buf = append(AppendHarmless(d.buf, first), '\n')
	if rest == "" {
		return
	}
	for part := range strings.SplitSeq(rest, "\n") {
		d.styled(dim, prefix+"| ")
		d.buf = append(AppendHarmless(d.buf, part), '\n')
	}
}

func stateStyle(s task.State) string {
	switch s {
	case task.Success:
		return green
	case task.Failed, task.Lost:
		return boldRed
	case task.Open:
		return cyan
	}
	return dim
}

// stateWord is how a state is called before people.
func stateWord(s task.State) string {
	if s == task.Success {
		return "ok"
	}
	return string(AppendHarmless(nil, string(s)))
}

// seconds is a duration as people say it.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
