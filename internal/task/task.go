// Package task makes trees of the records that say which task they belong to.
//
//	f := task.Finder{Blocks: engine, Archive: archive}
//	id, ok := task.ParseID("f738d4aa-6a48-4fac-be7e-f34721792d8c")
//	tree, err := f.Tree(ctx, task.TreeRequest{ID: id})
//	list, err := f.List(ctx, task.ListRequest{Start: time.Now().Add(-time.Hour), Limit: 50})
//
// A task is a piece of work of an application; its scopes are pieces of that, nested to any
// depth and across processes. Records say where they belong in one of three ways: by a key
// of distlog's, seq@uuid/1/2, which is the number of the record in the scope uuid/1/2; by
// task_uuid and task_level of Eliot's; by trace_id, span_id and parent_span_id of W3C's Trace
// Context. They are looked for in stored fields, in JSON and in logfmt.
//
// Nothing is kept between two questions: a tree is read from the journals when it is asked
// for, in those blocks whose filters do not rule the task out. So streams without keys cost
// nothing, nor does a task that is open for days. What one answer holds is bounded, and
// says what it left out.
//
// An end is never assumed. A scope is a success only if its last record says so; without an
// end it is open, and once its process went on without it, or nothing came for long, lost.
//
// A Finder has no state of its own and may be used concurrently; a Builder and a Table
// belong to one goroutine. How trees look is the business of who shows them.
package task

import "time"

// State is what became of a task or a scope.
type State string

// The states.
const (
	Success State = "success" // it says so
	Failed  State = "failed"  // it says so
	Lost    State = "lost"    // it has no end, and will have none: taken for failed
	Open    State = "open"    // it has no end yet
	Unknown State = "unknown" // nothing tells: a span of a trace, or a scope of which only parts are known
)

// Rank orders states by how much they want to be seen, those first that have failed.
func (s State) Rank() int {
	switch s {
	case Failed, Lost:
		return 0
	case Open:
		return 2 // what was slow comes between
	case Unknown:
		return 3
	}
	return 4
}

// Field is what a task was begun with.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Gap is numbers of records that are missing in a scope, both ends included: they were lost,
// or nobody has sent them.
type Gap struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Line is a record of a scope.
type Line struct {
	Time  time.Time `json:"time"`
	Seq   int64     `json:"seq"` // -1: it has none
	Level string    `json:"level"`
	Text  string    `json:"text"`
}

// Node is a scope of a tree.
type Node struct {
	// ID is the scope's name among all: uuid/1/2, or the id of a span.
	ID string `json:"id"`
	// Parent is the place of the scope around it in Tree.Nodes, -1 of the first; Depth is how
	// many are around it.
	Parent int `json:"parent"`
	Depth  int `json:"depth"`
	// Name is the message that the scope began with.
	Name  string `json:"name,omitempty"`
	State State  `json:"state"`
	// Why says what the state follows from, where the scope itself does not say it.
	Why string `json:"why,omitempty"`
	// Start is when the scope began, or its first record if that is not known; Last is its last
	// record, those of its parts included. End is nil if it has none.
	Start time.Time  `json:"start"`
	Last  time.Time  `json:"last"`
	End   *time.Time `json:"end,omitempty"`
	// Duration is to its end, else to its last record, in seconds.
	Duration float64 `json:"duration"`
	// Message is the message that it ended with, if that is another one than Name.
	Message string `json:"message,omitempty"`
	// Error is what failed: the last error that was logged in the scope itself.
	Error    string `json:"error,omitempty"`
	Records  int    `json:"records"`
	Errors   int    `json:"errors,omitempty"`
	Warnings int    `json:"warnings,omitempty"`
	// Missing is how many numbers are missing, and Gaps the first of them.
	Missing int64 `json:"missing,omitempty"`
	Gaps    []Gap `json:"gaps,omitempty"`
	// Repeated counts records whose number came before.
	Repeated int     `json:"repeated,omitempty"`
	Host     string  `json:"host,omitempty"`
	Process  string  `json:"process,omitempty"`
	Stream   string  `json:"stream,omitempty"`
	Fields   []Field `json:"fields,omitempty"`
	Lines    []Line  `json:"lines,omitempty"`
	// Clipped is set where some of its texts, or what is known of its gaps, had no room.
	Clipped bool `json:"clipped,omitempty"`
}

// Tree is a task with all its scopes, or a part of it.
type Tree struct {
	ID string `json:"id"`
	// Nodes are the scopes, each before its parts, which are in the order of their beginnings.
	Nodes []Node `json:"nodes"`
	// Records were read; of them Omitted are not in the nodes, since one tree may not be larger.
	Records int `json:"records"`
	Omitted int `json:"omitted,omitempty"`
	// Clipped counts the nodes of which texts had no room.
	Clipped int `json:"clipped,omitempty"`
	// Cut counts the records whose lines had no room, where lines were asked for.
	Cut int `json:"cut,omitempty"`
	// Warnings say what could not be read.
	Warnings []string `json:"warnings,omitempty"`

	size int
}

// Bytes is how much a tree that was just made takes as JSON, at most, and in memory, about.
func (t *Tree) Bytes() int { return t.size }

// Summary is a task in a list.
type Summary struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	State State  `json:"state"`
	Why   string `json:"why,omitempty"`
	// Slow is set if it took, or takes, longer than was asked.
	Slow     bool       `json:"slow,omitempty"`
	Start    time.Time  `json:"start"`
	Last     time.Time  `json:"last"`
	End      *time.Time `json:"end,omitempty"`
	Duration float64    `json:"duration"`
	Records  int        `json:"records"`
	Errors   int        `json:"errors,omitempty"`
	Warnings int        `json:"warnings,omitempty"`
	Host     string     `json:"host,omitempty"`
	Process  string     `json:"process,omitempty"`
}

// List is recent tasks.
type List struct {
	Tasks []Summary `json:"tasks"`
	// Total is how many there are, of which Tasks are the first.
	Total int `json:"total"`
	// Forgotten were found but had no room among the others: first those that do not fit the
	// question, then those that went well, then those heard of before all others.
	Forgotten int `json:"forgotten,omitempty"`
	// Omitted are records of tasks that are not among all these, since more than some millions
	// are not told apart.
	Omitted int `json:"omitted,omitempty"`
	// Warnings say what could not be read.
	Warnings []string `json:"warnings,omitempty"`
}

// Patience is when a scope without an end is taken for lost.
type Patience struct {
	// WentOn is how long nothing has to come of a scope whose process did other things after it;
	// 0 is a minute.
	WentOn time.Duration
	// Silent is how long nothing has to come of any other; 0 is an hour.
	Silent time.Duration
}

func (p Patience) filled() Patience {
	if p.WentOn <= 0 {
		p.WentOn = time.Minute
	}
	if p.Silent <= 0 {
		p.Silent = time.Hour
	}
	return p
}
