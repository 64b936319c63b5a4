package console_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/console"
	"github.com/weirlog/weir/internal/task"
)

// node returns a scope that took so many milliseconds; its depth is that of its id.
func node(id, name string, parent int, state task.State, ms int) task.Node {
	start := time.Unix(0, noon).UTC()
	return task.Node{
		ID: id, Name: name, Parent: parent, Depth: strings.Count(id, "/"), State: state, Start: start, Last: start.Add(time.Duration(ms) * time.Millisecond),
		Duration: float64(ms) / 1000, Records: 2, Host: "vm", Process: "7",
	}
}

// sampleTree has a node of each kind.
func sampleTree() *task.Tree {
	root := node("t", "order\x1b[31m\u202e 17", -1, task.Failed, 12_345)
	root.Fields = []task.Field{{Name: "user", Value: "u\x07"}, {Name: "n", Value: "1"}}
	root.Errors, root.Error = 1, "FAILED order: ValueError: no \x1b]0;x\x07"
	pay := node("t/2", "pay", 0, task.Success, 20)
	pay.Message = "paid"
	deep := node("t/2/1", "card", 3, task.Success, 10)
	ship := node("t/8", "ship", 0, task.Lost, 61_000)
	ship.Host, ship.Process, ship.Why, ship.Missing, ship.Gaps, ship.Warnings = "far", "9", "no end, and its process went on without it", 3, []task.Gap{{First: 1, Last: 2}, {First: 5, Last: 5}}, 1
	ship.Lines = []task.Line{{Time: ship.Start, Seq: 0, Level: "info", Text: "ship\ttwo\nlines\x1b[2J"}, {Time: ship.Start, Seq: -1, Text: "unnumbered"}}
	last := node("t/9", "", 0, task.Unknown, 0)
	last.Records = 0
	t := &task.Tree{ID: "t", Nodes: []task.Node{root, node("t/1", "check", 0, task.Success, 1), node("t/1/1", "inside", 1, task.Success, 1), pay, deep}, Records: 40}
	for i := range 6 {
		t.Nodes = append(t.Nodes, node("t/"+string(rune('3'+i)), "item", 0, task.Success, i))
	}
	t.Nodes[10].Errors = 1 // the last of them had one
	t.Nodes = append(t.Nodes, ship, last)
	t.Omitted, t.Clipped, t.Cut = 5, 2, 7
	return t
}

func treeText(t *testing.T, o console.Options, v console.TreeView) string {
	t.Helper()
	var out bytes.Buffer
	if err := console.New(&out, o).Tree(sampleTree(), v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTree(t *testing.T) {
	const folded = `order\x1b[31m\u202e 17  failed 12.35s  2 records  1 error  2026-05-06T12:00:00.000000000Z  vm 7
│  user=u\x07 n=1
│  FAILED order: ValueError: no \x1b]0;x\x07
├─ 7 parts: check ...  all ok 31ms together  +2 inside
├─ item  ok 5ms  2 records  1 error
├─ ship  lost 1m1s  2 records  1 warning  gap: 3 missing (1-2, 5)  far 9
│     no end, and its process went on without it
│     2026-05-06T12:00:00.000000000Z    0 info  ship	two
│     | lines\x1b[2J
│     2026-05-06T12:00:00.000000000Z unnumbered
└─ (no name) t/9  unknown 0s
... 5 records more belong to scopes that have no room in one tree
... of 2 scopes some text has no room in one tree
... the text of 7 records more has no room here
`
	if got := treeText(t, console.Options{}, console.TreeView{Depth: -1}); got != folded {
		t.Errorf("%s\nwant\n%s", got, folded)
	}
	all := treeText(t, console.Options{}, console.TreeView{Depth: -1, All: true})
	for _, want := range []string{"├─ check  ok 1ms  2 records\n│  └─ inside  ok 1ms  2 records\n", "│  │  -> paid\n│  └─ card  ok 10ms"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s\nwant\n%s", all, want)
		}
	}
	if got := treeText(t, console.Options{}, console.TreeView{Depth: 0}); !strings.HasPrefix(got, "order") || strings.Contains(got, "ship") || !strings.Contains(got, "+12 inside") {
		t.Error(got)
	}
	color := treeText(t, console.Options{Terminal: true, Color: true}, console.TreeView{Depth: -1, Slow: 10 * time.Second})
	if !strings.Contains(color, "\x1b[1;31mfailed\x1b[0m\x1b[33m 12.35s\x1b[0m") || strings.Contains(color, "\x1b[2J") {
		t.Errorf("%q", color)
	}
	for _, text := range []string{folded, all, treeText(t, console.Options{Form: console.JSON}, console.TreeView{})} {
		if strings.ContainsAny(text, "\x1b\x07\u202e") {
			t.Errorf("it can do harm: %q", text)
		}
	}
}

func TestTreeJSON(t *testing.T) {
	text := treeText(t, console.Options{Form: console.JSON}, console.TreeView{})
	var tree task.Tree
	if err := json.Unmarshal([]byte(text), &tree); err != nil || strings.Count(text, "\n") != 1 {
		t.Fatal(err, text)
	}
	want, _ := json.Marshal(sampleTree())
	if got, _ := json.Marshal(tree); string(got) != string(want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestDeepTree draws what is nested deeper than a screen is wide.
func TestDeepTree(t *testing.T) {
	tree := &task.Tree{}
	for i := range 500 {
		n := node("t", "scope", i-1, task.Open, 1)
		n.Depth = i
		tree.Nodes = append(tree.Nodes, n)
	}
	var out bytes.Buffer
	if err := console.New(&out, console.Options{}).Tree(tree, console.TreeView{Depth: -1}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "499: scope  open") || out.Len() > 500*200 {
		t.Errorf("%d bytes: %s", out.Len(), out.String()[out.Len()-200:])
	}
}

func TestTasks(t *testing.T) {
	start := time.Unix(0, noon).UTC()
	list := &task.List{Tasks: []task.Summary{
		{ID: "f738d4aa-6a48-4fac-be7e-f34721792d8c", Name: "order\x1b[31m", State: task.Failed, Start: start, Duration: 1.5, Records: 12, Errors: 2, Host: "vm", Process: "7"},
		{ID: "None@vm:8", Name: "", State: task.Open, Slow: true, Start: start, Duration: 3700, Records: 1, Warnings: 1},
	}, Total: 3, Forgotten: 4, Omitted: 5}
	const want = `failed  2026-05-06T12:00:00.000000000Z     1.5s       12       0       2  f738d4aa-6a48-4fac-be7e-f34721792d8c  order\x1b[31m  vm 7
open    2026-05-06T12:00:00.000000000Z   1h1m40s        1       1       0  None@vm:8                             ` + `
... 4 tasks more had no room to choose from; ask for less time
... and 5 records of still more tasks
`
	var out bytes.Buffer
	if err := console.New(&out, console.Options{}).Tasks(list); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	out.Reset()
	if err := console.New(&out, console.Options{Terminal: true}).Tasks(list); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); !strings.HasPrefix(lines[0], "STATE   BEGAN") || !strings.Contains(out.String(), "... 1 more") || strings.Index(lines[0], "TASK") != strings.Index(lines[1], "f738") {
		t.Error(out.String())
	}
}
