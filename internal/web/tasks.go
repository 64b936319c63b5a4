package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/task"
)

// Tasks finds tasks.
type Tasks interface {
	// List returns those that were heard of.
	List(ctx context.Context, q task.ListRequest) (*task.List, error)
	// Tree returns one.
	Tree(ctx context.Context, q task.TreeRequest) (*task.Tree, error)
}

const (
	// pageTasks is how many tasks the page lists, of the last pageSince, and pageNodes how many
	// scopes of one it draws.
	pageTasks = 200
	pageSince = time.Hour
	pageNodes = 2000
	// pageSlow is from when on a task is slow.
	pageSlow = 10 * time.Second
	// taskTime is how long the page may wait for an answer.
	taskTime = 20 * time.Second
	// listAge is how old a list may be that is shown again, and listShare how many times longer
	// than it took: pages ask again and again.
	listAge   = 4 * time.Second
	listShare = 10
)

// lastList is the list that was shown last.
type lastList struct {
	turn chan struct{} // has an element while someone uses the rest, or makes it
	list *task.List
	till time.Time
}

// tasksPage is the page of tasks, and of one.
type tasksPage struct {
	frame
	Node    string
	Now     time.Time
	Trouble string
	List    *task.List
	Tree    *task.Tree
	Title   string
	Nodes   []nodeView
	More    int
}

// nodeView is a scope made ready to be drawn.
type nodeView struct {
	task.Node
	Branch string // before its name
	Blank  string // before its text
	Text   string
}

// tasks shows recent tasks, or one with its scopes.
func (h *handler) tasks(w http.ResponseWriter, r *http.Request) error {
	if !h.admit(w, r) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), taskTime)
	defer cancel()
	s := h.Status.Snapshot()
	page := tasksPage{Node: s.Node, Now: s.Now}
	var err error
	if text := r.PathValue("id"); text != "" {
		id, ok := task.ParseID(text)
		if !ok {
			http.Error(w, "this is no task", http.StatusNotFound)
			return nil
		}
		if page.Tree, err = h.Tasks.Tree(ctx, task.TreeRequest{ID: id}); err == nil {
			page.draw()
		}
	} else {
		page.List, err = h.recent(ctx)
	}
	if err != nil {
		if r.Context().Err() != nil {
			return err
		}
		page.Trouble = "This could not be read now: " + err.Error()
	}
	nonce := newNonce()
	page.frame = frame{nonce, h.view.style, h.view.script}
	body, err := h.view.render("tasks.html", page)
	if err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	w.Header().Set("Content-Security-Policy", pagePolicy(nonce))
	return h.send(w, r, "text/html; charset=utf-8", body)
}

// recent returns a list that is not old.
func (h *handler) recent(ctx context.Context) (*task.List, error) {
	l := &h.list
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	began := time.Now()
	if l.list != nil && began.Before(l.till) {
		return l.list, nil
	}
	list, err := h.Tasks.List(ctx, task.ListRequest{Start: began.Add(-pageSince), Limit: pageTasks, Slow: pageSlow})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	l.list, l.till = list, now.Add(max(listAge, listShare*now.Sub(began)))
	return list, nil
}

// draw makes the scopes ready.
func (p *tasksPage) draw() {
	nodes := p.Tree.Nodes
	if len(nodes) == 0 {
		return
	}
	p.Title = nodes[0].Name
	if p.Title == "" {
		p.Title = "Task"
	}
	p.More = max(0, len(nodes)-pageNodes)
	const (
		maxIndent = 12
		step      = "\u00a0\u00a0\u00a0"
	)
	for _, n := range nodes[:min(len(nodes), pageNodes)] {
		depth := min(n.Depth, maxIndent)
		v := nodeView{Node: n, Text: n.Error, Blank: strings.Repeat(step, depth)}
		if depth > 0 {
			v.Branch = strings.Repeat(step, depth-1) + "└─ "
		}
		if v.Text == "" && n.Message != "" {
			v.Text = "→ " + n.Message
		}
		p.Nodes = append(p.Nodes, v)
	}
}

// mood is the class of a state.
func mood(s task.State) string {
	switch s {
	case task.Success:
		return "good"
	case task.Failed, task.Lost:
		return "bad"
	case task.Open:
		return "odd"
	}
	return ""
}

// tookText says how long something took.
func tookText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
