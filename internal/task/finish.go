package task

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/record"
)

func unixTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// finisher makes the tree of what a builder has.
type finisher struct {
	*Builder
	patience Patience
	now      int64
	room     room

	kids  [][]int32
	last  []int64 // of a scope with all its parts
	first []int64
	tree  *Tree
}

// finish returns the tree as it is now, or the part of it that a scope is. The builder may
// go on.
func (b *Builder) finish(id ID, p Patience, now time.Time) *Tree {
	f := &finisher{Builder: b, patience: p.filled(), now: now.UnixNano(), room: b.room}
	f.tree = &Tree{ID: id.String(), Nodes: make([]Node, 0, len(b.nodes)), Records: b.records, Omitted: b.omitted, Cut: b.cut}
	if len(b.nodes) == 0 {
		return f.tree
	}
	f.join()
	f.link()
	f.times()
	f.emit(f.root())
	if id.Scope != "" && id.Scope != id.Root {
		f.tree.cut(id.Scope)
	}
	for i := range f.tree.Nodes {
		if f.tree.Nodes[i].Clipped {
			f.tree.Clipped++
		}
	}
	f.tree.size = b.limits.Bytes - f.room.left + b.limits.LineBytes - b.linesRoom.left
	return f.tree
}

// cut leaves of a tree the part that a scope is; all of it, if there is none of that name.
func (t *Tree) cut(scope string) {
	from := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.ID == scope })
	if from < 0 {
		return
	}
	depth, end := t.Nodes[from].Depth, from+1
	for end < len(t.Nodes) && t.Nodes[end].Depth > depth {
		end++
	}
	t.Nodes = t.Nodes[from:end]
	for i := range t.Nodes {
		t.Nodes[i].Depth -= depth
		t.Nodes[i].Parent -= from
	}
	t.Nodes[0].Parent = -1
}

func (f *finisher) root() int32 {
	if at, ok := f.byScope[f.Builder.root]; ok {
		return at
	}
	return 0
}

// join finds the scopes that spans say are around them.
func (f *finisher) join() {
	var open []int32
	for i := range f.nodes {
		n := &f.nodes[i]
		if n.around == "" {
			continue
		}
		if at, ok := f.byScope["span:"+n.around]; ok {
			n.parent = at
		} else {
			open = append(open, int32(i))
		}
	}
	if len(open) == 0 {
		return
	}
	// They may be scopes: the span that one is follows from its name.
	scopes := map[string]int32{}
	for i := range f.nodes {
		if !f.nodes[i].span {
			scopes[spanOf(f.nodes[i].id)] = int32(i)
		}
	}
	for _, i := range open {
		if at, ok := scopes[f.nodes[i].around]; ok {
			f.nodes[i].parent = at
		}
	}
}

// spanOf returns the span that a scope is: the first bytes of the SHA-256 of its name, as the
// library scope has it.
func spanOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:spanLen/2])
}

// link lists the parts of each scope. Spans that are around each other in a ring are parts of
// the task.
func (f *finisher) link() {
	f.kids = make([][]int32, len(f.nodes))
	root := f.root()
	const (
		fresh = iota
		passed
		reaches
	)
	mark := make([]uint8, len(f.nodes))
	mark[root] = reaches
	var way []int32
	for i := range f.nodes {
		way = way[:0]
		at := int32(i)
		for mark[at] == fresh {
			mark[at] = passed
			way = append(way, at)
			if at = f.nodes[at].parent; at < 0 {
				break
			}
		}
		if len(way) > 0 && (at < 0 || mark[at] == passed) { // a ring, or without a root
			f.nodes[way[len(way)-1]].parent = root
		}
		for _, at := range way {
			mark[at] = reaches
		}
	}
	for i := range f.nodes {
		if p := f.nodes[i].parent; p >= 0 && int32(i) != root {
			f.kids[p] = append(f.kids[p], int32(i))
		}
	}
}

// order lists all scopes, each before its parts.
func (f *finisher) order(from int32) []int32 {
	list := append(make([]int32, 0, len(f.nodes)), from)
	for i := 0; i < len(list); i++ {
		list = append(list, f.kids[list[i]]...)
	}
	return list
}

// times finds out when the scopes with their parts begin and end.
func (f *finisher) times() {
	f.first, f.last = make([]int64, len(f.nodes)), make([]int64, len(f.nodes))
	for i := range f.nodes {
		f.first[i], f.last[i] = f.nodes[i].first, f.nodes[i].last
	}
	order := f.order(f.root())
	for _, i := range slices.Backward(order) {
		for _, kid := range f.kids[i] {
			if f.last[i] == 0 || f.last[kid] > f.last[i] {
				f.last[i] = f.last[kid]
			}
			if f.first[kid] != 0 && (f.first[i] == 0 || f.first[kid] < f.first[i]) {
				f.first[i] = f.first[kid]
			}
		}
	}
	for i := range f.kids {
		slices.SortFunc(f.kids[i], func(a, b int32) int {
			return cmp.Or(cmp.Compare(f.begin(a), f.begin(b)), compareIDs(f.nodes[a].id, f.nodes[b].id))
		})
	}
}

func (f *finisher) begin(i int32) int64 {
	if f.nodes[i].begun {
		return f.nodes[i].start
	}
	return f.first[i]
}

// compareIDs orders uuid/2 before uuid/10.
func compareIDs(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// emit adds a scope and its parts to the tree.
func (f *finisher) emit(from int32) {
	type step struct {
		node   int32
		parent int
		depth  int
		ended  int64 // when the first of those around it ended that is of its process; 0 for none
	}
	stack := []step{{node: from, parent: -1}}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := f.node(s.node, s.ended != 0)
		n.Parent, n.Depth = s.parent, s.depth
		place := len(f.tree.Nodes)
		f.tree.Nodes = append(f.tree.Nodes, n)
		for _, kid := range slices.Backward(f.kids[s.node]) {
			next := step{node: kid, parent: place, depth: s.depth + 1}
			if p := f.nodes[kid].proc; p == f.nodes[s.node].proc && f.sure(p) {
				next.ended = s.ended
				if n.End != nil && next.ended == 0 {
					next.ended = n.End.UnixNano()
				}
			}
			stack = append(stack, next)
		}
	}
}

// sure tells whether it is known which process one is: two on a host that say nothing of that
// may be different ones.
func (f *finisher) sure(p int32) bool { return p >= 0 && f.procOf[p].process != "" }

// node makes a scope of a tree; orphan, if one around it has ended in its process.
func (f *finisher) node(i int32, orphan bool) Node {
	n := &f.nodes[i]
	out := Node{
		ID: strings.TrimPrefix(n.id, "span:"), Name: n.name, Records: n.records, Errors: n.errors, Warnings: n.warnings, Error: n.trouble,
		Repeated: n.repeated, Stream: n.stream, Fields: n.args, Clipped: n.clipped, Start: unixTime(f.begin(i)), Last: unixTime(f.last[i]), Lines: slices.Clone(n.lines),
	}
	if n.proc >= 0 {
		f.say(&out, &out.Host, f.procOf[n.proc].host)
		f.say(&out, &out.Process, f.procOf[n.proc].process)
	}
	first := int64(0)
	if n.eliot {
		first = 1
	}
	if out.Missing, out.Gaps = n.missing(first, f.kids[i], f.nodes); !f.room.take(gapBytes * len(out.Gaps)) {
		out.Gaps, out.Clipped = nil, true
	}
	slices.SortStableFunc(out.Lines, func(a, b Line) int {
		if a.Seq >= 0 && b.Seq >= 0 {
			return cmp.Compare(a.Seq, b.Seq)
		}
		return a.Time.Compare(b.Time)
	})
	f.state(&out, i, orphan)
	end := f.last[i]
	if out.End != nil {
		end = out.End.UnixNano()
	}
	out.Duration = max(0, time.Duration(end-f.begin(i)).Seconds())
	return out
}

// missing returns the gaps in the numbers of a scope. In Eliot's numbering parts take one each.
func (n *node) missing(first int64, kids []int32, nodes []node) (int64, []Gap) {
	if !n.known {
		return 0, nil
	}
	if !n.eliot {
		return n.numbers.gaps(first, maxGaps)
	}
	all := numbers{ranges: slices.Clone(n.numbers.ranges), full: n.numbers.full}
	for _, k := range kids {
		if at := strings.LastIndexByte(nodes[k].id, '/'); at >= 0 {
			if v := number([]byte(nodes[k].id[at+1:])); v >= 0 {
				all.add(v, true)
			}
		}
	}
	return all.gaps(first, maxGaps)
}

// state says what became of a scope.
func (f *finisher) state(out *Node, i int32, orphan bool) {
	n := &f.nodes[i]
	says, at, message := n.fate()
	switch {
	case says == succeeded:
		out.State = Success
	case says == failed:
		out.State = Failed
	case n.top.seq < 0: // a span, or only its parts are known
		out.State = Unknown
	default:
		quiet := time.Duration(f.now - f.last[i])
		switch {
		case !n.begun && !n.eliot && quiet >= f.patience.WentOn:
			out.State, out.Why = Unknown, whyHeadless
		case orphan:
			out.State, out.Why = Lost, whyOrphan
		case f.sure(n.proc) && f.lastOf[n.proc] > f.last[i] && quiet >= f.patience.WentOn:
			out.State, out.Why = Lost, whyWentOn
		case quiet >= f.patience.Silent:
			out.State, out.Why = Lost, whySilent(f.patience)
		default:
			out.State = Open
		}
		return
	}
	if says != nothing {
		end := unixTime(at)
		out.End = &end
		if says == succeeded {
			f.say(out, &out.Message, message)
		}
	}
}

// say sets a text of a scope, or as much of it as there is room for.
func (f *finisher) say(out *Node, where *string, text string) {
	if !f.room.set(where, text) {
		out.Clipped = true
	}
}

// fate returns what the scope itself says of its end, and with what message, unless that is
// its name.
func (n *node) fate() (says said, at int64, message string) {
	t := &n.top
	done := t.seq > 0 && t.level == record.LevelInfo && t.says != started && n.begun && (t.hash == n.nameHash || t.place != 0 && t.place == n.place)
	switch {
	case n.end.says != nothing && n.is(&n.end) && !(done && n.end.marked && t.time > n.end.time):
		if !n.begun || n.end.hash != n.nameHash {
			message = n.end.text
		}
		return n.end.says, n.end.time, message
	case done && !n.eliot:
		if t.hash != n.nameHash {
			message = clip(t.text, maxName)
		}
		return succeeded, t.time, message
	}
	return nothing, 0, ""
}
