// Package template holds the templates of line_format and label_format: Go's
// text/template with Loki's functions.
//
//	t, err := template.Parse(`{{.status}} {{.path | upper}}`)
//	r := t.NewRunner()
//	r.Line, r.Time = line, when
//	out, err = r.Append(out[:0], labels)
//
// Templates come from whoever may query, so what they can use up is bounded: the length
// of their text and of their result, the turns of their loops; they cannot call one
// another. A Template does not change and may be used concurrently, a Runner may not.
package template

import (
	"errors"
	"fmt"
	"regexp"
	"text/template"
	"text/template/parse"
	"time"
)

const (
	maxText   = 64 << 10 // bytes of a template
	maxOutput = 1 << 20  // bytes of what one makes of one record, and of any value in between
	maxWork   = 16 << 20 // bytes that its functions make and look through, for one record
	maxTurns  = 10_000   // of all loops together, for one record
	tick      = "__turn__"
)

// Template is a checked template.
type Template struct {
	text string
	root *template.Template
}

// Parse checks a template. The error has no mention of text/template's file names.
func Parse(text string) (*Template, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the template is longer than %d KiB", maxText>>10)
	}
	t, err := template.New("").Option("missingkey=zero").Funcs((&Runner{}).functions()).Parse(text)
	if err != nil {
		return nil, plain(err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("define, block and template are not supported in templates of queries")
	}
	if t.Tree == nil { // nothing but comments and definitions of nothing
		t.Tree = &parse.Tree{Root: &parse.ListNode{NodeType: parse.NodeList}}
	}
	turn, err := template.New("").Funcs(template.FuncMap{tick: func() string { return "" }}).Parse("{{" + tick + "}}")
	if err != nil {
		return nil, err
	}
	if err := bound(t.Tree.Root, turn.Tree.Root.Nodes[0]); err != nil {
		return nil, err
	}
	return &Template{text: text, root: t}, nil
}

// String returns the template as written.
func (t *Template) String() string { return t.text }

// bound puts a call that counts into every loop, and refuses calls of other templates.
func bound(list *parse.ListNode, turn parse.Node) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		var b *parse.BranchNode
		switch n := n.(type) {
		case *parse.TemplateNode:
			return errors.New("define, block and template are not supported in templates of queries")
		case *parse.IfNode:
			b = &n.BranchNode
		case *parse.WithNode:
			b = &n.BranchNode
		case *parse.RangeNode:
			b = &n.BranchNode
			n.List.Nodes = append([]parse.Node{turn}, n.List.Nodes...)
		default:
			continue
		}
		if err := errors.Join(bound(b.List, turn), bound(b.ElseList, turn)); err != nil {
			return err
		}
	}
	return nil
}

// Runner applies a template to one record after another.
type Runner struct {
	// Line and Time are what __line__ and __timestamp__ return.
	Line string
	Time time.Time
	// Now is what now returns; the zero Now is the time of the call.
	Now time.Time

	exec  *template.Template
	turns int
	work  int
	cache map[string]*regexp.Regexp
}

// NewRunner returns a runner of t for one goroutine.
func (t *Template) NewRunner() *Runner {
	r := &Runner{cache: map[string]*regexp.Regexp{}}
	clone, err := t.root.Clone()
	if err != nil { // Clone fails for templates of html/template alone
		panic("template: " + err.Error())
	}
	r.exec = clone.Funcs(r.functions())
	return r
}

// Append extends dst by what the template makes of labels. A label that is missing is
// empty text. After an error what was made so far is left out.
func (r *Runner) Append(dst []byte, labels map[string]string) ([]byte, error) {
	r.turns, r.work = 0, 0
	w := writer{b: dst, limit: len(dst) + maxOutput}
	if err := r.exec.Execute(&w, labels); err != nil {
		return dst, plain(err)
	}
	return w.b, nil
}

// writer keeps what is written, up to a limit.
type writer struct {
	b     []byte
	limit int
}

func (w *writer) Write(p []byte) (int, error) {
	if len(w.b)+len(p) > w.limit {
		return 0, errTooLong
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

var (
	errTooLong = fmt.Errorf("the result of the template is longer than %d MiB", maxOutput>>20)
	errWork    = fmt.Errorf("the template works on more than %d MiB for one record", maxWork>>20)
	errTurns   = fmt.Errorf("the loops of the template take more than %d turns", maxTurns)
	where      = regexp.MustCompile(`^template: :(\d+)(:\d+)?: (executing "" at )?`)
)

// plain takes the name of the template, which is none, out of an error's text.
func plain(err error) error {
	text := err.Error()
	m := where.FindStringSubmatchIndex(text)
	if m == nil {
		return err
	}
	return fmt.Errorf("template line %s: %s", text[m[2]:m[3]], text[m[1]:])
}
